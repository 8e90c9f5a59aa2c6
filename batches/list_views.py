"""The list of batches: filters, order and page in the address, what is at work, and verbs on many batches at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.paginator import Page, Paginator
from django.db.models import CharField, Exists, OuterRef, QuerySet, Value
from django.db.models.functions import Cast, Concat
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from batches.answers import CONFLICT, UNPROCESSABLE, page, person, roles_guarded
from batches.board import digest, page_of
from batches.figures import attach
from batches.forecast import by_stage, of_batch, parts_done
from batches.intake.opening import errand_of
from batches.listing import ARCHIVED, FILTERS, ORDERS, PAGE_SIZES, narrowed, ordered
from batches.models import Batch, BatchQuerySet, Upload
from batches.rollup import BATCH_STATES
from batches.verbs import BATCH_VERBS, MOST_BATCHES, BatchVerb, act_on_many, require_lead, verb_of
from jobs import clock
from jobs.errors import Conflict, Invalid
from jobs.forecast import Forecast, History, history_of
from jobs.models import PRIORITIES, Job, Membership, Pause, StageRun
from jobs.states import Role, Stage
from jobs.teams import is_lead, roles_of

MOST_CHOICES = 300
MOST_NAMED = 12
QUESTION = ("verb", "batch", "all")
INSIDE = 20
"""Jobs that are shown inside the row of a batch."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A batch with what is at work in it. ``key`` changes when what the row shows changes."""

    batch: Any
    running: tuple[StageRun, ...]
    forecast: Forecast | None
    rate_per_minute: float

    @property
    def key(self) -> str:
        work = [(run.pk, run.step, round(run.percent)) for run in self.running]
        return digest(self.batch.figures.key, self.batch.is_paused, self.batch.name, self.batch.archived_at, work)


@require_GET
def batch_list(request: HttpRequest) -> HttpResponse:
    """The batches of the person's teams; ``batch_list_changes`` keeps them up to date."""
    return page(request, "batches/list.html", list_context(request))


@require_GET
def batches_on_their_way(request: HttpRequest) -> HttpResponse:
    """The large sheets whose batches are being opened, for the list to show; when none is left, the list anew."""
    found = Upload.objects.visible_to(request.user).filter(state=Upload.OPENING, updates=None).select_related("sheet")
    rows = [{"upload": upload, "errand": errand_of(upload)} for upload in found.order_by("pk")[:MOST_NAMED]]
    response = render(request, "batches/on_their_way.html", {"rows": rows})
    if not rows and request.GET.get("shown"):
        response["HX-Refresh"] = "true"
    return response


def list_context(request: HttpRequest) -> dict[str, Any]:
    user, asked = person(request), request.GET
    found = _page(user, asked)
    members = Membership.objects.visible_to(user).select_related("team", "user")
    teams = {member.team for member in members}
    operated = {member.team_id for member in members if member.user_id == user.pk and member.role == Role.OPERATOR}
    may_act = user.is_superuser or bool(operated)
    return {
        "title": "Batches",
        "page": found,
        "rows": _rows(list(found.object_list)),
        "states": [(name, label) for name, (label, *_) in BATCH_STATES.items()],
        "prefixes": _names(Batch.objects.visible_to(user), "prefix"),
        "teams": sorted(teams, key=lambda team: team.name),
        "people": sorted({member.user.username for member in members}),
        "priorities": list(PRIORITIES),
        "orders": [(name, label) for name, (label, _) in ORDERS.items()],
        "archived": ARCHIVED,
        "sizes": PAGE_SIZES,
        "asked": asked,
        "query": asked.urlencode(),
        "filtered": any(asked.get(name) for name in FILTERS),
        "may_upload": may_act,
        "may_act": may_act,
        "verbs": _offered(user, asked),
    }


@require_GET
def client_choices(request: HttpRequest) -> HttpResponse:
    """The clients whose names have the typed ``client`` in them. Asked for by who filters: it reads all jobs."""
    typed = request.GET.get("client", "").replace("\0", "").strip()
    jobs = Job.objects.visible_to(request.user).filter(client_name__icontains=typed).exclude(client_name="")
    return render(request, "batches/clients.html", {"clients": _names(jobs, "client_name")})


