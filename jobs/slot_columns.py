"""Columns of a sheet that say which layer of the design fills a slot of the template: ``slot: NAME``.

A cell names a layer, ``Group/Layer`` where the name alone is not enough. ``-`` keeps what the template has. An empty
cell leaves the choice to the matching, as does one that names nothing that can fill the slot: a finding says so.
``jobs.stages.choosing`` reads the cells.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

PREFIX = "slot: "
"""What titles of slot columns begin with: a slot called Client must not be taken for another column."""
MOST_NAME_CHARACTERS = 150
NO_WIDTH = re.compile("[\u200b\u2060\ufeff]")


def titles(slots: Iterable[tuple[str, str]]) -> list[str]:
    """The title of each slot's column, from the slots' names and kinds in reading order; what repeats is numbered."""
    taken: set[str] = set()
    found = []
    for name, kind in slots:
        plain = " ".join(NO_WIDTH.sub(" ", name).split())[:MOST_NAME_CHARACTERS] or "unnamed"
        first = f"{PREFIX}{plain}" if kind == "text" else f"{PREFIX}{plain} ({kind})"
        title, count = first, 1
        while name_key(title) in taken:
            count += 1
            title = f"{first} {count}"
        taken.add(name_key(title))
        found.append(title)
    return found


def is_slot_column(title: str) -> bool:
    return name_key(title).startswith("slot:")


def filled(row_data: Mapping[str, Any]) -> dict[str, str]:
    """The cells of a row's slot columns that say something, by the columns' titles."""
    cells = {title: str(text).strip() for title, text in row_data.items() if is_slot_column(title)}
    return {title: text for title, text in cells.items() if text}


def name_key(text: str) -> str:
    """What two names have in common that people take for the same: all but case, blanks, hyphens, underscores."""
    plain = NO_WIDTH.sub(" ", unicodedata.normalize("NFC", text))
    return re.sub(r"[\s\-_]+", "_", plain.strip().casefold()).strip("_")
