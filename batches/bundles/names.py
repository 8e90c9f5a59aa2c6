"""Names that every system can unpack: whatever people called a job or a file, its place is safe and its own."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

MOST_BYTES = 120
FORBIDDEN = re.compile(r'[<>:"|?*\\/]')
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)")


def safe(name: str, *, instead: str = "file") -> str:
    """The name as one part of a path: no separators, nothing invisible, nothing that Windows refuses, not too long."""
    seen = "".join(sign if sign.isprintable() else "_" for sign in unicodedata.normalize("NFC", name))
    plain = FORBIDDEN.sub("_", seen).strip().rstrip(". ")
    stem = plain.partition(".")[0].rstrip()
    if RESERVED.fullmatch(stem):
        plain = f"_{plain}"
    return _shortened(plain) or instead


def _shortened(name: str, *, by: int = 0) -> str:
    """At most ``MOST_BYTES`` in UTF-8, ``by`` left free; a short ending stays."""
    ending = PurePosixPath(name).suffix if len(PurePosixPath(name).suffix.encode()) <= 16 else ""
    stem = name.removesuffix(ending).encode()[: MOST_BYTES - by - len(ending.encode())].decode(errors="ignore")
    return f"{stem.rstrip('. ') if not ending else stem.rstrip()}{ending}"


class Folder:
    """A folder in which every name is given once: also names that differ by case or accents' spelling alone."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._folders: dict[str, tuple[str, Folder]] = {}

    def name(self, wanted: str, *, instead: str = "file") -> str:
        """A free name, as near to the wanted one as can be."""
        first = free = safe(wanted, instead=instead)
        number = 1
        while _key(free) in self._taken:
            number += 1
            path = PurePosixPath(_shortened(first, by=len(f" ({number})")))
            free = f"{path.stem} ({number}){path.suffix}"
        self._taken.add(_key(free))
        return free

    def folder(self, wanted: str) -> tuple[str, Folder]:
        """The folder of this name and what is in it, the same for the same name. (name, folder)"""
        if wanted not in self._folders:
            self._folders[wanted] = (self.name(wanted, instead="folder"), Folder())
        return self._folders[wanted]

    def place(self, path: str) -> str:
        """A free path for a file below this folder. ``path`` may have folders, and may try to leave this one."""
        *folders, name = path.replace("\\", "/").split("/")
        here, parts = self, []
        for wanted in folders:
            if wanted.strip(". "):
                part, here = here.folder(wanted)
                parts.append(part)
        return "/".join([*parts, here.name(name)])


def _key(name: str) -> str:
    return unicodedata.normalize("NFKD", name).casefold()
