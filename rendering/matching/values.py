"""What a matching says, as plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RunnerUp:
    layer_id: int
    layer_name: str
    score: float


@dataclass(frozen=True, kw_only=True)
class Match:
    """``score`` is 0..100; ``parts`` are the weighted points that add up to it, by feature."""

    layer_id: int
    layer_name: str
    slot_id: str
    slot_name: str
    score: float
    parts: dict[str, float]
    runner_up: RunnerUp | None


@dataclass(frozen=True, kw_only=True)
class Matching:
    """``kept`` are PSD layer ids without a slot, ``unfilled`` slot ids without a layer.

    ``scores[slot_id][layer_id]`` is the whole matrix, 0..100.
    """

    matches: tuple[Match, ...]
    kept: tuple[int, ...]
    unfilled: tuple[str, ...]
    scores: dict[str, dict[int, float]]
