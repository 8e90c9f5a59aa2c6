"""Which file each footage item of a template gets in the final project, and why."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rendering import photoshop
from rendering.aftereffects.footage import file_name, pure_path, resolve_footage
from rendering.aftereffects.model import Footage, Project
from rendering.aftereffects.stills import STILL_SUFFIXES, read_png_header
from rendering.filling import Filling
from rendering.geometry import Box
from rendering.photoshop import LayerImage


@dataclass(frozen=True, kw_only=True)
class Relink:
    """``source`` becomes the file of the footage item ``footage_id``.

    Without a ``placement`` the file is copied as it is. With one it is the PNG of a design layer: ``placement`` is
    its box in a frame of ``document_size_px``, and the picture is fitted onto ``size_px`` (width, height), the size
    that the item recorded.
    """

    footage_id: int
    source: Path
    reason: str
    size_px: tuple[int, int]
    placement: Box | None = None
    document_size_px: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class RelinkPlan:
    """Every footage item of the project is in exactly one of the two, in the project's order."""

    relinks: tuple[Relink, ...]
    unresolved: tuple[Footage, ...]


def plan_relinks(
    project: Project,
    *,
    document: photoshop.Document,
    layer_images: Sequence[LayerImage],
    fillings: Sequence[Filling],
    search: Sequence[Path],
) -> RelinkPlan:
    """Decide for every footage item of ``project`` where its file comes from.

    ``search`` holds the only folders that are looked into: the template's own first, then the asset roots. Raises
    nothing: what no rule answers is unresolved and stays as it is.
    """
    pictures = _Pictures(document, layer_images)
    filled = _filled_footage(project, fillings)
    relinks: list[Relink] = []
    unresolved: list[Footage] = []
    for footage in project.footage:
        relink = filled.get(footage.id) or _relink(footage, pictures, search)
        if relink is None:
            unresolved.append(footage)
        else:
            relinks.append(relink)
    return RelinkPlan(relinks=tuple(relinks), unresolved=tuple(unresolved))


def _filled_footage(project: Project, fillings: Sequence[Filling]) -> dict[int, Relink]:
    """Footage whose every showing is a filled slot: the first of these fillings becomes its file."""
    images = {(filling.slot.comp_id, filling.slot.layer_id): filling for filling in fillings if filling.image}
    shown: dict[int, list[Filling | None]] = {}
    for comp in project.compositions:
        for layer in comp.layers:
            if layer.source_id is not None:
                shown.setdefault(layer.source_id, []).append(images.get((comp.id, layer.id)))
    relinks = {}
    for footage in project.footage:
        first = next(iter(shown.get(footage.id, ())), None)
        if first is not None and first.image is not None and None not in shown[footage.id]:
            relinks[footage.id] = Relink(
                footage_id=footage.id,
                source=first.image,
                reason=f"the slot {first.slot.name} is filled with it",
                size_px=(footage.width_px, footage.height_px),
            )
    return relinks


def _relink(footage: Footage, pictures: _Pictures, search: Sequence[Path]) -> Relink | None:
    same_name = file_name(footage.path).casefold() == pictures.document.file_name.casefold()
    of_design = footage.psd_layer is not None and same_name
    found = resolve_footage(footage.path, project_folder=search[0], search=search[1:]) if search else None
    if found and not of_design and not _has_another_size(found, footage):
        return _copy(footage, found, "the template's own file was found")
    drawn = _from_design(footage, pictures)
    if drawn:
        return drawn
    return _copy(footage, found, "the template's own file was found") if found else None


def _copy(footage: Footage, source: Path, reason: str) -> Relink:
    return Relink(footage_id=footage.id, source=source, reason=reason, size_px=(footage.width_px, footage.height_px))


def _has_another_size(path: Path, footage: Footage) -> bool:
    """True for a PNG that is certainly not the picture the template was made with."""
    header = read_png_header(path)
    return header is not None and header.size_px != (footage.width_px, footage.height_px)


def _from_design(footage: Footage, pictures: _Pictures) -> Relink | None:
    path = pure_path(footage.path)
    if path.suffix.lower() not in STILL_SUFFIXES or min(footage.width_px, footage.height_px) < 1:
        return None
    size_px = (footage.width_px, footage.height_px)
    picture = pictures.named(footage.psd_layer if footage.psd_layer is not None else path.stem, size_px=size_px)
    if picture is None:
        return None
    layer, image = picture
    document_size_px = (pictures.document.width_px, pictures.document.height_px)
    placement = image.box
    if size_px != document_size_px and size_px == (layer.box.width, layer.box.height):
        # The item shows the layer's own box, not the whole document; the image may be trimmed further.
        document_size_px, placement = size_px, _inside(image.box, layer.box)
    return Relink(
        footage_id=footage.id,
        source=image.path,
        reason=f"the layer {layer.name} of {pictures.document.file_name} has its name",
        size_px=size_px,
        placement=placement,
        document_size_px=document_size_px,
    )


def _inside(box: Box, frame: Box) -> Box:
    return Box(box.left - frame.left, box.top - frame.top, box.right - frame.left, box.bottom - frame.top)


class _Pictures:
    """The exported layers of the design, by name."""

    def __init__(self, document: photoshop.Document, layer_images: Sequence[LayerImage]) -> None:
        self.document = document
        images = {image.layer_id: image for image in layer_images}
        self._by_key: dict[str, list[tuple[photoshop.Layer, LayerImage]]] = {}
        for layer in document.layers:
            if layer.layer_id in images:
                self._by_key.setdefault(_key(layer.name), []).append((layer, images[layer.layer_id]))

    def named(self, name: str, *, size_px: tuple[int, int]) -> tuple[photoshop.Layer, LayerImage] | None:
        """The layer of that name. Of several the one written just so, then the one of that size; else None: a guess
        would put the wrong picture into the final project."""
        candidates = self._by_key.get(_key(name), [])
        for narrowed in self._narrowing(candidates, name, size_px):
            if len(narrowed) == 1:
                return narrowed[0]
        return None

    @staticmethod
    def _narrowing(
        candidates: list[tuple[photoshop.Layer, LayerImage]], name: str, size_px: tuple[int, int]
    ) -> Iterator[list[tuple[photoshop.Layer, LayerImage]]]:
        yield candidates
        exact = [pair for pair in candidates if pair[0].name == name]
        yield exact
        yield [pair for pair in exact or candidates if (pair[0].box.width, pair[0].box.height) == size_px]


def _key(name: str) -> str:
    """``Green Yellow-BG`` and ``green_yellow_bg`` are one name."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return re.sub(r"[\W_]+", "", folded) or folded.strip()
