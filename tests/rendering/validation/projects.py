"""Tiny projects for the rules, with nothing wrong until a test says so."""

from __future__ import annotations

from typing import Any

from rendering.aftereffects.project import Composition, Footage, Layer, LayerText, Project


def layer(name: str = "title", **changes: Any) -> Layer:
    values: dict[str, Any] = {
        "id": 1, "index": 1, "name": name, "kind": "text", "enabled": True, "shy": False, "guide": False,
        "three_d": False, "renamed": True, "parent_id": None, "source_id": None, "source_name": "", "in_seconds": 0.0,
        "out_seconds": 1.0, "blend_mode": "normal", "box": None,
    }  # fmt: skip
    return Layer(**{**values, **changes})


def style(**changes: Any) -> LayerText:
    values: dict[str, Any] = {
        "text": "Hello", "font": "Sans-Bold", "size_px": 10.0, "leading_px": None, "tracking": 0.0,
        "justification": "left", "fill_rgb": None, "box_size_px": None, "all_caps": False,
    }  # fmt: skip
    return LayerText(**{**values, **changes})


def comp(*layers: Layer, **changes: Any) -> Composition:
    values: dict[str, Any] = {
        "id": 1, "name": "main", "width_px": 100, "height_px": 100, "duration_seconds": 1.0, "frame_rate": 25.0,
        "renderer": "ADBE Advanced 3d", "layers": layers,
    }  # fmt: skip
    return Composition(**{**values, **changes})


def footage(path: str, **changes: Any) -> Footage:
    values: dict[str, Any] = {
        "id": 5, "name": path.rsplit("/", 1)[-1], "path": path, "found": True, "width_px": 10, "height_px": 10,
        "references": 1,
    }  # fmt: skip
    return Footage(**{**values, **changes})


def project(*comps: Composition, items: tuple[Footage, ...] = (), **changes: Any) -> Project:
    values: dict[str, Any] = {
        "file_name": "card.aep", "version": "25.5", "compositions": comps, "footage": items, "fonts": (),
        "render_comp_id": comps[0].id if comps else None, "render_comp_reason": "the only composition",
    }  # fmt: skip
    return Project(**{**values, **changes})
