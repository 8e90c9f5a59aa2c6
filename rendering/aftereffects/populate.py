"""Writes the final After Effects project: the template with its slots filled and its footage beside it.

The template is only read. Rules that are ours:

- A text keeps the style of its first character, its box and its first paragraph's settings, as After Effects does
  when the source text is set. A keyframed text is set at every keyframe: one slot is one text, at all times.
- Footage that filled slots alone show is replaced in place by the first of them. Every other filled layer gets an
  item of its own, and layers that are not filled keep what they showed.
- Names of layers and of footage items stay as they were, because expressions find them by name.
- A path is written absolute, and relative by its counts (one step up from the project, two names down), as After
  Effects writes it when it collects files: the folder can be moved as a whole.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import py_aep
from py_aep.binary.utils import dump_alas, find_by_list_type, find_by_type, parse_alas_data

from rendering.aftereffects.aepx import decompile_aep
from rendering.aftereffects.footage import pure_path
from rendering.aftereffects.project import Project, open_project, read_project
from rendering.aftereffects.proof import LayerNames, Placed, ProofFailed, layer_names, prove
from rendering.aftereffects.relink import Relink
from rendering.aftereffects.stills import FootageFolder
from rendering.errors import FormatError
from rendering.filling import Filling
from rendering.findings import Finding

__all__ = ["FinalProject", "ProofFailed", "write_final_project"]

FOOTAGE_FOLDER = "footage"
_LONGEST_NAME_BYTES = 200


@dataclass(frozen=True, kw_only=True)
class FinalProject:
    """``footage`` are the files written beside the project, ``images`` those of filled slots, by slot id.

    ``project`` is what was read back from ``aep``.
    """

    aep: Path
    aepx: Path
    footage: tuple[Path, ...]
    project: Project
    images: dict[str, Path]
    findings: tuple[Finding, ...] = ()


def write_final_project(
    template: Path,
    *,
    output_directory: Path,
    output_name: str,
    fillings: Sequence[Filling],
    relinks: Sequence[Relink],
    deployed_root: PurePosixPath | None = None,
) -> FinalProject:
    """Write ``<stem>.aep``, ``<stem>.aepx`` and ``footage/`` into ``output_directory``, then prove them.

    ``output_name`` may end in .aep or .aepx. ``deployed_root`` is the absolute folder that the written paths name
    (default: ``output_directory``). Raises FormatError for a template, picture, text or name that cannot be used,
    FileExistsError when the folder holds anything, ProofFailed when what was written does not read back. After an
    error the folder holds what was written so far.
    """
    stem = _project_stem(output_name)
    directory = output_directory.resolve()
    root = PurePosixPath(directory) if deployed_root is None else deployed_root
    if not root.is_absolute():
        raise ValueError(f"deployed_root must be absolute, not {root}")
    if len({filling.slot.id for filling in fillings}) != len(fillings):
        raise ValueError("a slot is filled twice")
    _require_empty(directory)
    edit = _Edit(
        project=open_project(template).app.project,
        footage=FootageFolder(directory / FOOTAGE_FOLDER),
        root=root / FOOTAGE_FOLDER,
    )
    aep, aepx = directory / f"{stem}.aep", directory / f"{stem}.aepx"
    try:
        names = layer_names(edit.project)
        edit.fill(fillings)
        edit.relink(relinks)
        edit.restore_names(names)
        edit.project.save(aep)
    except (FormatError, OSError, MemoryError):  # a full disk is not the template's fault
        raise
    except Exception as error:  # foreign input: py-aep may raise anything
        cause = f"it could not be filled ({type(error).__name__}: {error})."
        raise FormatError(template.name, cause, "Open it in After Effects and save it again.") from error
    aepx.write_bytes(decompile_aep(aep.read_bytes(), name=aep.name))
    prove(aep, aepx, fillings=fillings, placed=edit.placed, names=names)
    return FinalProject(
        aep=aep,
        aepx=aepx,
        footage=tuple(sorted({placed.file for placed in edit.placed})),
        project=read_project(aep, search=(directory,)),
        images={placed.slot_id: placed.file for placed in edit.placed if placed.slot_id},
        findings=tuple(edit.findings),
    )


def _project_stem(output_name: str) -> str:
    stem = re.sub(r"\.aepx?$", "", output_name, flags=re.IGNORECASE)
    plain = PureWindowsPath(stem).name == stem and stem.strip(" .") == stem and stem.isprintable()
    if not stem or not plain or len(stem.encode("utf-8", "replace")) > _LONGEST_NAME_BYTES:
        raise FormatError(
            output_name or "the output name", "it is not a plain file name.", "Use letters, digits, - and _."
        )
    return stem


def _require_empty(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise FileExistsError(f"{directory.name}: the output folder is not empty, and nothing is ever overwritten.")


@dataclass
class _Edit:
    """A template while it is filled: py-aep's project, what was placed, what a person should know."""

    project: Any
    footage: FootageFolder
    root: PurePosixPath
    placed: list[Placed] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def fill(self, fillings: Sequence[Filling]) -> None:
        layers = {f"{comp.id}:{layer.id}": layer for comp in self.project.compositions for layer in comp.layers}
        with_picture = {filling.slot.id for filling in fillings if filling.image is not None}
        for filling in fillings:
            layer = layers.get(filling.slot.id)
            if layer is None:
                cause = f"the template has no layer {filling.slot.id}."
                raise FormatError(filling.slot.name, cause, "Find the template's slots again.")
            if filling.text is not None:
                self.findings.extend(_set_text(layer, filling.slot.name, filling.text))
            elif filling.image is not None:
                self._set_picture(layer, filling, filling.image, with_picture)
        self.findings.extend(_instance_findings(self.project, fillings))

    def _set_picture(self, layer: Any, filling: Filling, image: Path, with_picture: set[str]) -> None:
        item = getattr(layer, "source", None)
        if not isinstance(item, py_aep.AVItem):
            raise FormatError(filling.slot.name, "the layer shows no picture.", "Find the template's slots again.")
        size_px = (item.width, item.height)
        file_name = self.footage.add_image(image, name=filling.slot.name, size_px=size_px)
        file = self.footage.path / file_name
        free = isinstance(item, py_aep.FootageItem) and item.id not in {placed.footage_id for placed in self.placed}
        if free and set(_shown_by(self.project, item)) <= with_picture:
            _replace(item, file)
        else:
            own = self.project.import_file(py_aep.ImportOptions(file))
            own.pixel_aspect = item.pixel_aspect
            own.parent_folder = item.parent_folder
            layer.replace_source(own)
            item = own
        self._place(item, file_name, name=filling.slot.name, size_px=size_px, slot_id=filling.slot.id)

    def relink(self, relinks: Sequence[Relink]) -> None:
        """Give footage its file; an item that a filling took already is left to it."""
        for relink in relinks:
            item = self.project.items.get(relink.footage_id)
            if not isinstance(item, py_aep.FootageItem) or not isinstance(item.main_source, py_aep.FileSource):
                raise FormatError(
                    relink.source.name, f"the template has no footage {relink.footage_id}.", "Read the template again."
                )
            if relink.footage_id in {placed.footage_id for placed in self.placed}:
                continue
            if item.main_source.target_is_folder:
                self.findings.append(_sequence_left(item.name))
            elif relink.placement is not None and relink.document_size_px is not None:
                self._place_layer(item, relink, relink.placement, relink.document_size_px)
            else:
                file_name = self.footage.add_copy(relink.source, name=pure_path(item.main_source.file).stem)
                self._place(item, file_name, name=item.name, size_px=None)

    def _place_layer(self, item: Any, relink: Relink, placement: Any, document_size_px: tuple[int, int]) -> None:
        file_name = self.footage.add_layer(
            relink.source,
            name=_file_stem(item),
            size_px=relink.size_px,
            placement=placement,
            document_size_px=document_size_px,
        )
        name = item.name
        _replace(item, self.footage.path / file_name)
        self._place(item, file_name, name=name, size_px=relink.size_px)

    def _place(
        self, item: Any, file_name: str, *, name: str, size_px: tuple[int, int] | None, slot_id: str | None = None
    ) -> None:
        path = self.root / file_name
        _write_reference(item.main_source, path)
        self.placed.append(
            Placed(
                footage_id=item.id,
                path=path,
                file=self.footage.path / file_name,
                name=name,
                size_px=size_px,
                slot_id=slot_id,
            )
        )

    def restore_names(self, names: LayerNames) -> None:
        """A layer without a name of its own shows its source's; keep what it showed before."""
        for comp in self.project.compositions:
            before = dict(names[comp.id][1])
            for layer in comp.layers:
                if layer.name == before[layer.id]:
                    continue
                if isinstance(getattr(layer, "source", None), py_aep.FootageItem):
                    layer.source.name = before[layer.id]
                else:
                    layer.name = before[layer.id]


