"""What a check says about a file: one finding, with its evidence and its cure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["critical", "warning", "info"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """``code`` is stable snake_case (``missing_font``); ``object`` names the layer, comp, font or file."""

    code: str
    severity: Severity
    object: str
    message: str
    cure: str
    evidence: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
