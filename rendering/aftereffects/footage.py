"""Where a footage file lies on this machine: recorded paths come from other machines, often from Windows or macOS."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from rendering.aftereffects.model import Project
from rendering.aftereffects.slots import Slot

FOOTAGE_FOLDERS = ("footage", "(Footage)")
"""Folders beside a project where its files are kept; the second is After Effects' own name ("Collect Files")."""

_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\|[^/]*\\")


def pure_path(recorded: str) -> PurePosixPath | PureWindowsPath:
    """The recorded path in the style of the machine that wrote it."""
    return PureWindowsPath(recorded) if _WINDOWS.match(recorded) else PurePosixPath(recorded)


def file_name(recorded: str) -> str:
    """The last part of a recorded path, whichever machine it comes from."""
    return pure_path(recorded).name


def resolve_footage(recorded: str, *, project_folder: Path, search: Sequence[Path] = ()) -> Path | None:
    """The file that a recorded footage path means here, or None.

    Looked at in this order: the recorded path itself; the path relative to the project's folder, then to each root of
    ``search``, with fewer and fewer leading folders; the bare name in a root and in its ``footage`` folder. Nothing
    outside these roots is ever looked at, symbolic links inside them are not followed.
    """
    roots = [Path(os.path.realpath(root)) for root in (project_folder, *search)]
    for root, candidate in _candidates(recorded, roots):
        normal = Path(os.path.normpath(candidate))
        if _is_file_inside(normal, root):
            return normal
    return None


def found_footage(project: Project, *, project_folder: Path, search: Sequence[Path] = ()) -> dict[int, Path]:
    """The file of every footage item that ``resolve_footage`` finds, by item id."""
    recorded = {item.path for item in project.footage}
    files = {path: resolve_footage(path, project_folder=project_folder, search=search) for path in recorded}
    return {item.id: path for item in project.footage if (path := files[item.path]) is not None}


def slot_pictures(project: Project, slots: Sequence[Slot], footage: Mapping[int, Path]) -> dict[str, Path]:
    """What image slots show before they are filled, by slot id: of those whose picture is a PNG in ``footage``."""
    sources = {(comp.id, layer.id): layer.source_id for comp in project.compositions for layer in comp.layers}
    pictures = {}
    for slot in slots:
        source = sources.get((slot.comp_id, slot.layer_id))
        path = footage.get(source) if source is not None and slot.kind == "image" else None
        if path is not None and path.suffix.lower() == ".png":
            pictures[slot.id] = path
    return pictures


def _candidates(recorded: str, roots: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    path = pure_path(recorded)
    if not path.name or "\0" in recorded:
        return
    parts = [part for part in path.parts if part != path.anchor]
    if isinstance(path, PurePosixPath) and path.is_absolute():
        yield from ((root, Path(recorded)) for root in roots)
    if not path.is_absolute():
        yield from ((root, root.joinpath(*parts)) for root in roots)
    plain = [part for part in parts if part not in ("..", ".")]
    for root in roots:
        for start in range(len(plain)):
            yield root, root.joinpath(*plain[start:])
        yield from ((root, root / folder / path.name) for folder in FOOTAGE_FOLDERS)


def _is_file_inside(normal: Path, root: Path) -> bool:
    """Compares names before it asks the file system, so a path that leaves the root is never looked at."""
    if not normal.is_relative_to(root) or normal == root:
        return False
    step = root
    mode = 0
    for part in normal.relative_to(root).parts:
        step = step / part
        try:
            mode = os.lstat(step).st_mode
        except (OSError, ValueError):
            return False
        if stat.S_ISLNK(mode):
            return False
    return stat.S_ISREG(mode)
