"""The workers page: which machines are there, what runs where, what waits; leads drain, block and readmit machines."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET, require_POST

from jobs import blocking
from jobs import workers as register
from jobs.errors import Conflict, NotAllowed
from jobs.models import StageBlock, Worker
from jobs.status import errands_now, read_depths, read_errand_depths, running_now
from jobs.teams import TeamQuerySet, is_lead

DONE_WORDS = {Worker.ACTIVE: "works again", Worker.DRAINING: "is drained", Worker.BLOCKED: "is blocked"}
MOST_RUNNING = 100


@dataclass(frozen=True, kw_only=True)
class Row:
    """A machine with the runs and errands of the person's teams on it; ``hidden`` counts those of other teams."""

    worker: Any
    runs: tuple[Any, ...]
    errands: tuple[Any, ...]
    hidden: int
    blocks: tuple[StageBlock, ...]


@require_GET
def workers(request: HttpRequest) -> HttpResponse:
    return _show(request)


@require_GET
def changes(request: HttpRequest) -> HttpResponse:
    """The moving part of the page; 204 when the browser shows it already (``seen``)."""
    part = _part(request)
    if request.GET.get("seen") == part["seen"]:
        return HttpResponse(status=204)
    return render(request, "review/workers_part.html", {"part": part})


@require_POST
def set_state(request: HttpRequest, pk: int, state: str) -> HttpResponse:
    """Drains, blocks or readmits a machine."""
    if state not in Worker.STATES:
        raise Http404("A worker has no such state.")
    worker = get_object_or_404(register.present(), pk=pk)
    try:
        register.set_state(_person(request), worker, state, reason=request.POST.get("reason", "")[:500])
    except NotAllowed as error:
        raise PermissionDenied(str(error)) from error
    except Conflict as error:
        return _show(request, conflict=str(error), status=409)
    messages.success(request, f"{worker.name} {DONE_WORDS[state]}")
    return redirect("admin:workers")


@require_POST
def lift(request: HttpRequest, pk: int) -> HttpResponse:
    """Lets a machine work on a stage again that it was blocked from."""
    block = get_object_or_404(StageBlock, pk=pk)
    try:
        blocking.lift(_person(request), block)
    except NotAllowed as error:
        raise PermissionDenied(str(error)) from error
    except Conflict as error:
        return _show(request, conflict=str(error), status=409)
    messages.success(request, f"{block.machine} works on {block.get_stage_display().lower()} again")
    return redirect("admin:workers")


def _show(request: HttpRequest, *, conflict: str = "", status: int = 200) -> HttpResponse:
    rows = _rows(_person(request))
    context = {
        **admin.site.each_context(request),
        "title": "Workers",
        "part": _part(request),
        "rows": rows,
        "blocks": register.blocks(),
        "is_lead": is_lead(_person(request)),
        "conflict": conflict,
    }
    return render(request, "review/workers.html", context, status=status)


def _part(request: HttpRequest) -> dict[str, str]:
    user = _person(request)
    rows = _rows(user)
    context = {
        "rows": rows,
        "depths": read_depths(),
        "errand_depths": read_errand_depths(),
        "adrift": _adrift(_visible(running_now(), user), [run for row in rows for run in row.runs]),
        "adrift_errands": _adrift(_visible(errands_now(), user), [one for row in rows for one in row.errands]),
    }
    html = render_to_string("review/workers_rows.html", context, request=request)
    return {"html": html, "seen": hashlib.sha256(html.encode()).hexdigest()[:16]}


def _rows(user: User) -> list[Row]:
    runs, errands = _visible(running_now(), user), _visible(errands_now(), user)
    owners = [owner for found in (running_now(), errands_now()) for owner in _owners(found)]
    blocked = list(register.blocks())
    rows = []
    for worker in register.present():
        mine = tuple(run for run in runs if run.lease_owner.startswith(f"{worker.name}/"))
        my_errands = tuple(one for one in errands if one.lease_owner.startswith(f"{worker.name}/"))
        total = sum(owner.startswith(f"{worker.name}/") for owner in owners)
        blocks = tuple(block for block in blocked if block.machine == worker.machine)
        hidden = max(0, total - len(mine) - len(my_errands))
        rows.append(Row(worker=worker, runs=mine, errands=my_errands, hidden=hidden, blocks=blocks))
    return rows


def _visible(found: TeamQuerySet[Any], user: User) -> list[Any]:
    return list(found.visible_to(user)[:MOST_RUNNING])


def _owners(found: TeamQuerySet[Any]) -> list[str]:
    return list(found.values_list("lease_owner", flat=True)[:MOST_RUNNING])


def _adrift(found: list[Any], listed: list[Any]) -> list[Any]:
    """What is held by workers that are gone."""
    known = {one.pk for one in listed}
    return [one for one in found if one.pk not in known]


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
