"""manage.py match PSD PROJECT: which layer would fill which slot, and why."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from jobs.commands import FileCommand, existing_file
from rendering.aftereffects.project import read_project
from rendering.aftereffects.slots import find_slots
from rendering.inspection import matching_json
from rendering.matching import match_layers
from rendering.photoshop.opening import read_document


class Command(FileCommand):
    help = "Matches the layers of a PSD to the slots of an After Effects project."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("psd", type=existing_file)
        parser.add_argument("project", type=existing_file)
        parser.add_argument("--json", action="store_true", help="print JSON (keys: docs/formats.md)")

    def handle(self, *args: Any, **options: Any) -> None:
        document = read_document(options["psd"])
        project = read_project(options["project"], search=[options["project"].parent])
        slots = find_slots(project)
        matching = match_layers(document, project, slots, threshold=settings.MATCH_THRESHOLD)
        content = matching_json(matching, document=document, slots=slots)
        if options["json"]:
            self.print_json(content)
            return
        for match in content["matches"]:
            self.stdout.write(f"{match['score']:5.1f}  {match['psd_layer']['name']} -> {match['slot']['name']}")
        for slot in content["unfilled"]:
            self.stdout.write(f"    -  nothing -> {slot['name']}")
        for layer in content["kept"]:
            self.stdout.write(f"       {layer['name']} is kept as additional layer")
