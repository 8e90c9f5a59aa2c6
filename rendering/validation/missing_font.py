"""missing_font, warning. Object: the font's PostScript name. Evidence: the text layers that use it.

Shown in every stage and recorded, but it does not block: a template's licensed font is often not on this machine and
is where the video is rendered. Cure: install the font, or make sure that the renderer has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rendering.aftereffects.project import Project
from rendering.findings import Finding

MAX_NAMED_LAYERS = 5


def check(project: Project, *, installed: Callable[[str], bool]) -> Iterator[Finding]:
    users: dict[str, list[str]] = {font: [] for font in project.fonts}
    for comp in project.compositions:
        for layer in comp.layers:
            if layer.text is not None and layer.text.font:
                users.setdefault(layer.text.font, []).append(layer.name)
    for font, layers in users.items():
        if font and not installed(font):
            yield Finding(
                code="missing_font",
                severity="warning",
                object=font,
                message="The font is not installed here: previews show its texts in another font.",
                cure="Install the font on this machine, and make sure that the machine that renders has it.",
                evidence=_used_by(layers),
            )


def _used_by(layers: list[str]) -> str:
    if not layers:
        return "named in the project, used by no text layer that was read"
    more = len(layers) - MAX_NAMED_LAYERS
    return "used by " + ", ".join(layers[:MAX_NAMED_LAYERS]) + (f" and {more} more" if more > 0 else "")
