"""manage.py render_preview PROJECT --comp NAME --out FILE: draws a composition as video or as one picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from jobs.commands import (
    FileCommand,
    add_font_argument,
    add_footage_argument,
    check_new_file,
    existing_file,
    finite_number,
    font_library,
    footage_folders,
    one_line,
)
from rendering.aftereffects.footage import found_footage
from rendering.aftereffects.project import Composition, Project, describe, open_project
from rendering.aftereffects.slots import Slot, find_slots
from rendering.drawing import Compositor
from rendering.errors import FormatError
from rendering.filling import Filling
from rendering.pixels import fit_image, read_picture, write_png
from rendering.video import write_video

PICTURE, VIDEO = ".png", ".mp4"
MIN_SCALE, MAX_SCALE = 0.05, 4.0
MAX_VIDEO_SIDE_PX = 4096
MAX_FRAME_RATE = 120.0


class Command(FileCommand):
    help = "Draws a composition without After Effects: an .mp4 of all of it, or a .png of one moment."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", type=existing_file)
        parser.add_argument("--comp", metavar="NAME", help="name or id of the composition (default: the render comp)")
        parser.add_argument("--out", type=Path, required=True, metavar="FILE.mp4|FILE.png")
        parser.add_argument("--time", type=finite_number, metavar="S", help="moment of a .png (default: the middle)")
        parser.add_argument("--scale", type=finite_number, default=1.0, metavar="F", help="0.05 to 4 (default: 1)")
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="SLOT=TEXT-OR-FILE",
            dest="contents",
            help="what a slot shows, by its name or id: a text, or a PNG or JPEG file; may be repeated",
        )
        add_footage_argument(parser)
        add_font_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        out: Path = options["out"]
        _check_output(out, options["scale"], options["time"])
        fonts = font_library(options["fonts"])
        search = footage_folders(options["footage"])
        opened = open_project(options["project"])
        project = describe(opened, search=search, fonts=fonts)
        comp = _choose(project, options["comp"])
        moment = _moment(comp, options["time"])
        slots = find_slots(project, comp_id=comp.id)
        with TemporaryDirectory(dir=out.parent, prefix=".render_preview-") as folder:
            compositor = Compositor(
                opened,
                comp_id=comp.id,
                fonts=fonts,
                fillings=_fillings(slots, options["contents"], Path(folder)),
                footage=found_footage(project, project_folder=opened.path.absolute().parent, search=search),
                scale=options["scale"],
            )
            unnamed = Path(folder) / f"unnamed{out.suffix.lower()}"
            if out.suffix.lower() == PICTURE:
                write_png(compositor.frame(moment), unnamed)
                told = f"{comp.name} at {moment:g} s, {compositor.width_px}x{compositor.height_px} px"
            else:
                told = self._write_video(compositor, comp, unnamed)
            # A link fails where the name exists by now: nothing is ever overwritten.
            os.link(unnamed, out)
        self.tell(f"{out}: {told}")
        for note in compositor.notes:
            self.stderr.write(one_line(f"note: {note.object}: {note.message}"))

    def _write_video(self, compositor: Compositor, comp: Composition, path: Path) -> str:
        longest_px = max(compositor.width_px, compositor.height_px)
        if longest_px > MAX_VIDEO_SIDE_PX:
            raise FormatError(
                "--scale", f"the video would have a side of {longest_px} px, over {MAX_VIDEO_SIDE_PX}.", "Choose less."
            )
        if not comp.frame_rate > 0:
            raise FormatError(comp.name, "the composition has no frame rate.", "A .png can be drawn.")
        rate = min(comp.frame_rate, MAX_FRAME_RATE)
        seconds = min(comp.duration_seconds, settings.PREVIEW_MAX_SECONDS)
        if seconds < comp.duration_seconds:
            self.stderr.write(f"note: the video shows the first {seconds:g} of {comp.duration_seconds:g} seconds")
        # Frames that look the same are one array, which is drawn and converted once.
        frames = compositor.frames(max(1, round(seconds * rate)), frame_rate=rate)
        info = write_video(
            (frame for frame, _ in frames),
            path,
            frame_rate=rate,
            width_px=compositor.width_px,
            height_px=compositor.height_px,
        )
        size = f"{info.width_px}x{info.height_px} px, {info.size_bytes} bytes"
        return f"{comp.name}, {info.frame_count} frames, {info.duration_seconds:g} s, {size}"


def _check_output(out: Path, scale: float, time_seconds: float | None) -> None:
    """What is wrong with the options is told before anything is read."""
    check_new_file(out, suffixes=(VIDEO, PICTURE))
    if not MIN_SCALE <= scale <= MAX_SCALE:
        raise FormatError("--scale", f"{scale:g} is not between {MIN_SCALE:g} and {MAX_SCALE:g}.")
    if time_seconds is not None and out.suffix.lower() == VIDEO:
        raise FormatError("--time", "it goes with a .png: a video shows all moments.")


def _choose(project: Project, name: str | None) -> Composition:
    """By name, else by id; a name that several compositions have must be told apart by id."""
    if project.render_comp_id is None:
        raise FormatError(project.file_name, "it has no composition.")
    if name is None:
        return project.composition(project.render_comp_id)
    named = [comp for comp in project.compositions if comp.name == name]
    named = named or [comp for comp in project.compositions if str(comp.id) == name]
    if len(named) == 1:
        return named[0]
    if named:
        ids = ", ".join(str(number) for number in sorted(comp.id for comp in named))
        raise FormatError(project.file_name, f"{len(named)} compositions are named {name}.", f"Give an id: {ids}.")
    names = ", ".join(comp.name for comp in project.compositions)
    raise FormatError(project.file_name, f"it has no composition {name}.", f"There are: {names}.")


def _moment(comp: Composition, time_seconds: float | None) -> float:
    """At its very end a composition shows its last frame."""
    if time_seconds is None:
        return comp.duration_seconds / 2
    if not 0 <= time_seconds <= comp.duration_seconds:
        raise FormatError("--time", f"{time_seconds:g} s is outside of {comp.name}: 0 to {comp.duration_seconds:g} s.")
    last = comp.duration_seconds - 1 / comp.frame_rate if comp.frame_rate > 0 else 0.0
    return min(time_seconds, max(last, 0.0))


def _fillings(slots: Sequence[Slot], assignments: Sequence[str], folder: Path) -> tuple[Filling, ...]:
    fillings: dict[str, Filling] = {}
    for assignment in assignments:
        name, _, content = assignment.partition("=")
        slot = _slot(slots, name, assignment)
        if slot.id in fillings:
            raise FormatError(f"--set {assignment}", f"the slot {slot.name} is set twice.")
        if slot.kind == "text":
            fillings[slot.id] = Filling(slot=slot, text=content)
        else:
            fillings[slot.id] = Filling(slot=slot, image=_fitted(Path(content), slot, folder))
    return tuple(fillings.values())


def _slot(slots: Sequence[Slot], name: str, assignment: str) -> Slot:
    if "=" not in assignment:
        raise FormatError(f"--set {assignment}", "it is not SLOT=TEXT-OR-FILE.")
    named = [slot for slot in slots if slot.name == name] or [slot for slot in slots if slot.id == name]
    if len(named) == 1:
        return named[0]
    if named:
        ids = ", ".join(slot.id for slot in named)
        raise FormatError(f"--set {assignment}", f"{len(named)} slots are named {name}.", f"Give an id: {ids}.")
    names = ", ".join(slot.name for slot in slots) or "none"
    raise FormatError(f"--set {assignment}", f"there is no slot {name}.", f"Slots: {names}.")


def _fitted(path: Path, slot: Slot, folder: Path) -> Path:
    """The picture as PNG of the slot's source size."""
    if not path.is_file():
        raise FormatError(str(path), f"there is no such file to fill the image slot {slot.name} with.")
    rgba = read_picture(path)
    size_px = slot.source_size_px or (rgba.shape[1], rgba.shape[0])
    try:
        fitted = fit_image(rgba, size_px=size_px, placement=None, document_size_px=None)
    except ValueError as error:
        raise FormatError(f"slot {slot.name}", f"no picture can have the size {size_px[0]}x{size_px[1]} px.") from error
    target = folder / f"{slot.comp_id}-{slot.layer_id}.png"
    write_png(fitted, target)
    return target
