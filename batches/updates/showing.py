"""A newer sheet on its page: what it would change, or what became of it."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest

from batches.models import Upload
from batches.updates.applying import counts_of
from batches.updates.models import SheetChange
from jobs.states import Stage, State

CHANGES_PER_PAGE = 100
HINDERED, LEFT = "hindered", SheetChange.LEFT
LABELS = {
    SheetChange.NEW: "New",
    SheetChange.CHANGED: "Changed",
    SheetChange.REMOVED: "Gone",
    HINDERED: "Not possible now",
    LEFT: "Left out",
}


def context_of(request: HttpRequest, upload: Upload) -> dict[str, Any]:
    """What ``batches/update_preview.html`` shows; ``only`` of the address is a kind, ``hindered`` or ``left``."""
    counts = counts_of(upload)
    is_over = upload.state == Upload.COMMITTED
    only = request.GET.get("only", "")
    found = upload.changes.select_related("job").order_by("pk")
    if only in SheetChange.KINDS:
        found = found.filter(kind=only)
    elif only == HINDERED:
        found = found.exclude(hindrance="")
    elif only == LEFT:
        found = found.filter(outcome=LEFT)
    page = Paginator(found, CHANGES_PER_PAGE).get_page(request.GET.get("page"))
    by_outcome = {LEFT: upload.changes.filter(outcome=LEFT).count() if is_over else 0}
    shown = [*SheetChange.KINDS, LEFT if is_over else HINDERED]
    return {
        "counts": counts,
        "number": sum(counts[kind] for kind in SheetChange.KINDS),
        "tabs": [(name, LABELS[name], {**counts, **by_outcome}[name]) for name in shown],
        "page": page,
        "changes": [_shown(change) for change in page.object_list],
        "only": only,
        "can_apply": _can_apply(upload),
        "running": _jobs_at_work(upload),
    }


def _can_apply(upload: Upload) -> bool:
    return upload.state == Upload.PREVIEW and upload.changes.filter(hindrance="", outcome="").exists()


def _jobs_at_work(upload: Upload) -> int:
    """How many jobs would be stopped in what machines do for them now."""
    redone = upload.changes.filter(hindrance="", redo__isnull=False, job__state__in=[State.QUEUED, State.RUNNING])
    return redone.count()


def _shown(change: SheetChange) -> dict[str, Any]:
    return {
        "change": change,
        "label": LABELS[change.kind],
        "fields": [(name, before, after) for name, (before, after) in change.fields.items()],
        "then": _then(change),
        "why": change.note or change.hindrance,
    }


def _then(change: SheetChange) -> str:
    if change.kind == SheetChange.NEW:
        return "Becomes a job that waits for its start."
    if change.kind == SheetChange.REMOVED:
        return "Is cancelled, if you say so."
    if change.redo is None:
        return "Nothing is redone."
    return f"Is redone from {Stage(change.redo).label.lower()}."
