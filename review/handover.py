"""The delivery page's content: the validator's report, what was deployed, and who answers for it."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.models import Asset, Event
from jobs.releases import newest_release
from jobs.states import Stage, State
from review.models import Decision
from review.prepared import Prepared


@dataclass(frozen=True, kw_only=True)
class Handover:
    """``files`` is the newest release, ``drafts`` what was written but not released."""

    clean: bool
    forced_reason: str
    files: tuple[Asset, ...]
    drafts: tuple[Asset, ...]
    total_bytes: int
    folder: str
    decisions: tuple[Decision, ...]
    deployed: Event | None


def read_handover(prepared: Prepared) -> Handover:
    job = prepared.job
    result = prepared.result(Stage.DELIVERY)
    release = newest_release(prepared.assets) if job.state == State.DONE else None
    files = release.files if release else ()
    return Handover(
        clean=bool(result.get("report", {}).get("clean")),
        forced_reason=result.get("forced_reason", ""),
        files=files,
        drafts=tuple(a for a in prepared.assets if a.stage == Stage.DELIVERY and a.kind.startswith("final_")),
        total_bytes=sum(asset.size_bytes for asset in files),
        folder=str(release.folder) if release else "",
        decisions=tuple(job.decisions.select_related("user")),
        deployed=job.events.filter(verb="deploy").order_by("-id").first() if release else None,
    )
