"""The preview page's content: the videos, their figures, what was filled in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobs.models import Asset
from jobs.states import Stage
from review.prepared import Prepared

VIDEO_KINDS = (
    ("preview_video", "Side by side"),
    ("ae_video", "After Effects"),
    ("psd_video", "Photoshop"),
)


@dataclass(frozen=True, kw_only=True)
class Screening:
    """``videos`` are (label, file) with the side-by-side one first; ``figures`` the run's metrics."""

    videos: tuple[tuple[str, Asset], ...]
    poster: Asset | None
    script: Asset | None
    figures: dict[str, Any]
    frame_rate: float
    filled: tuple[dict[str, Any], ...]
    comp_name: str
    wipe: tuple[Asset, Asset] | None


def read_screening(prepared: Prepared) -> Screening:
    found = [(label, prepared.of_kind(kind)) for kind, label in VIDEO_KINDS]
    figures = prepared.metrics(Stage.PREVIEW)
    result = prepared.result(Stage.PREVIEW)
    after_effects, photoshop = prepared.of_kind("ae_video"), prepared.of_kind("psd_video")
    return Screening(
        videos=tuple((label, asset) for label, asset in found if asset is not None),
        poster=prepared.of_kind("poster"),
        script=prepared.of_kind("populate_script"),
        figures=figures,
        frame_rate=_frame_rate(figures),
        filled=tuple(result.get("filled", [])),
        comp_name=result.get("comp", ""),
        wipe=(after_effects, photoshop) if after_effects and photoshop else None,
    )


def _frame_rate(figures: dict[str, Any]) -> float:
    """Frames a second, from what was filmed."""
    if figures.get("frame_rate"):
        return float(figures["frame_rate"])
    seconds, frames = figures.get("duration_seconds") or 0, figures.get("frame_count") or 0
    return round(frames / seconds, 3) if seconds and frames else 25.0