def _replace(item: Any, file: Path) -> None:
    """A layer of a layered file becomes a plain still, under the still's name; other items keep their name."""
    name, layered = item.name, bool(getattr(item.main_source, "layer_name", ""))
    item.replace(file)
    if not layered and item.name != name:
        item.name = name


def _file_stem(item: Any) -> str:
    return str(item.main_source.layer_name or pure_path(item.main_source.file).stem)


def _shown_by(project: Any, item: Any) -> Iterator[str]:
    for comp in project.compositions:
        for layer in comp.layers:
            if getattr(layer, "source", None) is item:
                yield f"{comp.id}:{layer.id}"


def _write_reference(source: Any, path: PurePosixPath) -> None:
    """Point a file source at ``path``, two names below the project's folder.

    py-aep has no public way to name a file that does not lie there yet, so its path record is written here.
    """
    chunks = source._pin.chunks
    record = parse_alas_data(chunks)
    record.update(
        ascendcount_base=1,
        ascendcount_target=2,
        fullpath=str(path),
        platform=2,
        server_name="",
        server_volume_name="",
        target_is_folder=False,
    )
    alas: Any = find_by_type(chunks=find_by_list_type(chunks=chunks, list_type="Als2").chunks, chunk_type="alas")
    alas.value = dump_alas(record)


