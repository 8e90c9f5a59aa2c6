"""A linked sheet on a page: what was read of it, and what it would change."""

from __future__ import annotations

from typing import Any

from batches.links import linking
from batches.links.models import LinkedSheet
from batches.models import Upload
from batches.updates.applying import counts_of
from jobs import errands
from jobs.models import Errand


def status_of(linked: LinkedSheet) -> dict[str, Any]:
    """What ``batches/linked_sheet_status.html`` shows."""
    upload, errand = linking.newest(linked), linking.errand_of(linked)
    is_update = upload is not None and upload.updates_id is not None
    counts = counts_of(upload) if upload is not None and is_update and upload.state == Upload.PREVIEW else None
    kinds = ("new", "changed", "removed", "errors")
    return {
        "linked": linked,
        "upload": upload,
        "errand": errand,
        "is_running": errand is not None and errand.state == Errand.RUNNING,
        "until": errands.waits_until(errand) if errand is not None else None,
        "paused": errands.why_paused(errand) if errand is not None else "",
        "counts": counts,
        "differs": counts is not None and any(counts[kind] for kind in kinds),
    }
