"""Output names are unique in a batch: who may take one that another job has now."""

from __future__ import annotations

from collections.abc import Mapping

from batches.intake.table import file_name_key
from batches.models import Batch

Claimant = int | str
"""A job that wants another name, by its key; or a new row, by its job id."""


def held_names(batch: Batch) -> dict[str, int]:
    """The jobs of a batch by their output names, cancelled ones too."""
    names = batch.jobs.order_by().values_list("output_name", "pk")
    return {file_name_key(name): pk for name, pk in names.iterator(chunk_size=1000)}


def clashes(holders: Mapping[str, int], wanted: Mapping[Claimant, str]) -> dict[Claimant, int]:
    """Those who cannot have the name that they want, with the job whose name it stays.

    A job that gets another name gives up its own, which one of the others may take; one that does not, does not.
    """
    own = {job: name for name, job in holders.items()}
    claimants = {name: who for who, name in wanted.items()}
    blocked: dict[Claimant, int] = {}
    open_yet = list(wanted)
    while open_yet:
        who = open_yet.pop()
        holder = holders.get(wanted[who])
        gives_up = holder in wanted and holder not in blocked
        if who in blocked or holder is None or holder == who or gives_up:
            continue
        blocked[who] = holder
        if isinstance(who, int) and own.get(who) in claimants:
            open_yet.append(claimants[own[who]])
    return blocked


def trading(holders: Mapping[str, int], wanted: Mapping[Claimant, str]) -> list[int]:
    """Jobs that take a name from one another: each takes one, or gives one up, and they must move together."""
    together: set[int] = set()
    for who, name in wanted.items():
        holder = holders.get(name)
        if isinstance(who, int) and holder is not None and holder != who:
            together |= {who, holder}
    return sorted(together)
