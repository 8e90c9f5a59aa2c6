"""How much the names of layers and slots agree."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from rapidfuzz import fuzz, process

from rendering.matching.evidence import Evidence, Grid, Mask
from rendering.matching.vocabulary import EMPTY_WORDS, NUMBER_WORDS, PLAIN_WORDS, PURPOSES, SYNONYMS, WEAK

MAX_NAME_CHARACTERS = 200
MAX_NUMBER_DIGITS = 9
CHANCE = 0.40  # what two unrelated English words score by their shared letters
UNRELATED = 0.25  # two names without a common word do not contradict each other
UNMISTAKABLE = 0.8
NUMBER_SHARE = 0.4
ONE_SIDED_NUMBER = 0.6
PURPOSE_SHARED = 0.75
PURPOSE_CONFLICT = 0.15

_CANONICAL = {tuple(phrase.split()): word for word, phrases in SYNONYMS.items() for phrase in phrases}
_LONGEST_PHRASE = max(len(phrase) for phrase in _CANONICAL)
_VOCABULARY = frozenset(
    word for phrase in _CANONICAL for word in phrase if len(word) > 1
) | PLAIN_WORDS | {word for word in EMPTY_WORDS if len(word) > 3}  # fmt: skip
_CAMEL = re.compile(r"(?<=[a-zß-ÿ])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_PIECES = re.compile(r"[^\W\d_]+|\d+")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{2,4}$")
_KIND_PREFIX = re.compile(r"^(?:txt|img|vid|audio|color)_(?=.)", re.IGNORECASE)


@dataclass(frozen=True)
class Words:
    """A name taken apart: its words in the trade's own terms, and its numbers. ``text`` joins the words."""

    words: tuple[str, ...]
    numbers: tuple[int, ...]

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def telling(self) -> bool:
        return any(word not in WEAK for word in self.words)


def nearest_names(text: str, names: Sequence[str], *, most: int = 3) -> list[str]:
    """Those of the names that are most like a text, the most alike first, each once."""
    return [name for name, _, _ in process.extract(text, list(dict.fromkeys(names)), limit=most)]


@lru_cache(maxsize=8192)
def words_of(name: str) -> Words:
    """The words of a layer's, slot's or file's name; nothing for a default name such as ``Layer 12``."""
    plain = _KIND_PREFIX.sub("", _EXTENSION.sub("", name[:MAX_NAME_CHARACTERS].strip()))
    pieces = [piece for word in _PIECES.findall(_CAMEL.sub(" ", _unaccented(plain))) for piece in _segments(word)]
    pieces = _without_copy_suffix([piece.casefold() for piece in pieces])
    words, numbers = _words_and_numbers(pieces)
    telling = tuple(word for word in _canonical(words) if word not in EMPTY_WORDS)
    # The number of a default name counts how many layers were drawn before it.
    return Words(telling, numbers if telling else ())


def name_evidence(layers: Sequence[Words], slots: Sequence[Words], *, named_by_content: Mask) -> Evidence:
    """Similarity of names, 0..1. ``named_by_content`` (layers,) marks type layers whose name is just their text."""
    shape = (len(layers), len(slots))
    if 0 in shape:
        return Evidence(np.zeros(shape), np.zeros(shape, dtype=np.bool_))
    words = _word_similarity(layers, slots)
    equal, differ, one_sided = _number_grids(layers, slots)
    values = words.copy()
    values[equal] = (1 - NUMBER_SHARE) * words[equal] + NUMBER_SHARE
    values[differ] = (1 - NUMBER_SHARE) * words[differ]
    values[one_sided] = (1 - NUMBER_SHARE) * words[one_sided] + NUMBER_SHARE * ONE_SIDED_NUMBER * words[one_sided]
    telling = np.outer([name.telling for name in layers], [name.telling for name in slots])
    named = np.outer([bool(name.words) for name in layers], [bool(name.words) for name in slots])
    # A type layer that Photoshop named after its text has no name: it counts only where it hits.
    given = ~named_by_content[:, np.newaxis]
    known = named & ((given & (telling | equal | differ)) | (words >= UNMISTAKABLE))
    return Evidence(values, known)


