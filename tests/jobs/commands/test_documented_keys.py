"""docs/formats.md names every key that the commands print, and every code that a finding can have."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rendering.matching.features import WEIGHTS

ROOT = Path(__file__).resolve().parent.parent.parent.parent
PAGE = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
WORDS = frozenset(word.removesuffix("[]") for word in re.findall(r"`([^`\n]+)`", PAGE))
CODED = ("rendering/aftereffects/findings.py", "rendering/photoshop_findings.py", "rendering/matching_findings.py")


def keys_of(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from keys_of(child)


def test_every_key_is_named(ask: Callable[..., dict[str, Any]], psd: Path, template: Path, font_folder: Path) -> None:
    # Without its fonts, the project and the document have findings too.
    answers = [
        ask("inspect", psd),
        ask("inspect", template),
        ask("match", psd, template),
        ask("validate_project", template),
    ]
    keys = {key for answer in answers for key in keys_of(answer)}
    assert {"compositions", "runs", "runner_up", "cure", "clean"} <= keys
    assert sorted(keys - WORDS) == []
    assert {feature for weights in WEIGHTS.values() for feature in weights} <= WORDS


def test_every_code_of_a_finding_is_named() -> None:
    sources = [*(ROOT / name for name in CODED), *(ROOT / "rendering" / "validation").glob("*.py")]
    codes = {code for path in sources for code in re.findall(r'code="(\w+)"', path.read_text(encoding="utf-8"))}
    assert len(codes) > 10
    assert sorted(codes - WORDS) == []
