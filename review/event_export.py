"""The history as files, written while they are read from the database: a page of rows is in memory at any time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.db.models import Max, QuerySet
from rest_framework.serializers import DateTimeField

from jobs.csv_files import written
from jobs.models import Event
from jobs.states import Stage, State, public_state
from review.serializers import EventSerializer

PAGE = 1_000
COLUMNS = EventSerializer.Meta.fields
SOURCE = {
    **{"actor": "actor__username", "team": "team__slug", "job_id": "job__job_id"},
    **{"number": "seal__number", "position": "seal__position", "digest": "seal__digest"},
}
SOURCES = [SOURCE.get(name, name) for name in COLUMNS]
MOMENT = DateTimeField()


def rows(events: QuerySet[Event], key: str) -> Iterator[dict[str, Any]]:
    """The events as the API shows them, by ``key`` (pk or seal__number) upwards, without those written meanwhile."""
    end = events.order_by().aggregate(end=Max(key))["end"]
    if end is None:
        return
    left = events.order_by(key).filter(**{f"{key}__lte": end}).values_list(*SOURCES)
    at = SOURCES.index("id" if key == "pk" else key)
    last = -1
    while page := list(left.filter(**{f"{key}__gt": last})[:PAGE]):
        for values in page:
            yield _shown(dict(zip(COLUMNS, values, strict=True)))
        last = page[-1][at]


def _shown(event: dict[str, Any]) -> dict[str, Any]:
    """As EventSerializer shows it, which takes ten times as long; a test compares the two."""
    event["at"] = MOMENT.to_representation(event["at"])
    for end in ("from", "to"):
        stage, state = event[f"{end}_stage"], f"{end}_state"
        event[state] = "" if stage is None else public_state(Stage(stage), State(event[state]))
    return event


def as_json_lines(events: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    for event in events:
        yield _encoded(json.dumps(event, ensure_ascii=False) + "\n")


def as_csv(events: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """UTF-8 with BOM, comma, CRLF, as Excel takes it. ``data`` is JSON."""
    yield from written(_records(events))


def _records(events: Iterator[dict[str, Any]]) -> Iterator[list[str]]:
    yield list(COLUMNS)
    for event in events:
        cells = {**event, "data": json.dumps(event["data"], ensure_ascii=False)}
        yield ["" if cells[name] is None else str(cells[name]) for name in COLUMNS]


def _encoded(text: str) -> bytes:
    # Half a surrogate pair, which JSON can hold and UTF-8 cannot, stays the escape that it was.
    return text.encode("utf-8", "backslashreplace")