def _set_text(layer: Any, name: str, text: str) -> list[Finding]:
    if not isinstance(layer, py_aep.TextLayer):
        raise FormatError(name, "the layer is not a text.", "Find the template's slots again.")
    if "\x00" in text or any(unicodedata.category(character) == "Cs" for character in text):
        raise FormatError(name, "its text holds a character that no text layer can hold.", "Type the text again.")
    text_group: Any = layer.text
    source_text = text_group.source_text
    keyframes = list(source_text.keyframes)
    for document in [keyframe.value for keyframe in keyframes] or [source_text.value]:
        document.text = text
    findings = []
    if source_text.expression and source_text.expression_enabled:
        findings.append(_text_expression(name, source_text.expression))
    if keyframes:
        findings.append(_text_keyframes(name, len(keyframes)))
    return findings


def _text_expression(name: str, expression: str) -> Finding:
    return Finding(
        code="text_expression",
        severity="info",
        object=name,
        message="The text has an expression, which may show something else than the text that was set.",
        cure="Look at the layer in After Effects; disable the expression if the text must show as it is.",
        evidence=expression[:200],
    )


def _text_keyframes(name: str, count: int) -> Finding:
    return Finding(
        code="text_keyframes",
        severity="info",
        object=name,
        message=f"The text is animated by {count} keyframes; all of them got the same text.",
        cure="Set other texts at its keyframes in After Effects if the text must change.",
    )


def _instance_findings(project: Any, fillings: Sequence[Filling]) -> Iterator[Finding]:
    """Layers that show a slot's composition may override the slot through essential properties."""
    names = {(filling.slot.comp_id, filling.slot.layer_id): filling.slot.name for filling in fillings}
    for comp in project.compositions:
        for layer in comp.layers:
            for controller in getattr(layer, "essential_property_controllers", ()):
                name = names.get((controller.source_comp_id or layer.source.id, controller.source_layer_id))
                if name is not None:
                    yield _instance_override(name, f"{comp.name}/{layer.name}", controller.name)


def _instance_override(name: str, instance: str, controller: str) -> Finding:
    return Finding(
        code="instance_override",
        severity="warning",
        object=name,
        message=f"The layer {instance} may override what was set, by its essential property {controller}.",
        cure="Reset that essential property in After Effects.",
    )


def _sequence_left(name: str) -> Finding:
    return Finding(
        code="sequence_not_copied",
        severity="warning",
        object=name,
        message="The footage is an image sequence, which is left where it is.",
        cure="Copy the sequence beside the project and replace the footage in After Effects.",
    )
