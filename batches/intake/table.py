"""What a sheet may hold: the columns and the rules of a row, as data."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from jobs.models import PRIORITIES

Rule = Callable[[str], str | None]
"""Takes a cell's text and tells what is wrong with it; None when nothing is."""

JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,50}")
PSD_SUFFIXES = (".psd", ".psb")
PROJECT_SUFFIXES = (".aepx", ".aep")
PRIORITY_WORDS = {**PRIORITIES, "medium": PRIORITIES["normal"]}
BLANK = " \t\r\n\v\f\u00a0\u2007\u202f\u200b\u2060\ufeff"
MOST_COLUMNS = 200
NOT_IN_FILE_NAMES = '<>:"/\\|?*'
RESERVED_NAMES = frozenset(
    {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))}
)
"""Windows, where After Effects opens what we deploy, has no files of these names."""


@dataclass(frozen=True, kw_only=True)
class Column:
    name: str
    explanation: str
    example: str
    rule: Rule
    required: bool = False
    most_characters: int = 200


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row as it stands in the sheet. ``line`` is the line it begins on; in a workbook the number of its row.

    ``values`` are the cells in the order of the sheet's columns, padded to their number; ``surplus`` are cells beyond;
    ``faults`` are (place among the values, message) of what the format itself finds wrong.
    """

    line: int
    values: tuple[str, ...]
    surplus: tuple[str, ...] = ()
    faults: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong with a cell, in words; ``column`` is empty when it is the row."""

    column: str
    message: str


def _job_id(text: str) -> str | None:
    if JOB_ID.fullmatch(text):
        return None
    if len(text) > 50:
        return f"has {len(text)} characters; at most 50 are allowed."
    return f"{shown(text)} may only hold the letters A to Z, digits, '-' and '_'."


def _path_to(*suffixes: str) -> Rule:
    def rule(text: str) -> str | None:
        if unprintable(text):
            return "holds a character that cannot be in a file name."
        if _split(text.replace("\\", "/"))[1] not in suffixes:
            return f"{shown(text)} must end in {' or '.join(suffixes)}."
        return None

    return rule


def _output_name(text: str) -> str | None:
    bad = sorted({letter for letter in text if letter in NOT_IN_FILE_NAMES})
    stem, suffix = _split(text)
    if bad:
        return f"{shown(text)} must be a plain file name, without {' '.join(bad)}"
    if unprintable(text):
        return "holds a character that cannot be in a file name."
    if suffix not in PROJECT_SUFFIXES or text.startswith("."):
        return f"{shown(text)} must be a name that ends in .aep or .aepx."
    if stem.rstrip(" .") != stem or stem.split(".")[0].lower() in RESERVED_NAMES:
        return f"{shown(text)} is a name that Windows does not allow."
    return None


def _split(path: str) -> tuple[str, str]:
    """Stem and ending of a path's name, the ending in lower case; as pathlib has it, in a fraction of the time."""
    stem, dot, suffix = path.rpartition("/")[2].rpartition(".")
    return (stem, f".{suffix.lower()}") if stem and suffix else (f"{stem}{dot}{suffix}", "")


def _priority(text: str) -> str | None:
    if text.lower() in PRIORITY_WORDS:
        return None
    return f"{shown(text)} must be urgent, high, normal (or medium) or low."


def _words(text: str) -> str | None:
    if text.isprintable():
        return None
    kinds = {unicodedata.category(letter) for letter in text if letter not in "\t\r\n"}
    if "Cs" in kinds:
        return "holds half a character (a lone surrogate)."
    return "holds a control character." if "Cc" in kinds else None


def priority_of(text: str) -> int:
    """The priority that a good cell names; an empty one is normal."""
    return PRIORITY_WORDS[text.lower()] if text else PRIORITIES["normal"]


def tidy_name(cell: str) -> str:
    """A column's name as we write it: ``" Job ID "`` is ``job_id``."""
    return re.sub(r"[\s\-_]+", "_", cell.strip(BLANK).replace("\u00a0", " ").lower()).strip("_")


def unprintable(text: str) -> bool:
    """Control, format-free surrogate and line characters: nothing that a file name should hold."""
    return not text.isprintable() and any(unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in text)


def shown(text: str, most: int = 60) -> str:
    """A cell's text for a message: in quotation marks, shortened, on one line."""
    line = " ".join(text.split())
    return f"“{line if len(line) <= most else line[: most - 1] + '…'}”"


COLUMNS = (
    Column(
        name="job_id",
        required=True,
        rule=_job_id,
        most_characters=50,
        example="SPRING-001",
        explanation="The job's own name: letters, digits, '-' and '_', at most 50. Unique in the sheet and among the "
        "team's open jobs.",
    ),
    Column(
        name="psd_path",
        required=True,
        rule=_path_to(*PSD_SUFFIXES),
        most_characters=500,
        example="designs/spring-001.psd",
        explanation="The design (.psd or .psb): a path below the asset roots, or the name of a file sent along.",
    ),
    Column(
        name="aepx_path",
        required=True,
        rule=_path_to(*PROJECT_SUFFIXES),
        most_characters=500,
        example="templates/player-card.aepx",
        explanation="The After Effects template (.aepx or .aep), found in the same way. Many rows may share one.",
    ),
    Column(
        name="output_name",
        required=True,
        rule=_output_name,
        example="spring-001.aep",
        explanation="The name of the project to be delivered: a plain file name ending in .aep or .aepx, unique in "
        "the sheet.",
    ),
    Column(name="client_name", rule=_words, example="Northwind", explanation="Who it is for."),
    Column(name="project_name", rule=_words, example="Spring campaign", explanation="What it is part of."),
    Column(
        name="priority",
        rule=_priority,
        most_characters=20,
        example="high",
        explanation="urgent, high, normal (also: medium) or low. Without one: normal.",
    ),
    Column(
        name="notes",
        rule=_words,
        most_characters=10_000,
        example="Logo in the second colour",
        explanation="Whatever the reviewers should know.",
    ),
)
BY_NAME = {column.name: column for column in COLUMNS}
REQUIRED = tuple(column.name for column in COLUMNS if column.required)
MOST_CHARACTERS_UNKNOWN = 10_000


def cell_faults(cells: dict[str, str]) -> list[Fault]:
    """What is wrong with a row's cells, each looked at by itself."""
    faults = []
    for column in COLUMNS:
        text = cells.get(column.name, "")
        if not text:
            if column.required:
                faults.append(Fault(column=column.name, message="is empty."))
        elif (message := _too_long(text, column.most_characters) or column.rule(text)) is not None:
            faults.append(Fault(column=column.name, message=message))
    for name, text in cells.items():
        if name not in BY_NAME and (message := _too_long(text, MOST_CHARACTERS_UNKNOWN) or _words(text)) is not None:
            faults.append(Fault(column=name, message=message))
    return faults


def _too_long(text: str, most: int) -> str | None:
    return f"has {len(text)} characters; at most {most} are allowed." if len(text) > most else None


def file_name_key(name: str) -> str:
    """The same for names that are one file where upper and lower case are alike."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


class Repeats:
    """Finds values of a column that stand in an earlier row already, upper and lower case alike for file names."""

    def __init__(self, column: str) -> None:
        self.column = column
        self._first: dict[str, int] = {}

    def fault(self, line: int, text: str) -> Fault | None:
        """What is wrong with a text, by the rows that were asked about before."""
        key = file_name_key(text) if self.column == "output_name" else text
        first = self._first.setdefault(key, line)
        if first == line:
            return None
        return Fault(column=self.column, message=f"{shown(text)} is already used in line {first}.")
