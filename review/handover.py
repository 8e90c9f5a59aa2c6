"""The delivery page's content: the validator's report, what was deployed, and who answers for it."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.models import Asset, Event
from jobs.outcomes import RELEASED
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
    files = _newest_release(prepared) if job.state == State.DONE else ()
    return Handover(
        clean=bool(result.get("report", {}).get("clean")),
        forced_reason=result.get("forced_reason", ""),
        files=files,
        drafts=tuple(a for a in prepared.assets if a.stage == Stage.DELIVERY and a.kind.startswith("final_")),
        total_bytes=sum(asset.size_bytes for asset in files),
        folder=_folder(files[0]) if files else "",
        decisions=tuple(job.decisions.select_related("user")),
        deployed=job.events.filter(verb="deploy").order_by("-id").first() if files else None,
    )


def _newest_release(prepared: Prepared) -> tuple[Asset, ...]:
    """The files that lie beside the newest released project; older releases stay in storage, but are not shown."""
    released = [asset for asset in prepared.assets if asset.storage == "outputs" and asset.kind.startswith(RELEASED)]
    projects = [asset for asset in released if asset.kind == "released_project"]
    if not projects:
        return ()
    folder = _folder(projects[-1])
    return tuple(asset for asset in released if asset.storage_name.startswith(f"{folder}/"))


def _folder(asset: Asset) -> str:
    """The release's folder in the output storage: a file's place without its own name, which may have folders."""
    return asset.storage_name.removesuffix(asset.name).rstrip("/")
