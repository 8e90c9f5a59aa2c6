"""Matches PSD layers to slots: one global optimal assignment, every score with its parts and its runner-up."""

from rendering.matching.assignment import DEFAULT_THRESHOLD, can_fill, explain, match_layers
from rendering.matching.names import nearest_names
from rendering.matching.values import Match, Matching, RunnerUp

__all__ = ["DEFAULT_THRESHOLD", "Match", "Matching", "RunnerUp", "can_fill", "explain", "match_layers", "nearest_names"]
