"""Reads After Effects projects (.aep, .aepx). Every call into py-aep on a foreign file goes through here."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from tempfile import NamedTemporaryFile

import py_aep
from py_aep.binary.utils import ChunkNotFoundError
from py_aep.models.essential_graphics import EssentialGraphicsController

from rendering.aftereffects import riff
from rendering.aftereffects.aepx import compile_aepx, is_aepx, read_limited
from rendering.aftereffects.footage import resolve_footage
from rendering.aftereffects.layers import describe_layer
from rendering.aftereffects.model import (
    Affine,
    Composition,
    Footage,
    Layer,
    LayerKind,
    LayerText,
    Project,
)
from rendering.aftereffects.render_comp import choose_render_comp
from rendering.errors import FormatError, is_the_machines
from rendering.fonts import FontLibrary

__all__ = [
    "Affine",
    "Composition",
    "Footage",
    "Layer",
    "LayerKind",
    "LayerText",
    "OpenProject",
    "Project",
    "describe",
    "foreign_input",
    "open_project",
    "read_project",
    "resolve_footage",
]

_TEXT_CONTROLLER = 6
_MEDIA_CONTROLLER = 14


@dataclass(frozen=True, kw_only=True)
class OpenProject:
    """A parsed project. ``app`` is py-aep's application; ``path`` is the file as given, .aep or .aepx."""

    app: py_aep.Application
    file_name: str
    path: Path


@contextmanager
def foreign_input(name: str) -> Iterator[None]:
    """Turns whatever py-aep raises on a foreign project into the one error that names the file."""
    try:
        yield
    except FormatError:
        raise
    except Exception as error:  # py-aep walks foreign bytes: any error in there means a file that it cannot read
        if is_the_machines(error):
            raise
        raise FormatError(
            name,
            f"After Effects project that cannot be read ({type(error).__name__}: {_one_line(error)}).",
            "Open it in After Effects and save it again.",
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or "no detail"


def open_project(path: Path, *, limit_bytes: int = riff.MAX_PROJECT_BYTES) -> OpenProject:
    """Opens a project; its content, not its suffix, says whether it is AEP or AEPX.

    Raises FormatError when it cannot be read, is too large, is cut off or is no After Effects project.
    """
    data = read_limited(path, limit_bytes=limit_bytes)
    if is_aepx(data):
        data = compile_aepx(data, name=path.name)
    riff.read_chunks(data, name=path.name)
    # py-aep reads files only, and reads them whole: what was checked above is what it gets.
    with NamedTemporaryFile(suffix=".aep", delete=False) as temporary:
        temporary.write(data)
    try:
        with foreign_input(path.name):
            app = py_aep.parse(temporary.name)
            for comp in app.project.compositions:
                _controllers(comp)
            _refuse_circles(app.project, path.name)
    finally:
        os.unlink(temporary.name)
    return OpenProject(app=app, file_name=path.name, path=path)


def read_project(
    path: Path,
    *,
    search: Sequence[Path] = (),
    fonts: FontLibrary | None = None,
    limit_bytes: int = riff.MAX_PROJECT_BYTES,
) -> Project:
    """Opens and describes a project; see ``describe``."""
    return describe(open_project(path, limit_bytes=limit_bytes), search=search, fonts=fonts)


def describe(project: OpenProject, *, search: Sequence[Path] = (), fonts: FontLibrary | None = None) -> Project:
    """What the project holds, as plain values. ``search`` are more folders in which its footage may lie.

    Boxes of point text are measured with ``fonts``: exact where the text's own font is there, with the nearest font
    where it is not, estimated without fonts. Raises FormatError where py-aep gives up on the project.
    """
    with foreign_input(project.file_name):
        app = project.app
        compositions = tuple(_compositions(app.project, fonts))
        footage = tuple(_footage(app.project, project.path.absolute().parent, search))
        used_fonts = tuple(sorted({use["font"].post_script_name for use in app.project.used_fonts} - {""}))
        version = str(app.version)
    render_comp_id, reason = choose_render_comp(compositions)
    return Project(
        file_name=project.file_name,
        version=version,
        compositions=compositions,
        footage=footage,
        fonts=used_fonts,
        render_comp_id=render_comp_id,
        render_comp_reason=reason,
    )


def _refuse_circles(project: py_aep.Project, name: str) -> None:
    """After Effects never writes a layer that is its own parent or a comp that shows itself. Who follows parents or
    sources, py-aep included, would never come to an end.
    """
    for comp in project.compositions:
        parents = {layer.id: layer.parent.id for layer in comp.layers if layer.parent is not None}
        if _has_circle({child: {parent} for child, parent in parents.items()}):
            raise FormatError(name, f"a layer in the composition {comp.name!r} is its own parent.")
    shown = {
        comp.id: {
            layer.source.id
            for layer in comp.layers
            if isinstance(layer, py_aep.AVLayer) and isinstance(layer.source, py_aep.CompItem)
        }
        for comp in project.compositions
    }
    if _has_circle(shown):
        raise FormatError(name, "a composition shows itself.")


def _has_circle(edges: dict[int, set[int]]) -> bool:
    try:
        TopologicalSorter(edges).prepare()
    except CycleError:
        return True
    return False


def _controllers(comp: py_aep.CompItem) -> list[EssentialGraphicsController]:
    """The comp's Essential Graphics panel. AE 15 writes the panel in another form, on which py-aep
    raises once: then it counts as empty, and the comp can be used from there on.
    """
    try:
        return list(comp.motion_graphics_controllers)
    except ChunkNotFoundError:
        return list(comp.motion_graphics_controllers)


def _compositions(project: py_aep.Project, fonts: FontLibrary | None) -> Iterator[Composition]:
    comps = list(project.compositions)
    exposed = {
        (controller.source_comp_id or comp.id, controller.source_layer_id)
        for comp in comps
        for controller in _controllers(comp)
        if controller.controller_type in (_TEXT_CONTROLLER, _MEDIA_CONTROLLER) and controller.source_layer_id
    }
    for comp in comps:
        layers = tuple(
            describe_layer(layer, index=number, fonts=fonts) for number, layer in enumerate(comp.layers, start=1)
        )
        yield Composition(
            id=comp.id,
            name=comp.name,
            width_px=int(comp.width),
            height_px=int(comp.height),
            duration_seconds=float(comp.duration),
            frame_rate=float(comp.frame_rate),
            renderer=str(comp.renderer),
            layers=layers,
            essential_layer_ids=tuple(layer.id for layer in layers if (comp.id, layer.id) in exposed),
            essential_controllers=tuple(controller.name for controller in _controllers(comp)),
        )


def _footage(project: py_aep.Project, folder: Path, search: Sequence[Path]) -> Iterator[Footage]:
    shown = Counter(
        layer.source.id
        for comp in project.compositions
        for layer in comp.layers
        if isinstance(layer, py_aep.AVLayer) and layer.source is not None
    )
    found: dict[str, bool] = {}
    for item in project.footages:
        source = item.main_source
        if not isinstance(source, py_aep.FileSource):
            continue
        recorded = item.file or ""
        if recorded not in found:
            found[recorded] = resolve_footage(recorded, project_folder=folder, search=search) is not None
        yield Footage(
            id=item.id,
            name=item.name,
            path=recorded,
            found=found[recorded],
            width_px=int(item.width),
            height_px=int(item.height),
            references=shown[item.id],
            psd_layer=source.layer_name or None,
        )
