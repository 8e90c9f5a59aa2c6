"""Which column of a foreign sheet is which of ours: by name, by the trade's other words for it, by likeness."""

from __future__ import annotations

import difflib
import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batches.intake.table import BY_NAME, COLUMNS, REQUIRED, shown, tidy_name
from jobs.errors import Invalid
from jobs.slot_columns import is_slot_column

SAME, WORD, ALIKE, REMEMBERED, CHOSEN = "same", "word", "alike", "remembered", "chosen"
ALIKE_FROM = 0.82
OTHER_WORDS: dict[str, tuple[str, ...]] = {
    "job_id": (
        "job", "id", "job no", "job nr", "job number", "job name", "nr", "no", "number", "key", "reference", "ref",
        "order", "order id", "order number", "ticket", "auftrag", "auftrags id", "auftrags nr", "auftragsnummer",
        "nummer", "kennung", "numero", "référence", "referencia",
    ),
    "psd_path": (
        "psd", "psb", "psd file", "psd name", "psd filename", "photoshop", "photoshop file", "photoshop document",
        "design", "design file", "artwork", "layout", "source file", "psd datei", "photoshop datei", "entwurf",
        "fichier psd", "archivo psd",
    ),
    "aepx_path": (
        "aepx", "aep", "aepx file", "aep file", "aep path", "after effects", "after effects file", "ae file",
        "ae project", "ae template", "template", "template file", "template path", "project file", "vorlage",
        "vorlagendatei", "ae vorlage", "aep datei", "projektdatei", "modèle", "gabarit", "plantilla",
    ),
    "output_name": (
        "output", "output file", "output filename", "output file name", "out", "deliverable", "delivery name",
        "delivery file", "result", "result name", "target", "target name", "export name", "final name", "ausgabe",
        "ausgabename", "ausgabedatei", "zieldatei", "zielname", "ergebnis", "sortie", "nom de sortie", "salida",
    ),
    "client_name": (
        "client", "customer", "customer name", "account", "kunde", "kundenname", "auftraggeber", "cliente",
    ),
    "project_name": (
        "project", "campaign", "campaign name", "projekt", "projektname", "kampagne", "projet", "campagne", "proyecto",
    ),
    "priority": ("prio", "urgency", "priorität", "prioritaet", "dringlichkeit", "priorité", "prioridad"),
    "notes": (
        "note", "comment", "comments", "remark", "remarks", "notiz", "notizen", "bemerkung", "bemerkungen", "hinweis",
        "hinweise", "kommentar", "anmerkung", "anmerkungen", "commentaire", "notas",
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The sheet's column, by its tidied title, that stands for one of ours, and ``how`` we came to it."""

    title: str
    how: str


Mapped = dict[str, Choice]
"""By the names of our columns; those without a column in the sheet are not in it."""


def propose(titles: Sequence[str], *, remembered: Mapping[str, str] | None = None) -> Mapped:
    """Which of the tidied titles stand for our columns. What the team chose for this header goes before all else."""
    if remembered is not None:
        return {name: Choice(title=title, how=REMEMBERED) for name, title in remembered.items() if title in titles}
    found = {name: Choice(title=name, how=SAME) for name in BY_NAME if name in titles}
    titles = [title for title in titles if not is_slot_column(title)]
    for how, scores in ((WORD, _by_words(titles)), (ALIKE, _by_likeness(titles))):
        taken = {choice.title for choice in found.values()}
        for _, name, title in sorted(scores, key=lambda score: -score[0]):
            if name not in found and title not in taken:
                found[name] = Choice(title=title, how=how)
                taken.add(title)
    return found


def missing(mapped: Mapping[str, object]) -> list[str]:
    """Our required columns that nothing stands for."""
    return [name for name in REQUIRED if name not in mapped]


def chosen(given: Mapping[str, str], titles: Sequence[str]) -> Mapped:
    """A person's mapping {our column: title in the sheet}; an empty title leaves a column out.

    Raises Invalid (field ``mapping``) for columns that do not exist on either side, or a title that stands for two.
    """
    mapped: Mapped = {}
    for name, title in given.items():
        if name not in BY_NAME:
            names = ", ".join(column.name for column in COLUMNS)
            raise Invalid(f"There is no column {shown(name)} to map to. There are: {names}.", field="mapping")
        tidy = tidy_name(title)
        if not tidy:
            continue
        if tidy not in titles:
            raise Invalid(f"The sheet has no column {shown(title)} to take as {name}.", field="mapping")
        twice = next((other for other, choice in mapped.items() if choice.title == tidy), None)
        if twice:
            raise Invalid(f"The column {shown(title)} cannot be both {twice} and {name}.", field="mapping")
        mapped[name] = Choice(title=tidy, how=CHOSEN)
    return mapped


def fingerprint(titles: Sequence[str]) -> str:
    """The same for headers of the same titles in any order: SHA-256, hex."""
    return hashlib.sha256("\n".join(sorted(titles)).encode("utf-8", "replace")).hexdigest()


def fitness(cells: Sequence[str]) -> int:
    """How many of our columns a row of cells names in words that we know: what tells a header from other rows."""
    plain = {_plain(tidy_name(cell)) for cell in cells if cell}
    return sum(bool(plain & words) for words in _WORDS.values())


def _plain(title: str) -> str:
    """Without accents, punctuation and endings such as ``(optional)``."""
    text = unicodedata.normalize("NFKD", title.casefold().replace("ß", "ss"))
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    text = re.sub(r"\(.*?\)|\[.*?\]", " ", text)
    return " ".join(re.sub(r"[^\w]+|_", " ", text).split())


_WORDS = {name: frozenset(_plain(word) for word in (name, *words)) for name, words in OTHER_WORDS.items()}


def _by_words(titles: Sequence[str]) -> list[tuple[float, str, str]]:
    return [(1.0, name, title) for title in titles for name, words in _WORDS.items() if _plain(title) in words]


def _by_likeness(titles: Sequence[str]) -> list[tuple[float, str, str]]:
    scores = []
    for title in titles:
        plain = _plain(title)[:60]
        for name, words in _WORDS.items():
            for word in difflib.get_close_matches(plain, words, n=1, cutoff=ALIKE_FROM):
                scores.append((difflib.SequenceMatcher(None, word, plain).ratio(), name, title))
    return scores
