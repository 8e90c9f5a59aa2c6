"""The page of one batch with its jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.paginator import Page
from django.db.models import OuterRef, Subquery, Sum
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from batches import actions
from batches.answers import CONFLICT, UNPROCESSABLE, page, person, roles_guarded, toast
from batches.board import ORDERS, Shown, digest, page_of
from batches.figures import Figures
from batches.forecast import stats_of
from batches.links.showing import status_of
from batches.models import Batch, LinkedSheet
from batches.naming import amend, external_ids_of
from batches.verbs import BATCH_VERBS, BatchVerb
from jobs import pauses
from jobs.errors import Conflict, Invalid
from jobs.models import Pause, StageRun
from jobs.states import VERBS, Role
from jobs.teams import is_lead, roles_of

KEYS = ("head", "seen", "pending", "paused", "eta", "r", "p")
CHANGES = "batches/changes.html"


def visible_batch(request: HttpRequest, pk: int) -> Any:
    """With ``pause_id``, None while it is not paused, and ``percent_under_way``, the sum of its running stages'."""
    pause = Pause.objects.filter(key=f"batch:{pk}").values("pk")
    # The team, too: the index of what runs begins with it.
    runs = StageRun.objects.filter(team=OuterRef("team"), batch=OuterRef("pk"), state=StageRun.RUNNING).order_by()
    done = Subquery(runs.values("batch").annotate(done=Sum("percent")).values("done"))
    batches = Batch.objects.visible_to(request.user).annotate(pause_id=Subquery(pause), percent_under_way=done)
    return get_object_or_404(batches.select_related("team", "created_by", "linked_sheet"), pk=pk)


@require_GET
def batch_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """The batch with a page of its jobs; ``batch_changes`` keeps it up to date."""
    return page(request, "batches/detail.html", detail_context(request, visible_batch(request, pk)))


def detail_context(request: HttpRequest, batch: Batch) -> dict[str, Any]:
    """What the whole page shows."""
    linked: LinkedSheet | None = getattr(batch, "linked_sheet", None)
    context = board_context(request, batch)
    sheet = {**status_of(linked), "operates": Role.OPERATOR in context["roles"]} if linked else {}
    return {**context, **sheet}


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What a look at the board finds out first; whether anything changed can be seen from it."""

    figures: Figures
    roles: frozenset[Role]
    page: Page[Any]
    shown: list[Shown]


def look(request: HttpRequest, batch: Batch) -> Looked:
    roles = roles_of(person(request), batch.team)
    found, shown = page_of(roles, batch, request.GET, total=batch.figures.total)
    return Looked(figures=batch.figures, roles=roles, page=found, shown=shown)


def pause_key(pause_id: int | None, figures: Figures) -> str:
    """Changes when the batch is paused or goes on, and when pausing it begins or ends to make sense."""
    return f"{pause_id or 0}.{int(figures.state == 'processing')}"


def forecast_key(batch: Any, figures: Figures) -> int:
    """Changes when a twentieth of the work under way has been done since: the forecast is another one, then."""
    return int((batch.percent_under_way or 0.0) / (5 * max(figures.counts["processing"], 1)))


def board_context(request: HttpRequest, batch: Batch, looked: Looked | None = None) -> dict[str, Any]:
    pause = Pause.objects.filter(key=pauses.of_batch(batch).key).select_related("by").first()
    stats = stats_of(batch, paused=pause is not None)
    figures = stats.figures
    looked = looked or look(request, batch)
    return {
        "title": batch.name,
        "batch": batch,
        "pause": pause,
        "pause_key": pause_key(pause.pk if pause else None, figures),
        "forecast_key": forecast_key(batch, figures),
        "summary": figures,
        "stats": stats,
        "page": looked.page,
        "shown": looked.shown,
        "orders": [(name, label) for name, (label, _) in ORDERS.items()],
        "asked": request.GET,
        "query": request.GET.urlencode(),
        "roles": looked.roles,
        "bulk": [(verb, VERBS[verb].label) for verb in actions.OPERATOR_VERBS],
        "external_ids": external_ids_of(batch),
        **head_context(request, batch, figures),
    }


def head_context(request: HttpRequest, batch: Batch, figures: Figures) -> dict[str, Any]:
    fitting = _fitting(batch, figures)
    lead = any(verb.leads_only for verb in fitting) and is_lead(person(request))
    verbs = [verb for verb in fitting if lead or not verb.leads_only]
    return {"batch_verbs": verbs, "head_key": head_key(batch, figures)}


def head_key(batch: Batch, figures: Figures) -> str:
    """Changes when what the page's head shows changes."""
    return digest(batch.name, batch.archived_at, [verb.name for verb in _fitting(batch, figures)])