def _names(rows: QuerySet[Any], column: str) -> list[str]:
    return list(rows.order_by(column).values_list(column, flat=True).distinct()[:MOST_CHOICES])


def _page(user: User, asked: Mapping[str, str]) -> Page[Any]:
    size = asked.get("size", "")
    per_page = int(size) if size in {str(one) for one in PAGE_SIZES} else PAGE_SIZES[0]
    batches = ordered(narrowed(Batch.objects.visible_to(user), asked), asked.get("sort", ""))
    return Paginator(_with_pauses(batches), per_page).get_page(asked.get("page"))


def _with_pauses(batches: BatchQuerySet) -> BatchQuerySet:
    key = Concat(Value("batch:"), Cast(OuterRef("pk"), CharField()), output_field=CharField())
    return batches.select_related("team", "created_by").annotate(is_paused=Exists(Pause.objects.filter(key=key)))


def _rows(batches: list[Any]) -> list[Row]:
    attach(batches)
    running: dict[int, list[StageRun]] = {batch.pk: [] for batch in batches}
    live = StageRun.objects.filter(state=StageRun.RUNNING, team__in={b.team_id for b in batches}, batch__in=running)
    for run in live.select_related("job").defer("result", "metrics", "error").order_by("started_at", "id"):
        run.stage_label = Stage(run.stage).label  # type: ignore[attr-defined]
        running[run.batch_id].append(run)
    busy = [batch for batch in batches if batch.counts["processing"]]
    history = history_of({batch.team_id for batch in busy}) if busy else History()
    now = clock.now()
    return [
        Row(
            batch=batch,
            running=tuple(running[batch.pk]),
            forecast=of_batch(
                batch.figures,
                by_stage(batch.figures),
                len(running[batch.pk]),
                history,
                under_way=parts_done((run.stage, "", run.percent) for run in running[batch.pk]),
                paused=batch.is_paused,
            ),
            rate_per_minute=history.rate_per_minute(batch.pk, now),
        )
        for batch in batches
    ]


def _offered(user: User, asked: Mapping[str, str]) -> list[BatchVerb]:
    hidden = {"archive"} if asked.get("archived") == "only" else {"unarchive"} if not asked.get("archived") else set()
    lead = is_lead(user)
    return [verb for verb in BATCH_VERBS.values() if verb.name not in hidden and (lead or not verb.leads_only)]


@require_GET
def batch_list_changes(request: HttpRequest) -> HttpResponse:
    """The cells of the rows that changed since ``r`` (``<batch>.<key>`` of each row); 204 when none did."""
    told = request.GET
    keys = dict(part.partition(".")[::2] for part in told.getlist("r"))
    ids = [int(pk) for pk in keys if pk.isdecimal() and pk.isascii() and len(pk) < 18][: max(PAGE_SIZES)]
    rows = _rows(list(_with_pauses(Batch.objects.visible_to(request.user).filter(pk__in=ids))))
    changed = [row for row in rows if keys[str(row.batch.pk)] != row.key]
    if not changed:
        return HttpResponse(status=204)
    return render(request, "batches/list_changes.html", {"rows": changed})


@require_GET
def batch_inside(request: HttpRequest, pk: int) -> HttpResponse:
    """The first jobs of a batch, for its opened row; 204 when the browser shows them already (``seen``)."""
    batch = get_object_or_404(Batch.objects.visible_to(request.user).select_related("team"), pk=pk)
    found, shown = page_of(roles_of(person(request), batch.team), batch, {"sort": "changed"}, per_page=INSIDE)
    key = digest([(one.key, one.progress_key) for one in shown], found.paginator.count)
    if request.GET.get("seen") == key:
        return HttpResponse(status=204)
    context = {"batch": batch, "shown": shown, "more": found.paginator.count - len(shown), "key": key}
    return render(request, "batches/inside.html", context)