def _word_similarity(layers: Sequence[Words], slots: Sequence[Words]) -> Grid:
    left, row_of = np.unique([name.text for name in layers], return_inverse=True)
    right, column_of = np.unique([name.text for name in slots], return_inverse=True)
    rows, columns = left.tolist(), right.tolist()
    whole = process.cdist(rows, columns, scorer=fuzz.token_sort_ratio, dtype=np.float32)
    contained = process.cdist(rows, columns, scorer=fuzz.token_set_ratio, dtype=np.float32)
    similarity = np.maximum(whole, 0.9 * contained).astype(np.float64) / 100
    similarity = UNRELATED + (1 - UNRELATED) * np.clip((similarity - CHANCE) / (1 - CHANCE), 0.0, 1.0)
    return _with_purposes(similarity, rows, columns)[np.ix_(row_of, column_of)]


def _with_purposes(similarity: Grid, rows: Sequence[str], columns: Sequence[str]) -> Grid:
    left, right = _purposes(rows), _purposes(columns)
    shared = left @ right.T > 0
    both = np.outer(left.any(axis=1), right.any(axis=1))
    background = PURPOSES.index("background")
    one_background = left[:, background][:, np.newaxis] != right[:, background][np.newaxis, :]
    conflict = (both & ~shared) | one_background
    lifted = np.where(shared, np.maximum(similarity, PURPOSE_SHARED), similarity)
    return np.where(conflict, np.minimum(lifted, PURPOSE_CONFLICT), lifted)


def _purposes(names: Sequence[str]) -> Grid:
    return np.array([[float(purpose in name.split()) for purpose in PURPOSES] for name in names])


def _number_grids(layers: Sequence[Words], slots: Sequence[Words]) -> tuple[Mask, Mask, Mask]:
    """Where both have the same number, where both have one and they differ, where only one side has one."""
    left = np.array([name.numbers[-1] if name.numbers else -1 for name in layers])[:, np.newaxis]
    right = np.array([name.numbers[-1] if name.numbers else -1 for name in slots])[np.newaxis, :]
    keys = {numbers: key for key, numbers in enumerate(sorted({name.numbers for name in (*layers, *slots)}))}
    whole_left = np.array([keys[name.numbers] for name in layers])[:, np.newaxis]
    whole_right = np.array([keys[name.numbers] for name in slots])[np.newaxis, :]
    lengths_left = np.array([len(name.numbers) for name in layers])[:, np.newaxis]
    lengths_right = np.array([len(name.numbers) for name in slots])[np.newaxis, :]
    both = (left >= 0) & (right >= 0)
    # "team 1 player 2" and "player 2" may agree; "team 1 player 2" and "team 2 player 2" do not.
    equal = both & ((whole_left == whole_right) | ((lengths_left != lengths_right) & (left == right)))
    return equal, both & ~equal, (left >= 0) != (right >= 0)


def _unaccented(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _without_copy_suffix(pieces: list[str]) -> list[str]:
    end = len(pieces)
    if end > 1 and pieces[-1].isdigit():
        end -= 1
    if end > 1 and pieces[end - 1] == "copy" and pieces[end - 2] != "body":
        return _without_copy_suffix(pieces[: end - 1])
    return pieces


def _words_and_numbers(pieces: Sequence[str]) -> tuple[list[str], tuple[int, ...]]:
    words: list[str] = []
    numbers: list[int] = []
    for place, piece in enumerate(pieces):
        if piece.isdigit():
            numbers.append(int(piece[-MAX_NUMBER_DIGITS:]))
        elif piece in NUMBER_WORDS:
            numbers.append(NUMBER_WORDS[piece])
        elif place and place == len(pieces) - 1 and len(piece) == 1 and "a" <= piece <= "h":
            numbers.append(ord(piece) - ord("a") + 1)
        else:
            words.append(piece)
    return words, tuple(numbers)


def _canonical(words: Sequence[str]) -> Iterator[str]:
    place = 0
    while place < len(words):
        for length in range(min(_LONGEST_PHRASE, len(words) - place), 0, -1):
            phrase = tuple(words[place : place + length])
            if phrase in _CANONICAL:
                yield _CANONICAL[phrase]
                break
        else:
            length = 1
            yield words[place]
        place += length


@lru_cache(maxsize=8192)
def _segments(word: str) -> tuple[str, ...]:
    """The fewest vocabulary words that make up this one (``featuredimage``), else the word itself."""
    small = word.casefold()
    if small in _VOCABULARY or len(small) < 5 or len(small) > 40:
        return (word,)
    best: list[tuple[str, ...] | None] = [()] + [None] * len(small)
    for end in range(1, len(small) + 1):
        for start in range(max(0, end - 14), end):
            head = best[start]
            if head is None or small[start:end] not in _VOCABULARY:
                continue
            current = best[end]
            if current is None or len(head) + 1 < len(current):
                best[end] = (*head, small[start:end])
    return best[-1] or (word,)
