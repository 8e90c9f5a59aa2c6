"""How much the contents of layers and slots agree: their texts and their pixels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process

from rendering.matching.evidence import Evidence, Grid
from rendering.pixels import read_png, scaled

MAX_TEXT_CHARACTERS = 300
LOOK_SHARE = 0.7  # the most that texts of one kind and length get when their words differ
THUMBNAIL_PX = 24
_LOOKS = (
    re.compile(r"\S+@\S+\.\S+"),
    re.compile(r"@\w+"),
    re.compile(r"(?:https?://|www\.)\S+|[\w-]+(?:\.[\w-]+)+", re.IGNORECASE),
    re.compile(r"[^\w\s]*[$€£¥]\s*\d.*|\d[\d.,]*\s*[$€£¥].*"),
    re.compile(r"[-+]?\d+([.,]\d+)?\s*%.*"),
    re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|.*\b(?:19|20)\d\d\b.*"),
    re.compile(r"\d{1,2}[:.]\d{2}.*"),
    re.compile(r"\W*\d[\d\s.,:-]*\W*"),
)


def text_evidence(layers: Sequence[str], slots: Sequence[str]) -> Evidence:
    """Agreement of a type layer's text with a slot's default text: the same words, or the same look and length."""
    shape = (len(layers), len(slots))
    if 0 in shape:
        return Evidence(np.zeros(shape), np.zeros(shape, dtype=np.bool_))
    left, right = [_normalised(text) for text in layers], [_normalised(text) for text in slots]
    same = process.cdist(left, right, scorer=fuzz.ratio, dtype=np.float32).astype(np.float64) / 100
    alike = np.equal.outer([_look(text) for text in left], [_look(text) for text in right])
    lengths = np.log1p(np.abs(np.log(np.divide.outer(_lengths(left), _lengths(right)))))
    look = LOOK_SHARE * (0.5 * alike + 0.5 * np.exp(-lengths))
    known = np.outer([bool(text) for text in left], [bool(text) for text in right])
    return Evidence(np.maximum(same, look), known)


def pixel_evidence(layers: Sequence[Path | None], slots: Sequence[Path | None]) -> Evidence:
    """Agreement of pictures, cropped to what they show: layout of light and colour, and mean colour.

    Raises FormatError for a picture that is missing or is no PNG.
    """
    left, left_known = _thumbnails(layers)
    right, right_known = _thumbnails(slots)
    layout = np.clip(_unit_rows(left) @ _unit_rows(right).T, 0.0, 1.0)
    means = left.reshape(len(layers), -1, 4).mean(axis=1), right.reshape(len(slots), -1, 4).mean(axis=1)
    color = 1 - np.linalg.norm(means[0][:, np.newaxis, :] - means[1][np.newaxis, :, :], axis=2) / 2
    return Evidence(0.6 * layout + 0.4 * color, np.outer(left_known, right_known))


def _normalised(text: str) -> str:
    return " ".join(text[:MAX_TEXT_CHARACTERS].casefold().split())


def _look(text: str) -> int:
    for look, pattern in enumerate(_LOOKS):
        if pattern.fullmatch(text):
            return look
    return len(_LOOKS) + (2 if len(text) > 60 else 1 if len(text.split()) > 4 else 0)


def _lengths(texts: Sequence[str]) -> NDArray[np.float64]:
    return np.array([max(1, len(text)) for text in texts], dtype=np.float64)


def _thumbnails(paths: Sequence[Path | None]) -> tuple[Grid, NDArray[np.bool_]]:
    known = np.array([path is not None for path in paths], dtype=np.bool_)
    rows = np.zeros((len(paths), THUMBNAIL_PX * THUMBNAIL_PX * 4))
    for row, path in enumerate(paths):
        if path is not None:
            rows[row] = _thumbnail(path)
    return rows, known


def _thumbnail(path: Path) -> NDArray[np.float64]:
    """Premultiplied RGBA 0..1 of what the picture shows, flattened; all zero for a picture that shows nothing."""
    rgba = read_png(path)
    alpha = rgba[..., 3]
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    if not len(rows):
        return np.zeros(THUMBNAIL_PX * THUMBNAIL_PX * 4)
    shown = rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    small = scaled(np.ascontiguousarray(shown), size_px=(THUMBNAIL_PX, THUMBNAIL_PX)).astype(np.float64) / 255
    small[..., :3] *= small[..., 3:]
    return np.asarray(small.ravel())


def _unit_rows(rows: Grid) -> Grid:
    centered = rows - rows.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(centered, axis=1, keepdims=True)
    units: Grid = centered / np.where(lengths > 1e-9, lengths, 1.0)
    return units