@require_http_methods(["GET", "POST"])
@roles_guarded
def batches_act(request: HttpRequest) -> HttpResponse:
    """Applies ``verb`` to every ``batch`` that is ticked, or with ``all`` to all that fit the address's filters.

    A verb that cannot be undone is asked about first, at an address of its own (GET): a page that names what goes.
    """
    user, back = person(request), _back(request)
    sent = request.POST if request.method == "POST" else request.GET
    try:
        verb = verb_of(sent.get("verb", ""))
        batches = _chosen(user, request, sent)
        if request.method == "GET" or (verb.asks and not sent.get("confirmed")):
            _require_question(user, verb, batches)
            return _ask(request, verb, batches, back) if request.method == "GET" else redirect(_question(request))
        done = act_on_many(user, batches, verb.name, reason=sent.get("reason", "").strip())
    except (Conflict, Invalid) as error:
        status = CONFLICT if isinstance(error, Conflict) else UNPROCESSABLE
        return page(request, "batches/list.html", {**list_context(request), "notice": str(error)}, status=status)
    messages.success(request, done.text)
    return redirect(back)


def _filters(request: HttpRequest) -> QueryDict:
    """The address without the question that it may ask."""
    query = request.GET.copy()
    for name in QUESTION:
        query.pop(name, None)
    return query


def _back(request: HttpRequest) -> str:
    query = _filters(request).urlencode()
    return reverse("admin:batches") + (f"?{query}" if query else "")


def _question(request: HttpRequest) -> str:
    """Where the verb that was sent is asked about. Reading asks again and changes nothing; so do Back and reload."""
    query = _filters(request)
    for name in QUESTION:
        query.setlist(name, request.POST.getlist(name))
    return f"{reverse('admin:batches_act')}?{query.urlencode()}"


def _chosen(user: User, request: HttpRequest, sent: QueryDict) -> list[Batch]:
    visible = Batch.objects.visible_to(user).select_related("team")
    if sent.get("all"):
        return list(narrowed(visible, request.GET).order_by("id")[: MOST_BATCHES + 1])
    numbers = sent.getlist("batch")
    if not all(number.isdecimal() and number.isascii() and len(number) < 18 for number in numbers):
        raise Invalid("That is not the number of a batch.", field="batch")
    ids = {int(number) for number in numbers}
    batches = list(visible.filter(pk__in=ids).order_by("id"))
    if len(batches) != len(ids):
        raise Invalid("A batch that was ticked is not there any more. Look at the list again.", field="batch")
    return batches


def _require_question(user: User, verb: BatchVerb, batches: list[Batch]) -> None:
    """Raises Invalid, NotAllowed, Conflict as the verb would, and Invalid for a verb that needs no question."""
    if not verb.asks:
        raise Invalid(f"{verb.label} needs no question: press the button in the list.", field="verb")
    if not batches:
        raise Invalid("Tick the batches first.", field="batch")
    if len(batches) > MOST_BATCHES:
        raise Invalid(f"More than {MOST_BATCHES} batches fit. Narrow the filters.", field="batch")
    attach(batches)
    busy = [batch for batch in batches if batch.counts["processing"]]
    if verb.leads_only:
        for batch in batches:
            require_lead(user, batch)
        if busy:
            jobs = sum(batch.counts["processing"] for batch in busy)
            words = "1 job is" if jobs == 1 else f"{jobs:,} jobs are"
            raise Conflict(f"{busy[0].name}: {words} at work. Cancel first, then delete.")


def _ask(request: HttpRequest, verb: BatchVerb, batches: list[Batch], back: str) -> HttpResponse:
    """The question before a verb that cannot be undone; the batches carry their figures."""
    context = {
        "title": f"{verb.label} {len(batches)} batch{'' if len(batches) == 1 else 'es'}?",
        "verb": verb,
        "batches": batches,
        "named": batches[:MOST_NAMED],
        "more": len(batches[MOST_NAMED:]),
        "jobs": sum(batch.figures.total for batch in batches),
        "open_jobs": sum(
            batch.figures.total - batch.counts["completed"] - batch.counts["cancelled"] for batch in batches
        ),
        "bytes_in": sum(batch.figures.bytes_in for batch in batches),
        "bytes_out": sum(batch.figures.bytes_out for batch in batches),
        "back": back,
        "act": reverse("admin:batches_act") + back.removeprefix(reverse("admin:batches")),
    }
    return page(request, "batches/confirm.html", context)
