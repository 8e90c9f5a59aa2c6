"""The fingerprint of a failure: the same for every run that failed for the same reason."""

from __future__ import annotations

import hashlib
import re

# In this order: an address holds paths, a path holds ids, an id holds numbers.
_PARTS = (
    (re.compile(r"https?://\S+"), "<address>"),
    (re.compile(r"""["'`´‘’“”„«»]"""), ""),
    (re.compile(r"(?:[A-Za-z]:)?[\w.@+~-]*(?:[/\\][\w.@+~ -]*\w[\w.@+~-]*)+"), "<path>"),
    (re.compile(r"[^\s:,;()]+\.(?:psd|psb|aep|aepx|png|jpe?g|mp4|mov|ttf|otf|ttc|csv|jsx|json)\b", re.I), "<path>"),
    (re.compile(r"\b[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\b", re.I), "<id>"),
    (re.compile(r"\b0x[0-9a-f]+\b", re.I), "<id>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{8,}\b", re.I), "<id>"),
    (re.compile(r"\d+(?:[.,:]\d+)*"), "<n>"),
    (re.compile(r"\s+"), " "),
)


def signature(error: str) -> str:
    """An error's text without what differs from one job to the next: paths, addresses, ids, numbers, quotes."""
    text = error[:2_000]
    for pattern, stands_for in _PARTS:
        text = pattern.sub(stands_for, text)
    return text.strip().lower()[:500]


def fingerprint(stage: int, error_class: str, error: str) -> str:
    """16 hex digits. Two failures share it when stage, class and signature are the same."""
    return hashlib.sha256(f"{stage}|{error_class}|{signature(error)}".encode()).hexdigest()[:16]
