"""Which composition of a template is the one to render."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rendering.aftereffects.model import Composition

_TELLING = re.compile(r"(^|[^a-z])(render|final|main|output|master)([^a-z]|$)")


def choose_render_comp(compositions: Sequence[Composition]) -> tuple[int | None, str]:
    """Its item id and the reason in words; (None, reason) when there is no composition.

    In this order: it has layers; no other composition nests it; its name says so (``render_``, final, main, output,
    master); it has Essential Graphics; the largest, the longest, and at last the first made (the lowest id).
    """
    if not compositions:
        return None, "The project has no composition."
    nested = {
        layer.source_id
        for comp in compositions
        for layer in comp.layers
        if layer.kind == "comp" and layer.source_id != comp.id
    }

    def rank(comp: Composition) -> tuple[bool, bool, bool, bool, int, float, int]:
        return (
            bool(comp.layers),
            comp.id not in nested,
            _is_telling(comp.name),
            bool(comp.essential_controllers),
            comp.width_px * comp.height_px,
            comp.duration_seconds,
            -comp.id,
        )

    ordered = sorted(compositions, key=rank, reverse=True)
    best = ordered[0]
    return best.id, _reason(best, ordered[1:], best.id in nested)


def _is_telling(name: str) -> bool:
    words = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
    return _TELLING.search(words) is not None


def _reason(best: Composition, others: Sequence[Composition], is_nested: bool) -> str:
    if not others:
        return "It is the only composition."
    parts = ["no other composition nests it" if not is_nested else "every composition is nested by another"]
    if _is_telling(best.name):
        parts.append("its name says that it is the one to render")
    if best.essential_controllers:
        parts.append("it has Essential Graphics")
    if any(layer.kind == "comp" for layer in best.layers):
        parts.append("it nests others")
    if len(parts) == 1:
        parts.append("it is the largest, or the longest of the largest")
    text = ", ".join(parts) + "."
    return text[0].upper() + text[1:]
