"""Contents of records that are deleted: of uploads and sent files that nobody wanted, of results that were made anew;
and of uploads whose process was killed between storing them and the end of its transaction.

The same bytes are stored once for all, also for whoever stores them in this moment, so a content goes in two steps, as
those of ``jobs.retention`` do: with its record a leftover is noted, and ``GRACE`` later the content is deleted if no
record names it. Whoever stores the same bytes in between takes the leftover's lock and begins the time anew.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db import transaction
from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import Now

from jobs.models import Asset, Event, Leftover, Team
from jobs.retention import AT_ONCE, GRACE
from jobs.storage import storage_named

logger = logging.getLogger(__name__)
RULE = "leftovers"
"""What the history calls it, where it names the rules of a team's policy."""


def delete_records(assets: QuerySet[Asset]) -> None:
    """Deletes records and notes their contents, in the caller's transaction. Raises ProtectedError for one in use."""
    contents = list(assets.order_by().values_list("team_id", "storage", "storage_name", "size_bytes"))
    assets.delete()
    Leftover.objects.bulk_create(
        Leftover(team_id=team, storage=storage, storage_name=name, size_bytes=size)
        for team, storage, name, size in contents
    )


@contextmanager
def foreseen(team: Team, contents: Iterable[tuple[str, int]]) -> Iterator[None]:
    """Notes contents (name in the default storage, bytes) before the transaction that stores and names them begins.

    The notes go when it is over. When it fails, or its process is killed, they are leftovers like any others.
    """
    notes = Leftover.objects.bulk_create(
        Leftover(team=team, storage="default", storage_name=name, size_bytes=size) for name, size in contents
    )
    yield
    Leftover.objects.filter(pk__in=[note.pk for note in notes]).delete()


def waiting(team: Team) -> tuple[int, int]:
    """How many leftovers of the team wait for their end, and their bytes. Some may turn out to be somebody else's."""
    rows = Leftover.objects.filter(team=team, gone_at=None)
    figures = rows.aggregate(files=Count("storage_name", distinct=True), size=Sum("size_bytes", default=0))
    return figures["files"], figures["size"]


def sweep() -> int:
    """Deletes what has been nobody's for ``GRACE``, at most AT_ONCE contents. Returns how many went; what was foreseen
    and never stored does not count.

    The history of each team tells how much of its went.
    """
    Leftover.objects.filter(gone_at__lt=Now() - GRACE).delete()
    old = Leftover.objects.filter(gone_at=None, since__lt=Now() - GRACE).order_by("since", "id")
    contents = dict.fromkeys(old.values_list("storage", "storage_name")[:AT_ONCE])
    gone = [row for alias, name in contents for row in _look_at(alias, name)]
    sizes: dict[int, list[int]] = defaultdict(list)
    for row in gone:
        if row.team_id is not None:
            sizes[row.team_id].append(row.size_bytes)
        logger.info("%s %s was nobody's any more and was deleted", row.storage, row.storage_name)
    for team_id, its in sizes.items():
        data = {"rule": RULE, "files": len(its), "bytes": sum(its)}
        Event.objects.create(team_id=team_id, verb="remove_files", data=data)
    return len(gone)


def _look_at(alias: str, name: str) -> list[Leftover]:
    """Deletes a content that is nobody's, under the locks that ``jobs.store`` takes when it stores the same again.

    Returns the leftover that went, the oldest of those of one content. Those of a content that a record names are
    dropped: it is that record's.
    """
    with transaction.atomic():
        rows = list(Leftover.objects.select_for_update().filter(storage=alias, storage_name=name, gone_at=None))
        keys = [row.pk for row in rows]
        if Asset.objects.filter(storage=alias, storage_name=name, gone_at=None).exists():
            Leftover.objects.filter(pk__in=keys).delete()
            return []
        if not rows or Leftover.objects.filter(pk__in=keys, since__gte=Now() - GRACE).exists():
            return []
        storage = storage_named(alias)
        was_there = storage.exists(name)
        storage.delete(name)
        # The rows stay for a while: who stores the bytes again in this moment waits for their locks, and finds them.
        Leftover.objects.filter(pk__in=keys).update(gone_at=Now())
    return rows[:1] if was_there else []
