"""manage.py inspect FILE: what we read from a PSD, AEPX or AEP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from jobs.commands import (
    PSD_SIGNATURE,
    RIFX_SIGNATURE,
    SNIFFED_BYTES,
    FileCommand,
    add_font_argument,
    add_footage_argument,
    add_json_argument,
    existing_file,
    font_library,
    footage_folders,
)
from rendering.aftereffects.aepx import is_aepx
from rendering.errors import FormatError
from rendering.fonts import FontLibrary
from rendering.inspection import document_json, project_json


class Command(FileCommand):
    help = "Tells what we read from a PSD, PSB, AEPX or AEP file: layers, slots, fonts, footage, findings."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=existing_file)
        add_json_argument(parser)
        add_footage_argument(parser)
        add_font_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        fonts = font_library(options["fonts"])
        if _is_document(path):
            content = _document(path, fonts)
            tell = self._tell_document
        else:
            content = _project(path, fonts, footage_folders(options["footage"]))
            tell = self._tell_project
        if options["json"]:
            self.print_json(content)
        else:
            tell(content)

    def _tell_document(self, content: dict[str, Any]) -> None:
        self.tell(f"{content['name']}: {content['width']}x{content['height']} px, {content['color_mode']}")
        for layer in content["layers"]:
            text = f" {layer['text']!r}" if layer["text"] else ""
            hidden = "" if layer["visible"] else " (hidden)"
            indent = "  " * (1 + len(layer["path"]))
            self.tell(f"{indent}{layer['layer_id']} {layer['kind']} {layer['name']}{text}{hidden}")
        self.tell_findings(content["findings"])

    def _tell_project(self, content: dict[str, Any]) -> None:
        comp = content["render_comp"]
        chosen = f"render comp {comp} ({content['render_comp_reason']})" if comp is not None else "no render comp"
        self.tell(f"{content['name']}: {content['version']}, {chosen}")
        for entry in content["compositions"]:
            size = f"{entry['width']}x{entry['height']}, {entry['duration']:g} s, {entry['frame_rate']:g} fps"
            self.tell(f"  comp {entry['id']} {entry['name']}: {size}, {len(entry['layers'])} layers")
        for slot in content["slots"]:
            self.tell(f"  slot {slot['id']} {slot['kind']} {slot['name']}: {slot['reason']}")
        self.tell_findings(content["findings"])


# The libraries of the other format are not imported: they would be half of the time that an answer takes.
def _document(path: Path, fonts: FontLibrary) -> dict[str, Any]:
    from rendering.photoshop.opening import read_document
    from rendering.photoshop_findings import findings_of_document

    document = read_document(path)
    findings = findings_of_document(document, installed=fonts.installed)
    return document_json(document, installed=fonts.installed, findings=findings)


def _project(path: Path, fonts: FontLibrary, search: tuple[Path, ...]) -> dict[str, Any]:
    from rendering.aftereffects.findings import findings_of_project
    from rendering.aftereffects.project import read_project
    from rendering.aftereffects.slots import find_slots

    project = read_project(path, search=search, fonts=fonts)
    findings = findings_of_project(project, installed=fonts.installed)
    return project_json(project, find_slots(project), installed=fonts.installed, findings=findings)


def _is_document(path: Path) -> bool:
    """By content; a file that is neither is told off in the words of what its name says."""
    with path.open("rb") as file:
        head = file.read(SNIFFED_BYTES)
    if not head:
        raise FormatError(path.name, "it is empty.")
    if head.startswith(PSD_SIGNATURE):
        return True
    if head.startswith(RIFX_SIGNATURE) or is_aepx(head):
        return False
    suffix = path.suffix.lower()
    if suffix not in {".psd", ".psb", ".aep", ".aepx"}:
        raise FormatError(path.name, "it is neither a Photoshop document nor an After Effects project.")
    return suffix in {".psd", ".psb"}