def _fitting(batch: Batch, figures: Figures) -> list[BatchVerb]:
    return [verb for verb in BATCH_VERBS.values() if _fits(verb.name, batch, figures)]


def _fits(verb: str, batch: Batch, figures: Figures) -> bool:
    """Whether the verb makes sense now. Start, pause and resume have places of their own on the page."""
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
            return not counts["processing"]
        case _:
            return False


@require_GET
def batch_changes(request: HttpRequest, pk: int) -> HttpResponse:
    """What differs from what the browser shows; 204 when nothing does.

    ``head`` is the key of name and verbs, ``seen`` that of the figures, ``paused`` that of the pause, ``eta`` that of
    the forecast; ``r`` and ``p`` are ``<job>.<key>`` of each row and of each progress. When other jobs are on the page
    now, the whole board comes. What is drawn with the figures alone (templates) is looked up with them alone, the
    forecast's history with the forecast.
    """
    batch = visible_batch(request, pk)
    told = request.GET
    rows = dict(part.partition(".")[::2] for part in told.getlist("r"))
    bars = dict(part.partition(".")[::2] for part in told.getlist("p"))
    # What the browser tells about itself must not get into the links that are drawn from the address.
    request.GET = _without_keys(told)  # type: ignore[assignment]
    looked = look(request, batch)
    head: dict[str, Any] = {}
    if told.get("head") != head_key(batch, looked.figures):
        head = {**head_context(request, batch, looked.figures), "head_changed": True}
    if [str(one.job.pk) for one in looked.shown] != list(rows):
        return render(request, CHANGES, {**board_context(request, batch, looked), **head, "everything": True})
    changed = [one for one in looked.shown if rows[str(one.job.pk)] != one.key]
    renewed = {one.job.pk for one in changed}
    moved = [one for one in looked.shown if one.job.pk not in renewed and bars.get(str(one.job.pk)) != one.progress_key]
    pending = told.get("pending") != str(looked.figures.counts["pending"])
    paused = told.get("paused") != pause_key(batch.pause_id, looked.figures)
    figures = told.get("seen") != looked.figures.key
    forecast = told.get("eta") != str(forecast_key(batch, looked.figures))
    if not (changed or moved or figures or pending or paused or forecast or head):
        return HttpResponse(status=204)
    context: dict[str, Any] = {"batch": batch, "roles": looked.roles}
    if figures or pending or paused:
        context = board_context(request, batch, looked)
    elif forecast:
        stats = stats_of(batch, paused=batch.pause_id is not None)
        context |= {"stats": stats, "forecast_key": forecast_key(batch, looked.figures)}
    # With a pause the forecast is another one.
    parts = {"rows": changed, "bars": moved, "figures": figures or paused}
    parts |= {"start_changed": pending, "pause_changed": paused, "forecast_changed": forecast}
    return render(request, CHANGES, {**context, **parts, **head})


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
        summary = actions.apply(user, batch, verb, jobs, version=version, reason=request.POST.get("reason", "").strip())
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
        context = {**detail_context(request, batch), "notice": str(error), "sent": sent}
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
        query = request.GET.urlencode()
        return redirect(reverse("admin:batch", args=[batch.pk]) + (f"?{query}" if query else ""))
    if not htmx:
        return page(request, "batches/detail.html", {**detail_context(request, batch), "notice": words}, status=status)
    response = render(request, "batches/board.html", board_context(request, batch), status=status)
    return toast(response, words, level="success" if error is None else "error")
