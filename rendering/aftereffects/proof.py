"""Proves a written project by reading it back: what was meant is there, and nothing else changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from py_aep.binary.utils import parse_alas_data

from rendering.aftereffects.aepx import compile_aepx
from rendering.aftereffects.project import open_project
from rendering.aftereffects.stills import read_png_header
from rendering.errors import FormatError
from rendering.filling import Filling

LayerNames = Mapping[int, tuple[str, tuple[tuple[int, str], ...]]]


class ProofFailed(Exception):
    """What was written does not read back as it was meant. The message names the slot or the footage."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A file that was put in place: footage item, its file in the footage folder, and what it is called in messages.

    ``size_px`` is None for a copy of the template's own file. ``slot_id`` is set where a slot's layer must show it.
    """

    footage_id: int
    path: PurePosixPath
    file: Path
    name: str
    size_px: tuple[int, int] | None
    slot_id: str | None = None


def layer_names(project: Any) -> LayerNames:
    """Every composition's name and its layers' ids and names, from the top down, by the composition's item id."""
    return {
        comp.id: (comp.name, tuple((layer.id, layer.name) for layer in comp.layers)) for comp in project.compositions
    }


def prove(aep: Path, aepx: Path, *, fillings: Sequence[Filling], placed: Sequence[Placed], names: LayerNames) -> None:
    """Read both files from disk and compare them with what was meant. Raises ProofFailed."""
    try:
        if compile_aepx(aepx.read_bytes(), name=aepx.name) != aep.read_bytes():
            raise ProofFailed(f"{aepx.name} does not hold the same chunks as {aep.name}")
        projects = {path: open_project(path).app.project for path in (aep, aepx)}
    except FormatError as error:
        raise ProofFailed(f"what was written cannot be read back: {error}") from error
    for path, project in projects.items():
        if layer_names(project) != names:
            raise ProofFailed(f"{path.name}: compositions or layers are not those of the template")
        layers = {f"{comp.id}:{layer.id}": layer for comp in project.compositions for layer in comp.layers}
        for filling in fillings:
            if filling.text is not None:
                _prove_text(path, layers[filling.slot.id], filling.slot.name, filling.text)
        for each in placed:
            _prove_footage(path, project, layers, each)


def _prove_text(path: Path, layer: Any, name: str, text: str) -> None:
    source_text = layer.text.source_text
    documents = [keyframe.value for keyframe in source_text.keyframes] or [source_text.value]
    for document in documents:
        if document.text != one_kind_of_line_end(text):
            raise ProofFailed(f"{path.name}: slot {name} holds {document.text!r}, not {text!r}")


def _prove_footage(path: Path, project: Any, layers: Mapping[str, Any], placed: Placed) -> None:
    where = f"{path.name}: footage {placed.name}"
    item = project.items.get(placed.footage_id)
    if item is None:
        raise ProofFailed(f"{where} is gone")
    record = parse_alas_data(item.main_source._pin.chunks)
    if record.get("fullpath") != str(placed.path):
        raise ProofFailed(f"{where} names {record.get('fullpath')!r}, not {str(placed.path)!r}")
    if resolve_reference(path, record) != placed.file or not placed.file.is_file():
        raise ProofFailed(f"{where} does not lead to {placed.file.name} beside the project: {json.dumps(record)}")
    if placed.size_px is not None:
        header = read_png_header(placed.file)
        if header is None or not header.plain or header.size_px != placed.size_px:
            raise ProofFailed(f"{where}: {placed.file.name} is not an 8-bit RGBA PNG of {placed.size_px}")
        if (item.width, item.height) != placed.size_px:
            raise ProofFailed(f"{where} is {item.width} x {item.height} px, not {placed.size_px}")
    if placed.slot_id is not None and layers[placed.slot_id].source.id != placed.footage_id:
        raise ProofFailed(f"{path.name}: slot {placed.name} does not show {placed.file.name}")


def resolve_reference(project_file: Path, record: Mapping[str, Any]) -> Path | None:
    """The file that a footage reference names relative to the project: so many steps up, so many names down."""
    up, down = record.get("ascendcount_base"), record.get("ascendcount_target")
    names = PurePosixPath(str(record.get("fullpath"))).parts
    if not isinstance(up, int) or not isinstance(down, int) or not 1 <= up <= len(project_file.parents):
        return None
    if not 1 <= down < len(names) or ".." in names:
        return None
    return project_file.parents[up - 1].joinpath(*names[-down:])


def one_kind_of_line_end(text: str) -> str:
    r"""``\r\n`` and ``\r`` as ``\n``: After Effects keeps ``\r``, py-aep hands out ``\n``."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
