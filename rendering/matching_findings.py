"""What a person should know about a matching: slots without a layer, texts and pictures that do not fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rendering import photoshop
from rendering.aftereffects import project as ae
from rendering.aftereffects.slots import Slot
from rendering.filling import covers_frame
from rendering.findings import Finding
from rendering.fonts import FontLibrary
from rendering.geometry import Box
from rendering.matching import Matching
from rendering.pixels import SAME_ASPECT
from rendering.text_fit import fit_text

ASPECT_TOLERANCE = 0.02
ENLARGEMENT_TOLERANCE = 1.10
# A point text has no box to overflow; its glyphs are checked in a box that holds any text.
_BOUNDLESS_PX = 1e7


def findings_of_matching(
    document: photoshop.Document,
    project: ae.Project,
    slots: Sequence[Slot],
    matching: Matching,
    *,
    fonts: FontLibrary | None,
) -> tuple[Finding, ...]:
    """Findings about this matching, in the order of the slots.

    Texts are measured only with the slot's own font: where ``fonts`` is None or lacks it, nothing is said of them.
    """
    layers = {layer.layer_id: layer for layer in document.layers}
    by_slot = {match.slot_id: layers[match.layer_id] for match in matching.matches if match.layer_id in layers}
    styles = {
        f"{comp.id}:{layer.id}": layer.text
        for comp in project.compositions
        for layer in comp.layers
        if layer.text is not None
    }
    findings = list(_aspect_mismatch(document, project))
    for slot in sorted(slots, key=lambda slot: (slot.order, slot.comp_id, slot.layer_id)):
        layer = by_slot.get(slot.id)
        if layer is None:
            findings.append(_unfilled(slot))
        elif slot.kind == "image":
            findings.extend(_low_resolution(layer, slot, document, project))
        elif slot.id in styles and layer.text and fonts is not None:
            findings.extend(_text_findings(layer.text, slot, styles[slot.id], fonts))
    return tuple(findings)


def enlargement(layer_box: Box, slot: Slot, *, document_size_px: tuple[int, int], in_place: bool) -> float:
    """How many times larger the layer's pixels are shown in the render comp, 1.0 for as they are; 0.0 where unknown.

    Follows ``rendering.filling.fill_slots``: ``in_place`` and with a source of the document's aspect the layer shows at
    its place in the document, otherwise as large as it fits. A slot's box is taken for what its whole source covers.
    """
    if slot.box is None or not (layer_box.width and layer_box.height and slot.box.width and slot.box.height):
        return 0.0
    source = slot.source_size_px or (slot.box.width, slot.box.height)
    if not all((*source, *document_size_px)):
        return 0.0
    contained = min(slot.box.width / layer_box.width, slot.box.height / layer_box.height)
    if not in_place or abs((source[0] * document_size_px[1]) / (source[1] * document_size_px[0]) - 1) > SAME_ASPECT:
        return contained
    return min(slot.box.width / document_size_px[0], slot.box.height / document_size_px[1])


def _unfilled(slot: Slot) -> Finding:
    return Finding(
        code="unfilled_slot",
        severity="warning",
        object=slot.name,
        message="No layer of the design fits this slot: the template's own content stays.",
        cure="Choose a layer for the slot, or accept the template's content.",
        evidence=f"{slot.kind} slot {slot.id} in {slot.comp_name}",
    )


def _aspect_mismatch(document: photoshop.Document, project: ae.Project) -> Iterator[Finding]:
    comp = next((comp for comp in project.compositions if comp.id == project.render_comp_id), None)
    if comp is None or not (document.height_px and comp.height_px and comp.width_px):
        return
    ratio = (document.width_px / document.height_px) / (comp.width_px / comp.height_px)
    if max(ratio, 1 / ratio if ratio else 0.0) <= 1 + ASPECT_TOLERANCE:
        return
    yield Finding(
        code="aspect_mismatch",
        severity="warning",
        object=document.file_name,
        message="The design and the render comp have different shapes: pictures cannot keep their places.",
        cure="Look at every picture in the preview, or use a design of the render comp's shape.",
        evidence=f"design {document.width_px}x{document.height_px} px, {comp.name} {comp.width_px}x{comp.height_px} px",
    )


def _low_resolution(
    layer: photoshop.Layer, slot: Slot, document: photoshop.Document, project: ae.Project
) -> Iterator[Finding]:
    size_px = (document.width_px, document.height_px)
    times = enlargement(layer.box, slot, document_size_px=size_px, in_place=covers_frame(slot, project))
    if times <= ENLARGEMENT_TOLERANCE or slot.box is None:
        return
    yield Finding(
        code="low_resolution",
        severity="warning",
        object=layer.name,
        message=f"The picture is shown {times:.1f} times as large as it is and will look soft.",
        cure="Use a larger picture in the design.",
        evidence=f"layer {layer.box.width:.0f}x{layer.box.height:.0f} px, slot {slot.name} "
        f"{slot.box.width:.0f}x{slot.box.height:.0f} px",
    )


def _text_findings(text: str, slot: Slot, style: ae.LayerText, fonts: FontLibrary) -> Iterator[Finding]:
    font = fonts.find(style.font)
    if font is None or style.size_px <= 0:
        return
    fit = fit_text(
        text.upper() if style.all_caps else text,
        font=font,
        size_px=style.size_px,
        tracking=style.tracking,
        leading_px=style.leading_px,
        box_size_px=style.box_size_px or (_BOUNDLESS_PX, _BOUNDLESS_PX),
    )
    if fit.missing_glyphs:
        yield Finding(
            code="missing_glyphs",
            severity="warning",
            object=slot.name,
            message="The slot's font cannot draw all characters of the text.",
            cure="Use another font in the template, or change the text.",
            evidence=f"{style.font} lacks {fit.missing_glyphs}",
        )
    if fit.overflows and style.box_size_px is not None:
        yield Finding(
            code="text_overflow",
            severity="warning",
            object=slot.name,
            message="The text does not fit the slot's box: the end is cut off.",
            cure="Shorten the text, or make the template's box larger.",
            evidence=f"{text!r} in {style.font} {style.size_px:g} px, box {style.box_size_px[0]:.0f}x"
            f"{style.box_size_px[1]:.0f} px",
        )
