"""Which batches a list shows and in which order, for the page and for the API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.db.models import Case, Count, Exists, IntegerField, OuterRef, Q, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce

from batches.models import BatchQuerySet, ExternalId
from batches.rollup import BATCH_STATES, state_expression
from jobs.models import PRIORITIES, Job

ORDERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "-created": ("Newest first", ("-id",)),
    "created": ("Oldest first", ("id",)),
    "-files": ("Most files", ("-files", "-id")),
    "files": ("Fewest files", ("files", "-id")),
    "-size": ("Largest", ("-size", "-id")),
    "size": ("Smallest", ("size", "-id")),
    "state": ("State", ("state_rank", "-id")),
    "name": ("Name", ("name", "-id")),
}
ARCHIVED = {"only": "Archived", "all": "All"}
PAGE_SIZES = (25, 50, 100, 200)
FILTERS = ("q", "state", "prefix", "client", "team", "priority", "who", "since", "until", "archived", "external")


def narrowed(batches: BatchQuerySet, asked: Mapping[str, str]) -> BatchQuerySet:
    """The batches that the filters of a page's address leave. What makes no sense filters nothing."""
    given = {name: asked.get(name, "").replace("\0", "").strip() for name in FILTERS}
    batches = _archived(batches, given["archived"])
    if given["state"] in BATCH_STATES:
        batches = batches.in_state(given["state"])
    if given["prefix"]:
        batches = batches.filter(prefix=given["prefix"])
    if given["client"]:
        batches = of_client(batches, given["client"])
    if given["priority"] in PRIORITIES:
        batches = of_priority(batches, PRIORITIES[given["priority"]])
    if given["team"].isascii() and given["team"].isdecimal() and len(given["team"]) < 18:
        batches = batches.filter(team_id=int(given["team"]))
    if given["who"]:
        batches = batches.filter(created_by__username=given["who"])
    if since := _date(given["since"]):
        batches = batches.filter(day__gte=since)
    if until := _date(given["until"]):
        batches = batches.filter(day__lte=until)
    if given["external"]:
        batches = with_external_id(batches, given["external"])
    return with_words(batches, given["q"]) if given["q"] else batches


def ordered(batches: BatchQuerySet, name: str) -> BatchQuerySet:
    """In one of the ``ORDERS``; newest first for any other name."""
    _, columns = ORDERS.get(name, ORDERS["-created"])
    return sortable(batches, *columns).order_by(*columns)


def sortable(batches: BatchQuerySet, *columns: str) -> BatchQuerySet:
    """Adds those of ``files``, ``size`` and ``state_rank`` that are among the columns to order by."""
    wanted = {column.lstrip("-") for column in columns}
    wanted |= {"derived_state"} if "state_rank" in wanted else set()
    found = {name: expression for name, expression in _sort_expressions().items() if name in wanted}
    return batches.annotate(**found)


def _sort_expressions() -> dict[str, Any]:
    mine = Job.objects.filter(batch=OuterRef("pk")).order_by().values("batch")
    ranks = [When(derived_state=state, then=Value(rank)) for rank, state in enumerate(BATCH_STATES)]
    return {
        "files": Coalesce(Subquery(mine.annotate(n=Count("pk")).values("n")), 0),
        "size": Coalesce(Subquery(mine.annotate(n=Sum("bytes_in") + Sum("bytes_out")).values("n")), 0),
        "derived_state": state_expression(),
        "state_rank": Case(*ranks, output_field=IntegerField()),
    }


def _archived(batches: BatchQuerySet, wanted: str) -> BatchQuerySet:
    return batches if wanted == "all" else batches.filter(archived_at__isnull=wanted != "only")


def of_client(batches: BatchQuerySet, client: str) -> BatchQuerySet:
    """Those with a job for the client."""
    return batches.filter(
        Exists(Job.objects.filter(team=OuterRef("team"), client_name=client, batch=OuterRef("pk")).order_by())
    )


def of_priority(batches: BatchQuerySet, rank: int) -> BatchQuerySet:
    """Those with a job of the priority."""
    return batches.filter(pk__in=Job.objects.filter(priority=rank).order_by().values("batch"))


def with_words(batches: BatchQuerySet, words: str) -> BatchQuerySet:
    """Those that have the words in a name, an external id, or the id or output of a job."""
    named = Q(name__icontains=words) | Q(directory_name__icontains=words)
    inside = Job.objects.filter(Q(job_id__icontains=words) | Q(output_name__icontains=words)).order_by()
    elsewhere = ExternalId.objects.filter(value__icontains=words).order_by()
    return batches.filter(named | Q(pk__in=inside.values("batch")) | Q(pk__in=elsewhere.values("batch")))


def with_external_id(batches: BatchQuerySet, text: str) -> BatchQuerySet:
    """``key`` finds those that have such an id, ``key:value`` that very one."""
    key, colon, value = text.partition(":")
    known = ExternalId.objects.filter(key=key, value=value) if colon else ExternalId.objects.filter(key=key)
    return batches.filter(pk__in=known.order_by().values("batch"))


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
