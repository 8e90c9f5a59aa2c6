"""What the drawing leaves out or only approximates, so that people can judge a preview."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FidelityNote:
    """``code`` is stable snake_case (``effect_not_drawn``); ``object`` names the comp, layer, font or file."""

    code: str
    object: str
    message: str


class NoteBook:
    """Collects notes in the order in which they come, each once."""

    def __init__(self) -> None:
        self._notes: dict[FidelityNote, None] = {}

    def add(self, code: str, subject: str, message: str) -> None:
        self._notes.setdefault(FidelityNote(code=code, object=subject, message=message))

    @property
    def notes(self) -> tuple[FidelityNote, ...]:
        return tuple(self._notes)
