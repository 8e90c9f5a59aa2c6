"""A prepared job for the tests of the review pages: three layers, two text slots and an image slot."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from django.utils import timezone

from batches.models import Batch
from jobs.models import Asset, Job, Match, StageRun, Warning
from jobs.states import Stage, State
from tests.people import make_job

PIXEL = b"\x89PNG\r\n\x1a\n"


def layer(layer_id: int, name: str, slot_kind: str | None, **more: Any) -> dict[str, Any]:
    kind = {"text": "type", "image": "pixel"}.get(slot_kind or "", "group")
    values = {"layer_id": layer_id, "name": name, "kind": kind, "slot_kind": slot_kind, "path": [], "visible": True}
    return {**values, "text": name if slot_kind == "text" else None, **more}


def slot(slot_id: str, name: str, kind: str) -> dict[str, Any]:
    known = {"comp_id": 1, "comp_name": "main", "reason": f"It is a {kind} layer.", "box": [0, 0, 10, 10]}
    return {"id": slot_id, "name": name, "kind": kind, **known, "text": "default", "font": "Sans", "order": 0}


LAYERS = [
    layer(4, "ANNA", "text"),
    layer(5, "BERTA", "text"),
    layer(6, "photo", "image"),
    layer(7, "backdrop", "image"),
    layer(8, "a group", None),
]
SLOTS = [slot("1:1", "first", "text"), slot("1:2", "second", "text"), slot("1:3", "picture", "image")]
SCORES = {"1:1": {"4": 80.0, "5": 40.0}, "1:2": {"5": 70.0, "4": 30.0}, "1:3": {"6": 90.0, "7": 20.0}}
PROPOSED = {"1:1": (4, "ANNA", 80.0), "1:2": (5, "BERTA", 70.0), "1:3": (6, "photo", 90.0)}


def ingested(layers: list[dict[str, Any]] = LAYERS, slots: list[dict[str, Any]] = SLOTS) -> dict[str, Any]:
    return {
        "document": {"name": "a.psd", "width_px": 100, "height_px": 80, "color_mode": "RGB", "depth_bits": 8},
        "layers": layers,
        "slots": slots,
        "scores": SCORES,
        "compositions": [
            {"id": 1, "name": "main", "width_px": 100, "height_px": 80, "duration_seconds": 2.0, "frame_rate": 25.0},
            {"id": 2, "name": "other", "width_px": 50, "height_px": 40, "duration_seconds": 1.0, "frame_rate": 25.0},
        ],
        "render_comp": {"id": 1, "name": "main", "reason": "No other composition nests it."},
        "matches": [
            {"slot_id": key, "layer_id": layer_id, "score": score, "parts": {"kind": 10.0, "geometry": score - 10}}
            for key, (layer_id, _, score) in PROPOSED.items()
        ],
    }


def add_run(job: Job, stage: Stage, result: dict[str, Any], *, state: str = StageRun.DONE, **more: Any) -> StageRun:
    values = {"input_hash": f"{stage}-{job.runs.count()}", "ended_at": timezone.now(), "percent": 100.0, **more}
    return StageRun.objects.create(job=job, stage=stage, state=state, result=result, **values)


def add_asset(job: Job, stage: Stage, kind: str, name: str, folder: Path | None = None, **more: Any) -> Asset:
    content = f"{kind} {name}".encode()
    digest = hashlib.sha256(content).hexdigest()
    values = {"storage_name": f"{digest[:2]}/{digest}", "media_type": "image/png", **more}
    if folder is not None:
        target = folder / values["storage_name"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return Asset.objects.create(
        team=job.team, job=job, stage=stage, kind=kind, name=name, size_bytes=len(content), sha256=digest, **values
    )


def at_matching(batch: Batch, **fields: Any) -> Job:
    """A job whose matches wait for a reviewer, with pictures of every layer and slot."""
    job = make_job(batch, Stage.MATCHING, State.IN_REVIEW, **fields)
    add_run(job, Stage.INGESTION, ingested())
    add_run(
        job,
        Stage.MATCHING,
        {
            "layer_previews": {str(one["layer_id"]): f"layer-{one['layer_id']}.png" for one in LAYERS[:4]},
            "slot_previews": {one["id"]: f"slot-{one['id']}.png" for one in SLOTS},
            "comparisons": {"1:1": {"4": "compare-1.png"}},
            "composite_preview": "photoshop.png",
            "comp_preview": "after-effects.png",
        },
    )
    for one in LAYERS[:4]:
        add_asset(job, Stage.MATCHING, "layer_preview", f"layer-{one['layer_id']}.png")
    for one in SLOTS:
        add_asset(job, Stage.MATCHING, "slot_preview", f"slot-{one['id']}.png")
    for kind, name in (
        ("comparison", "compare-1.png"),
        ("composite_preview", "photoshop.png"),
        ("comp_preview", "after-effects.png"),
    ):
        add_asset(job, Stage.MATCHING, kind, name)
    for order, one in enumerate(SLOTS):
        layer_id, layer_name, score = PROPOSED[one["id"]]
        Match.objects.create(
            job=job, slot_id=one["id"], slot_name=one["name"], slot_kind=one["kind"], order=order, layer_id=layer_id,
            layer_name=layer_name, score=score, parts={"kind": 10.0, "geometry": score - 10},
            runner_up={"layer_id": 5, "layer_name": "BERTA", "score": 40.0} if order == 0 else None,
        )  # fmt: skip
    return job


def at_preview(batch: Batch, folder: Path | None = None, **fields: Any) -> Job:
    """A job whose preview waits for an approver."""
    job = at_matching(batch, **fields)
    filled = [{"slot_id": "1:1", "name": "first", "kind": "text", "text": "ANNA & <b>"}]
    metrics = {"render_seconds": 1.25, "encode_seconds": 2.0, "frame_count": 50, "duration_seconds": 2.0}
    add_run(job, Stage.PREVIEW, {"comp": "main", "filled": filled}, metrics=metrics)
    for kind, name in (
        ("preview_video", "side-by-side.mp4"),
        ("ae_video", "after-effects.mp4"),
        ("psd_video", "photoshop.mp4"),
    ):
        add_asset(job, Stage.PREVIEW, kind, name, media_type="video/mp4")
    add_asset(job, Stage.PREVIEW, "poster", "poster.jpg", media_type="image/jpeg")
    add_asset(job, Stage.PREVIEW, "populate_script", "populate.jsx", folder, media_type="text/plain")
    place(job, Stage.PREVIEW, State.IN_REVIEW)
    return job


def at_delivery(batch: Batch, state: State = State.IN_REVIEW, **fields: Any) -> Job:
    """A job with a fault that forbids its delivery; with ``State.DONE`` one that was deployed by force."""
    job = at_preview(batch, **fields)
    fault = add_warning(job, Stage.DELIVERY, "critical", code="layered_footage", object="a.psd", cure="Use PNGs.")
    report = {"clean": False, "findings": [{"code": fault.code, "severity": "critical"}]}
    forced = "The client wants it so." if state == State.DONE else ""
    add_run(job, Stage.DELIVERY, {"report": report, "released": bool(forced), "forced_reason": forced})
    if state == State.DONE:
        home = "blue/Spring-1/out"
        for kind, name in (("released_project", "out.aep"), ("released_footage", "footage/photo.png")):
            add_asset(job, Stage.DELIVERY, kind, name, storage="outputs", storage_name=f"{home}/{name}")
    place(job, Stage.DELIVERY, state)
    return job


def add_warning(job: Job, stage: Stage, severity: str = "warning", **fields: Any) -> Warning:
    values = {"code": "missing_font", "object": "Sans", "message": "The font is missing.", "evidence": "used by first"}
    return Warning.objects.create(job=job, stage=stage, severity=severity, **{**values, **fields})


def place(job: Job, stage: Stage, state: State, **fields: Any) -> None:
    """Puts the job somewhere, past the lifecycle."""
    Job.objects.filter(pk=job.pk).update(stage=stage, state=state, **fields)
    job.refresh_from_db()
