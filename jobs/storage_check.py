"""Whether records and stored files agree; works through any number of them in pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import islice

from django.core.files.storage import storages
from django.utils import timezone

from jobs.models import Asset, Deployment, Leftover
from jobs.storage import storage_named

PAGE = 500


def records_without_file(alias: str) -> Iterator[str]:
    """One line for each stored name that a record has, and that is not there or has another size."""
    storage = storage_named(alias)
    rows = (
        Asset.objects.filter(storage=alias, removed_at=None)
        .order_by("storage_name")
        .values_list("storage_name", "size_bytes", "pk")
    )
    seen = None
    for name, size_bytes, pk in rows.iterator(chunk_size=PAGE):
        if name == seen:
            continue
        seen = name
        try:
            found_bytes = storage.size(name)
        except FileNotFoundError:
            yield f"{alias}: {name} is missing (asset {pk})"
        else:
            if found_bytes != size_bytes:
                yield f"{alias}: {name} has {found_bytes} bytes instead of {size_bytes} (asset {pk})"


def files_without_record(alias: str, *, grace: timedelta) -> Iterator[str]:
    """One line for each stored file that no record names. Files younger than ``grace`` may be about to get theirs.

    Leftovers that wait for their end (``jobs.leftovers``) are known, and not told.
    """
    return (f"{alias}: {name} has no record" for name in _strays(alias, grace))


def let_go(*, grace: timedelta) -> int:
    """Notes contents without a record as leftovers, which the sweep deletes a day later if they are still nobody's.

    Only of the default storage: in ``outputs`` may lie what people have put there. Returns how many.
    """
    noted = 0
    found = _leftovers("default", grace)
    while page := list(islice(found, PAGE)):
        noted += len(Leftover.objects.bulk_create(page))
    return noted


def _leftovers(alias: str, grace: timedelta) -> Iterator[Leftover]:
    storage = storage_named(alias)
    for name in _strays(alias, grace):
        with suppress(FileNotFoundError):  # it went in this moment
            yield Leftover(storage=alias, storage_name=name, size_bytes=storage.size(name))


def _strays(alias: str, grace: timedelta) -> Iterator[str]:
    names = storage_named(alias).names()
    limit = timezone.now() - grace
    while page := list(islice(names, PAGE)):
        recorded = Asset.objects.filter(storage=alias, storage_name__in=page, gone_at=None).order_by()
        waiting = Leftover.objects.filter(storage=alias, storage_name__in=page, gone_at=None).order_by()
        known = set(
            recorded.values_list("storage_name", flat=True).union(waiting.values_list("storage_name", flat=True))
        )
        strangers = [name for name in page if name not in known]
        if alias == "outputs":
            strangers = [name for name in strangers if not _is_planned(name)]
        for name in strangers:
            try:
                young = storages[alias].get_modified_time(name) > limit
            except FileNotFoundError:
                continue  # it went in this moment
            if not young:
                yield name


def _is_planned(name: str) -> bool:
    folders = [name[:at] for at, letter in enumerate(name) if letter == "/"]
    return Deployment.objects.filter(state=Deployment.PLANNED, folder__in=folders).exists()
