"""What is wrong with a Photoshop document, before anything is matched: only what is true and visible."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

from rendering.findings import Finding
from rendering.photoshop.document import Document, Layer

NOT_DRAWN = frozenset({"Drop Shadow", "Inner Shadow", "Outer Glow", "Inner Glow", "Bevel Emboss", "Satin"})
_GROUPS = frozenset({"group", "artboard"})
_NAMES_SHOWN = 5


def findings_of_document(document: Document, *, installed: Callable[[str], bool]) -> tuple[Finding, ...]:
    """``installed`` says whether the font of that PostScript name is there. Hidden layers give no finding."""
    visible = [layer for layer in document.layers if layer.visible]
    leaves = [layer for layer in visible if layer.kind not in _GROUPS]
    return (
        *_emptiness(document, leaves),
        *_missing_fonts(leaves, installed),
        *_duplicate_names(leaves),
        *_effects_not_drawn(visible),
    )


def _emptiness(document: Document, leaves: list[Layer]) -> Iterator[Finding]:
    if any(_has_content(layer) for layer in leaves):
        return
    if not document.layers:
        evidence = "The document has no layers, only a flattened image."
    else:
        evidence = f"{len(document.layers)} layers, {len(leaves)} of them visible, none with pixels or text."
    yield Finding(
        code="empty_document",
        severity="critical",
        object=document.file_name,
        message="There is no visible layer with content, so nothing can be matched.",
        cure="Save the document with its layers, and show the ones that are meant.",
        evidence=evidence,
    )


def _missing_fonts(leaves: list[Layer], installed: Callable[[str], bool]) -> Iterator[Finding]:
    users: dict[str, list[str]] = defaultdict(list)
    for layer in leaves:
        for font in dict.fromkeys(run.font for run in layer.runs if run.font and run.text.strip()):
            users[font].append(layer.name)
    for font, names in sorted(users.items()):
        if not installed(font):
            yield Finding(
                code="missing_font",
                severity="warning",
                object=font,
                message=f"The font {font} of the design is not installed.",
                cure="Install it, or give the font file with the job.",
                evidence=f"Used by {_listed(list(dict.fromkeys(names)))}.",
            )


def _duplicate_names(leaves: list[Layer]) -> Iterator[Finding]:
    same: dict[str, list[Layer]] = defaultdict(list)
    for layer in leaves:
        if _has_content(layer):
            same[layer.name].append(layer)
    for name, layers in same.items():
        if len(layers) > 1:
            places = _listed([" / ".join((*layer.path, f"{layer.name} (id {layer.layer_id})")) for layer in layers])
            yield Finding(
                code="duplicate_names",
                severity="warning",
                object=name,
                message=f"{len(layers)} visible layers share the name {name!r}, so a name cannot tell them apart.",
                cure="Give each layer a name of its own, or check its match.",
                evidence=places,
            )


def _effects_not_drawn(visible: list[Layer]) -> Iterator[Finding]:
    for layer in visible:
        is_group = layer.kind in _GROUPS
        lost = [effect for effect in layer.effects if is_group or effect in NOT_DRAWN]
        if layer.kind == "adjustment":
            message = "An adjustment changes the layers below it; their exported images do not show that."
        elif lost and is_group:
            message = f"The exported images of the group's layers lack its {' and '.join(lost)}."
        elif lost:
            message = f"The exported image lacks {' and '.join(lost)}."
        else:
            continue
        yield Finding(
            code="effect_not_drawn",
            severity="info",
            object=layer.name,
            message=message,
            cure="Rasterise it in Photoshop where it must be seen.",
            evidence=", ".join(lost),
        )


def _has_content(layer: Layer) -> bool:
    return layer.kind != "adjustment" and layer.box.width > 0 and layer.box.height > 0


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN])
    return f"{shown} and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else shown
