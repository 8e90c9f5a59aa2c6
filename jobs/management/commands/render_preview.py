"""manage.py render_preview PROJECT --comp NAME --out FILE: draws a composition as video or as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from rendering.video import write_video

from jobs.commands import FileCommand, add_font_argument, existing_file, existing_folder, font_library
from rendering.aftereffects.footage import resolve_footage
from rendering.aftereffects.project import Composition, Project, describe, open_project
from rendering.aftereffects.slots import Slot, find_slots
from rendering.drawing import Compositor
from rendering.errors import FormatError
from rendering.filling import Filling
from rendering.pixels import fit_image, read_png, write_png


class Command(FileCommand):
    help = "Draws a composition without After Effects: an .mp4 of all of it, or a .png of one moment."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", type=existing_file)
        parser.add_argument("--comp", help="name of the composition (default: the render comp)")
        parser.add_argument("--out", type=Path, required=True, metavar="FILE.mp4|FILE.png")
        parser.add_argument("--time", type=float, default=None, metavar="S", help="the moment to draw, seconds")
        parser.add_argument("--scale", type=float, default=1.0, metavar="F", help="0.05 to 4")
        parser.add_argument("--set", action="append", default=[], metavar="SLOT=TEXT-OR-FILE", dest="settings_")
        parser.add_argument("--footage", type=existing_folder, metavar="DIR", help="a folder where footage may lie")
        add_font_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        out: Path = options["out"]
        if out.suffix.lower() not in {".mp4", ".png"}:
            raise FormatError(out.name, "the output is neither .mp4 nor .png.")
        if not 0.05 <= options["scale"] <= 4:
            raise FormatError("--scale", f"{options['scale']} is not between 0.05 and 4.")
        if out.exists():
            raise FileExistsError(17, "exists", str(out))
        opened = open_project(options["project"])
        search = [options["project"].parent, *([options["footage"]] if options["footage"] else [])]
        project = describe(opened, search=search)
        comp = _choose(project, options["comp"])
        slots = find_slots(replace(project, render_comp_id=comp.id))
        with TemporaryDirectory() as folder:
            compositor = Compositor(
                opened,
                comp_id=comp.id,
                fonts=font_library(options["fonts"]),
                fillings=_fillings(slots, options["settings_"], Path(folder)),
                footage=_footage(project, search),
                scale=options["scale"],
            )
            self._write(compositor, comp, out, options["time"])
        for note in compositor.notes:
            self.stderr.write(f"note: {note.message}")

    def _write(self, compositor: Compositor, comp: Composition, out: Path, time_seconds: float | None) -> None:
        if out.suffix.lower() == ".png":
            moment = comp.duration_seconds / 2 if time_seconds is None else time_seconds
            write_png(compositor.frame(moment), out)
            self.stdout.write(f"{out}: {comp.name} at {moment:g} s")
            return
        if time_seconds is not None:
            raise CommandError("--time goes with a .png", returncode=2)
        count = max(1, round(min(comp.duration_seconds, settings.PREVIEW_MAX_SECONDS) * comp.frame_rate))
        info = write_video(
            (compositor.frame(number / comp.frame_rate) for number in range(count)),
            out,
            frame_rate=comp.frame_rate,
            width_px=compositor.width_px,
            height_px=compositor.height_px,
        )
        self.stdout.write(f"{out}: {info.frame_count} frames, {info.duration_seconds:g} s, {info.size_bytes} bytes")


def _choose(project: Project, name: str | None) -> Composition:
    if name is None:
        if project.render_comp_id is None:
            raise FormatError(project.file_name, "it has no composition.")
        return project.composition(project.render_comp_id)
    for comp in project.compositions:
        if comp.name == name:
            return comp
    names = ", ".join(comp.name for comp in project.compositions) or "none"
    raise FormatError(project.file_name, f"it has no composition {name!r}.", f"There are: {names}.")


def _fillings(slots: Sequence[Slot], assignments: Sequence[str], folder: Path) -> tuple[Filling, ...]:
    by_name = {slot.name: slot for slot in slots} | {slot.id: slot for slot in slots}
    fillings = []
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        slot = by_name.get(name)
        if not equals or slot is None:
            raise FormatError(f"--set {assignment}", "names no slot.", f"Slots: {', '.join(s.name for s in slots)}.")
        if slot.kind == "text":
            fillings.append(Filling(slot=slot, text=value))
        else:
            fillings.append(Filling(slot=slot, image=_fitted(Path(value), slot, folder)))
    return tuple(fillings)


def _fitted(path: Path, slot: Slot, folder: Path) -> Path:
    """The picture as PNG of the slot's source size."""
    rgba = read_png(path)
    size_px = slot.source_size_px or (rgba.shape[1], rgba.shape[0])
    if (rgba.shape[1], rgba.shape[0]) == size_px:
        return path
    target = folder / f"{slot.comp_id}-{slot.layer_id}.png"
    write_png(fit_image(rgba, size_px=size_px, placement=None, document_size_px=None), target)
    return target


def _footage(project: Project, search: Sequence[Path]) -> dict[int, Path]:
    found = {}
    for item in project.footage:
        path = resolve_footage(item.path, project_folder=search[0], search=search)
        if path is not None:
            found[item.id] = path
    return found
