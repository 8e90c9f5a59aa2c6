"""What an After Effects project lacks or hides, before anything is filled in: true findings only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from rendering.aftereffects.footage import file_name
from rendering.aftereffects.model import Footage, Project
from rendering.aftereffects.slots import Slot, find_slots
from rendering.findings import Finding

_LAYERED_SUFFIXES = (".psd", ".psb", ".ai")


def findings_of_project(project: Project, *, installed: Callable[[str], bool]) -> tuple[Finding, ...]:
    """``installed`` says whether a font is at hand, by its PostScript name. The order is fixed."""
    if not project.compositions:
        return (*_no_composition(project), *_footage_findings(project.footage))
    slots = find_slots(project)
    return (
        *_missing_fonts(project, installed),
        *_footage_findings(project.footage),
        *_shared_default_texts(slots),
        *_duplicate_names(slots),
    )


def _no_composition(project: Project) -> Iterator[Finding]:
    yield Finding(
        code="no_composition",
        severity="critical",
        object=project.file_name,
        message="The project has no composition, so there is nothing to fill and nothing to render.",
        cure="Send the template's project, not an empty one.",
    )


def _missing_fonts(project: Project, installed: Callable[[str], bool]) -> Iterator[Finding]:
    for font in project.fonts:
        if not installed(font):
            layers = [
                layer.name
                for comp in project.compositions
                for layer in comp.layers
                if layer.text is not None and layer.text.font == font
            ]
            yield Finding(
                code="missing_font",
                severity="warning",
                object=font,
                message=f"The font {font} is not installed; another one is drawn in its place.",
                cure="Install the font or choose another in the template.",
                evidence=f"{_count(len(layers), 'text layer')}: {', '.join(layers)}" if layers else "",
            )


def _footage_findings(footage: Iterable[Footage]) -> Iterator[Finding]:
    files: dict[str, list[Footage]] = defaultdict(list)
    for item in footage:
        files[item.path].append(item)
    for path, items in files.items():
        if not items[0].found:
            yield _missing_footage(path, items)
    for path, items in files.items():
        if file_name(path).lower().endswith(_LAYERED_SUFFIXES):
            yield _layered_footage(path, items)


def _missing_footage(path: str, items: list[Footage]) -> Finding:
    name = file_name(path) or items[0].name
    references = sum(item.references for item in items)
    return Finding(
        code="missing_footage",
        severity="warning" if references else "info",
        object=name,
        message=f"The footage file {name} is missing." if references else f"The unused footage file {name} is missing.",
        cure="Send the file with the project, or replace it." if references else "Remove it from the project.",
        evidence=f"{_count(references, 'reference')}, recorded as {path}",
    )


def _layered_footage(path: str, items: list[Footage]) -> Finding:
    name = file_name(path)
    layers = [item.psd_layer for item in items if item.psd_layer]
    what = f"{_count(len(layers), 'layer')} of {name}" if layers else name
    return Finding(
        code="layered_footage",
        severity="warning",
        object=name,
        message=f"{what} {'is' if len(layers) < 2 else 'are'} used as footage; renderers want plain pictures.",
        cure="Export the layers as PNG and replace the footage.",
        evidence=", ".join(layers),
    )


def _shared_default_texts(slots: Iterable[Slot]) -> Iterator[Finding]:
    texts: dict[str, list[str]] = defaultdict(list)
    for slot in slots:
        if slot.kind == "text" and slot.text and slot.text.strip():
            texts[slot.text.strip()].append(slot.name)
    for text, names in texts.items():
        if len(names) > 1:
            yield Finding(
                code="shared_default_text",
                severity="info",
                object=text,
                message=f"{len(names)} text slots hold the same default text {text!r}: it does not tell them apart.",
                cure="Check their matches by place, or give each its own text in the template.",
                evidence=", ".join(names),
            )


def _duplicate_names(slots: Iterable[Slot]) -> Iterator[Finding]:
    names: dict[tuple[int, str], list[Slot]] = defaultdict(list)
    for slot in slots:
        names[slot.comp_id, slot.name].append(slot)
    for (_, name), sharing in names.items():
        if len(sharing) > 1:
            yield Finding(
                code="duplicate_names",
                severity="warning",
                object=name,
                message=f"{len(sharing)} slots in {sharing[0].comp_name} have the name {name!r}.",
                cure="Give each layer its own name in the template.",
                evidence=", ".join(slot.id for slot in sharing),
            )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
