"""manage.py match PSD PROJECT: which layer would fill which slot, and why."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from jobs.commands import (
    FileCommand,
    add_font_argument,
    add_footage_argument,
    add_json_argument,
    existing_file,
    font_library,
    footage_folders,
)
from rendering.aftereffects.findings import findings_of_project
from rendering.aftereffects.footage import found_footage, slot_pictures
from rendering.aftereffects.project import read_project
from rendering.aftereffects.slots import find_slots
from rendering.fonts import FontLibrary
from rendering.inspection import matching_json
from rendering.matching import match_layers
from rendering.matching_findings import findings_of_matching
from rendering.photoshop.opening import open_document
from rendering.photoshop_findings import findings_of_document


class Command(FileCommand):
    help = "Matches the layers of a PSD to the slots of an After Effects project."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("psd", type=existing_file)
        parser.add_argument("project", type=existing_file)
        add_json_argument(parser)
        add_footage_argument(parser)
        add_font_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        fonts = font_library(options["fonts"])
        content = _match(options["psd"], options["project"], fonts, footage_folders(options["footage"]))
        if options["json"]:
            self.print_json(content)
            return
        for match in content["matches"]:
            self.tell(f"{match['score']:5.1f}  {match['psd_layer']} -> {match['slot']}")
        for slot in content["unfilled"]:
            self.tell(f"    -  nothing -> {slot}")
        for layer in content["kept"]:
            self.tell(f"       {layer} is kept as additional layer")
        self.tell_findings(content["findings"])


def _match(psd: Path, template: Path, fonts: FontLibrary, search: tuple[Path, ...]) -> dict[str, Any]:
    """With the pixels of layers and slots, so that it says what stage 1 says."""
    opened = open_document(psd)
    document = opened.describe()
    project = read_project(template, search=search, fonts=fonts)
    slots = find_slots(project)
    footage = found_footage(project, project_folder=template.absolute().parent, search=search)
    with TemporaryDirectory() as folder:
        images = opened.export(Path(folder))
        matching = match_layers(
            document,
            project,
            slots,
            images={image.layer_id: image.path for image in images},
            slot_images=slot_pictures(project, slots, footage),
            threshold=settings.MATCH_THRESHOLD,
        )
    findings = (
        *findings_of_document(document, installed=fonts.installed),
        *findings_of_project(project, installed=fonts.installed),
        *findings_of_matching(document, project, slots, matching, fonts=fonts),
    )
    return matching_json(matching, document=document, slots=slots, findings=findings)
