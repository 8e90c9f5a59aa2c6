"""manage.py inspect FILE: what we read from a PSD, AEPX or AEP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from jobs.commands import FileCommand, add_font_argument, existing_file, existing_folder, font_library
from rendering.aftereffects.findings import findings_of_project
from rendering.aftereffects.project import read_project
from rendering.aftereffects.slots import find_slots
from rendering.fonts import FontLibrary
from rendering.inspection import document_json, project_json
from rendering.photoshop.opening import read_document
from rendering.photoshop_findings import findings_of_document

PSD_SIGNATURE = b"8BPS"


class Command(FileCommand):
    help = "Tells what we read from a PSD, PSB, AEPX or AEP file: layers, slots, fonts, footage, findings."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=existing_file)
        parser.add_argument("--json", action="store_true", help="print JSON (keys: docs/formats.md)")
        parser.add_argument("--footage", type=existing_folder, metavar="DIR", help="a folder where footage may lie")
        add_font_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        fonts = font_library(options["fonts"])
        content = self._document(path, fonts) if _is_psd(path) else self._project(path, fonts, options["footage"])
        if options["json"]:
            self.print_json(content)
        elif content["format"] == "psd":
            self._tell_document(content)
        else:
            self._tell_project(content)

    def _document(self, path: Path, fonts: FontLibrary) -> dict[str, Any]:
        document = read_document(path)
        findings = findings_of_document(document, installed=fonts.installed)
        return document_json(document, installed=fonts.installed, findings=findings)

    def _project(self, path: Path, fonts: FontLibrary, footage: Path | None) -> dict[str, Any]:
        search = [path.parent, *([footage] if footage else [])]
        project = read_project(path, search=search)
        findings = findings_of_project(project, installed=fonts.installed)
        return project_json(project, find_slots(project), installed=fonts.installed, findings=findings)

    def _tell_document(self, content: dict[str, Any]) -> None:
        self.stdout.write(f"{content['name']}: {content['width']}x{content['height']} px, {content['color_mode']}")
        for layer in content["layers"]:
            text = f" {layer['text']!r}" if layer["text"] else ""
            hidden = "" if layer["visible"] else " (hidden)"
            indent = "  " * (1 + len(layer["path"]))
            self.stdout.write(f"{indent}{layer['layer_id']} {layer['kind']} {layer['name']}{text}{hidden}")
        self.print_findings(content["findings"])

    def _tell_project(self, content: dict[str, Any]) -> None:
        comp = content["render_comp"]
        chosen = f"render comp {comp['name']} ({comp['reason']})" if comp else "no render comp"
        self.stdout.write(f"{content['name']}: {content['version']}, {chosen}")
        for entry in content["compositions"]:
            size = f"{entry['width']}x{entry['height']}, {entry['duration']:g} s, {entry['frame_rate']:g} fps"
            self.stdout.write(f"  comp {entry['id']} {entry['name']}: {size}, {len(entry['layers'])} layers")
        for slot in content["slots"]:
            self.stdout.write(f"  slot {slot['id']} {slot['kind']} {slot['name']}: {slot['reason']}")
        self.print_findings(content["findings"])


def _is_psd(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == PSD_SIGNATURE
