"""The page of one batch with its jobs."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from batches import actions
from batches.answers import CONFLICT, UNPROCESSABLE, page, person, roles_guarded, toast
from batches.board import ORDERS, page_of
from batches.figures import Figures
from batches.forecast import describe, stats_of
from batches.models import Batch
from batches.naming import amend, external_ids_of
from batches.verbs import BATCH_VERBS, may_delete
from jobs import pauses
from jobs.errors import Conflict, Invalid
from jobs.models import Pause
from jobs.states import VERBS
from jobs.teams import roles_of

KEYS = ("seen", "pending", "r", "p")


def visible_batch(request: HttpRequest, pk: int) -> Batch:
    return get_object_or_404(Batch.objects.visible_to(request.user).select_related("team", "created_by"), pk=pk)


@require_GET
def batch_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """The batch with a page of its jobs; ``batch_changes`` keeps it up to date."""
    return page(request, "batches/detail.html", board_context(request, visible_batch(request, pk)))


def board_context(request: HttpRequest, batch: Batch) -> dict[str, Any]:
    user = person(request)
    found, shown = page_of(user, batch, request.GET)
    stats = stats_of(batch)
    figures = stats.figures
    return {
        "title": batch.name,
        "batch": batch,
        "pause": Pause.objects.filter(key=pauses.of_batch(batch).key).select_related("by").first(),
        "summary": figures,
        "stats": stats,
        "words": describe(batch, figures, stats.templates),
        "page": found,
        "shown": shown,
        "orders": [(name, label) for name, (label, _) in ORDERS.items()],
        "asked": request.GET,
        "query": request.GET.urlencode(),
        "roles": roles_of(user, batch.team),
        "bulk": [(verb, VERBS[verb].label) for verb in actions.OPERATOR_VERBS],
        "external_ids": external_ids_of(batch),
        "batch_verbs": [verb for verb in BATCH_VERBS.values() if _fits(verb.name, user, batch, figures)],
    }


def _fits(verb: str, user: User, batch: Batch, figures: Figures) -> bool:
    """Whether the verb is offered on the page now. Start, pause and resume have places of their own."""
    counts = figures.counts
    match verb:
        case "retry":
            return bool(counts["failed"])
        case "cancel":
            return figures.total > counts["completed"] + counts["cancelled"]
        case "archive":
            return batch.archived_at is None and not counts["processing"]
        case "unarchive":
            return batch.archived_at is not None
        case "delete":
            return may_delete(user) and not counts["processing"]
        case _:
            return False


@require_GET
def batch_changes(request: HttpRequest, pk: int) -> HttpResponse:
    """What differs from what the browser shows; 204 when nothing does.

    ``seen`` is the key of the figures; ``r`` and ``p`` are ``<job>.<key>`` of each row and of each progress. When
    other jobs are on the page now, the whole board comes.
    """
    batch = visible_batch(request, pk)
    told = request.GET
    rows = dict(part.partition(".")[::2] for part in told.getlist("r"))
    bars = dict(part.partition(".")[::2] for part in told.getlist("p"))
    # What the browser tells about itself must not get into the links that are drawn from the address.
    request.GET = _without_keys(told)  # type: ignore[assignment]
    context = board_context(request, batch)
    shown = context["shown"]
    if [str(one.job.pk) for one in shown] != list(rows):
        context["everything"] = True
    else:
        context["rows"] = [one for one in shown if rows[str(one.job.pk)] != one.key]
        renewed = {one.job.pk for one in context["rows"]}
        context["bars"] = [
            one for one in shown if one.job.pk not in renewed and bars.get(str(one.job.pk)) != one.progress_key
        ]
    context["figures"] = told.get("seen") != context["summary"].key
    context["start_changed"] = told.get("pending") != str(context["summary"].counts["pending"])
    if not any(context.get(name) for name in ("everything", "rows", "bars", "figures", "start_changed")):
        return HttpResponse(status=204)
    return render(request, "batches/changes.html", context)


def _without_keys(told: QueryDict) -> QueryDict:
    query = told.copy()
    for name in KEYS:
        query.pop(name, None)
    return query


@require_POST
@roles_guarded
def batch_start(request: HttpRequest, pk: int) -> HttpResponse:
    """Starts all pending jobs, or the ``first`` so many."""
    batch = visible_batch(request, pk)
    number = request.POST.get("first", "").strip()
    try:
        if number and not (number.isdecimal() and number.isascii() and len(number) < 10):
            raise Invalid(f"“{number[:20]}” is not a number of jobs.", field="first")
        started = actions.start(person(request), batch, first=int(number) if number else None)
    except (Conflict, Invalid) as error:
        return _board(request, batch, str(error), error)
    jobs = "1 job is" if started == 1 else f"{started} jobs are"
    return _board(request, batch, f"{jobs} queued for ingestion.", None)


@require_POST
@roles_guarded
def batch_act(request: HttpRequest, pk: int) -> HttpResponse:
    """Applies ``verb`` to every ``job`` that is ticked, or to the one that ``single`` names (verb:job:version)."""
    batch = visible_batch(request, pk)
    user = person(request)
    try:
        verb, ids, version = _asked_action(request)
        jobs = batch.jobs.filter(pk__in=ids).order_by("row_line", "id")
        if not ids or len(jobs) != len(ids):
            raise Invalid("Tick the jobs first." if not ids else "A job is not part of this batch.", field="job")
        summary = actions.apply(user, batch, verb, jobs, version=version)
        if not summary.moved:
            raise Conflict(summary.refused[0])
    except (Conflict, Invalid) as error:
        return _board(request, batch, str(error), error)
    return _board(request, batch, summary.text, None)


@require_POST
@roles_guarded
def batch_pause(request: HttpRequest, pk: int) -> HttpResponse:
    """Pauses or resumes (``verb``) the work of a batch."""
    batch = visible_batch(request, pk)
    asked = request.POST
    try:
        words = pauses.apply(
            person(request), pauses.of_batch(batch), asked.get("verb", ""), reason=asked.get("reason", "")
        )
    except (Conflict, Invalid) as error:
        return _board(request, batch, str(error), error)
    return _board(request, batch, words, None)


@require_POST
@roles_guarded
def batch_amend(request: HttpRequest, pk: int) -> HttpResponse:
    """Changes name, prefix, description and external ids (``key`` and ``value``, as often as there are ids)."""
    batch = visible_batch(request, pk)
    sent = request.POST
    try:
        amend(
            person(request),
            batch,
            name=sent.get("name"),
            prefix=sent.get("prefix"),
            description=sent.get("description"),
            external_ids=_sent_ids(sent) if "key" in sent else None,
        )
    except (Conflict, Invalid) as error:
        status = CONFLICT if isinstance(error, Conflict) else UNPROCESSABLE
        context = {**board_context(request, batch), "notice": str(error), "sent": sent}
        return page(request, "batches/detail.html", context, status=status)
    messages.success(request, "Saved.")
    return redirect("admin:batch", batch.pk)


def _sent_ids(sent: QueryDict) -> dict[str, str]:
    pairs = [
        (key.strip(), value.strip()) for key, value in zip(sent.getlist("key"), sent.getlist("value"), strict=False)
    ]
    pairs = [(key, value) for key, value in pairs if value]
    keys = [key for key, _ in pairs]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise Invalid(f"The external id {twice[:60]!r} stands there twice.", field="external_ids")
    return dict(pairs)


def _asked_action(request: HttpRequest) -> tuple[str, set[int], int | None]:
    single = request.POST.get("single", "")
    if single:
        verb, _, rest = single.partition(":")
        job, _, version = rest.partition(":")
        numbers = [job, version]
    else:
        verb, version = request.POST.get("verb", ""), ""
        numbers = request.POST.getlist("job")
    if not all(number.isdecimal() and number.isascii() and len(number) < 18 for number in numbers):
        raise Invalid("That is not the number of a job.", field="job")
    return (verb, {int(numbers[0])}, int(version)) if single else (verb, {int(number) for number in numbers}, None)


def _board(request: HttpRequest, batch: Batch, words: str, error: Conflict | Invalid | None) -> HttpResponse:
    """The answer after an action: the fresh board for HTMX, else back to the page (or the page itself on an error)."""
    status = 200 if error is None else CONFLICT if isinstance(error, Conflict) else UNPROCESSABLE
    htmx = bool(request.headers.get("HX-Request"))
    if error is None and not htmx:
        messages.success(request, words)
        return redirect("admin:batch", batch.pk)
    context = board_context(request, batch)
    if not htmx:
        return page(request, "batches/detail.html", {**context, "notice": words}, status=status)
    response = render(request, "batches/board.html", context, status=status)
    return toast(response, words, level="success" if error is None else "error")
