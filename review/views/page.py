"""The frame of a job's pages, and how requests that change a job are answered."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.db.models.functions import Right
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST

from jobs import clock
from jobs.errors import Conflict, Invalid, NotAllowed
from jobs.forecast import of_job
from jobs.log_context import bind
from jobs.models import PRIORITIES, Event, Job, StageRun
from jobs.page_waits import note_opening
from jobs.states import Role, Stage, State
from jobs.teams import roles_of
from jobs.waiting import why_waiting
from review.board import read_board
from review.decisions import WORKING_ROLES, change_to_undo
from review.handover import read_handover
from review.history import PAST, detail, in_words
from review.prepared import Prepared, read_prepared
from review.record import read_record
from review.remarks import read_findings, read_notes
from review.screening import read_screening

P = ParamSpec("P")
View = Callable[..., HttpResponse]
Act = Callable[Concatenate[HttpRequest, Job, P], HttpResponse]

STAGE_PAGES = {"matching": Stage.MATCHING, "preview": Stage.PREVIEW, "delivery": Stage.DELIVERY}
RECORD = "record"
CONTENT: dict[str, tuple[str, Callable[[Prepared], Any]]] = {
    "matching": ("board", read_board),
    "preview": ("screening", read_screening),
    "delivery": ("handover", read_handover),
}
SHOWN_EVENTS = 12
MOST_CHANGES_TOLD = 8
SHOWN_LOG_CHARACTERS = 4_000
DECISIONS = ("approve_matches", "approve_preview", "force_approve", "reject")
WORKING = (State.QUEUED, State.RUNNING)
MOST_AHEAD = 1_000
TOWARDS_A_JOB = re.compile(r" (of|on|in|to|about|after)$")
"""How the words of the history lead to the job that they name next."""


def person(request: HttpRequest) -> User:
    """The person who asks. The admin site has let nobody else in."""
    assert isinstance(request.user, User)
    return request.user


def find_job(request: HttpRequest, pk: int) -> Job:
    """Another team's job is not there: 404."""
    jobs = Job.objects.visible_to(person(request)).select_related("team", "batch", "assignee", "psd", "project")
    job = get_object_or_404(jobs, pk=pk)
    bind(job=job.job_id)
    return job


def page_of(job: Job) -> str:
    """The page on which the job is to be looked at now."""
    if job.state not in (State.IN_REVIEW, State.DONE):
        return RECORD
    return next((name for name, stage in STAGE_PAGES.items() if stage == job.stage), RECORD)


def show(
    request: HttpRequest, job: Job, page: str, *, notice: dict[str, Any] | None = None, status: int = 200
) -> HttpResponse:
    """A page of the job; to HTMX its body alone, which takes the place of the one that is shown."""
    context = {**job_context(person(request), job), **page_context(job, page), "page": page, "notice": notice}
    if not getattr(request, "htmx", False):
        note_opening(job)
        context = {**admin.site.each_context(request), "title": job.job_id, **context}
        return render(request, "review/job_page.html", context, status=status)
    response = render(request, "review/job_body.html", context, status=status)
    response["HX-Retarget"], response["HX-Reswap"] = "#review", "outerHTML show:window:top"
    return response


def job_context(user: User, job: Job) -> dict[str, Any]:
    """What every page of a job shows around its content."""
    roles = roles_of(user, job.team)
    return {
        "job": job,
        "allowed": frozenset(job.allowed(roles)),
        "works_here": bool(roles & frozenset(WORKING_ROLES)),
        "operates": Role.OPERATOR in roles,
        "earlier_stages": [stage for stage in Stage if stage <= job.stage],
        "deciders": deciders(job) if roles & frozenset(WORKING_ROLES) else [],
        "comments": list(job.comments.select_related("user")),
        "told": told(job.events.select_related("actor").order_by("-id")[:SHOWN_EVENTS]),
        "priorities": PRIORITIES.items(),
        "status": read_status(job),
        "sent_back": sent_back(job),
    }


def page_context(job: Job, page: str) -> dict[str, Any]:
    prepared = read_prepared(job)
    stage = STAGE_PAGES.get(page)
    context: dict[str, Any] = {
        "page_stage": stage,
        "is_present": stage == job.stage,
        "reached": {name for name, of in STAGE_PAGES.items() if job.stage >= of},
        "findings": read_findings(job),
    }
    if stage is None:
        return {**context, "record": read_record(prepared), "content": "review/record_content.html"}
    if not prepared.shows(stage):
        return context
    name, read = CONTENT[page]
    context |= {name: read(prepared), "content": f"review/{page}_content.html"}
    if stage == Stage.MATCHING:
        context["undo"] = change_to_undo(job)
    if stage == Stage.PREVIEW:
        context["notes"] = read_notes(job)
    return context


def read_status(job: Job) -> dict[str, Any] | None:
    """What the machine does for the job, or why it does nothing; None while a person decides and when all is done."""
    if job.state in (State.IN_REVIEW, State.DONE):
        return None
    run = job.run_of(Stage(job.stage)) if job.state in (*WORKING, State.FAILED) else None
    status: dict[str, Any] = {"run": run, "working": job.state in WORKING, "attempts": []}
    if run is not None and run.state == StageRun.RUNNING:
        status["forecast"] = of_job(job.team_id, Stage(job.stage), job.project_path, run.percent)
    if run is not None and run.state == StageRun.QUEUED and run.available_at > clock.now():
        status["until"] = run.available_at
    elif run is not None and run.state == StageRun.QUEUED:
        before = Q(rank__lt=run.rank) | Q(rank=run.rank, available_at__lt=run.available_at)
        ahead = StageRun.objects.filter(before, state=StageRun.QUEUED, queue=run.queue)
        status["ahead"] = ahead.order_by()[:MOST_AHEAD].count()
        status["held"] = why_waiting(queue=run.queue, team_id=run.team_id, batch_id=run.batch_id)
    if run is not None and (run.error or job.state == State.FAILED):
        status["attempts"] = list(run.tries.defer("log").annotate(log_end=Right("log", SHOWN_LOG_CHARACTERS)))
    if job.state in (State.ON_HOLD, State.CANCELLED):
        status["event"] = job.events.filter(to_state=job.state).select_related("actor").order_by("-id").first()
    return status


def sent_back(job: Job) -> Event | None:
    """The rejection that led to the present review; None when there was none, or when it was answered."""
    if job.state != State.IN_REVIEW:
        return None
    decided = job.events.filter(verb__in=DECISIONS).select_related("actor").order_by("-version").first()
    return decided if decided is not None and decided.verb == "reject" else None


def told(events: Any) -> list[dict[str, Any]]:
    """Events with their words, for a timeline that names no job."""
    return [{"event": event, "deed": _deed(event), "detail": detail(event)} for event in events]


def _deed(event: Event) -> str:
    """What somebody did, without the job: the page is about one."""
    words = PAST.get(event.verb, event.verb.replace("_", " "))
    return TOWARDS_A_JOB.sub("", words)


def deciders(job: Job) -> list[User]:
    """The people of the team who can be asked to look after the job."""
    roles = (Role.REVIEWER, Role.APPROVER)
    people = User.objects.filter(memberships__team=job.team_id, memberships__role__in=roles, is_active=True)
    return list(people.distinct().order_by("username"))


def acts_on_job(act: Act[P]) -> View:
    """A POST that changes a job. A missing role is 403; a conflict 409 and a mistake 422, both with the fresh page."""

    @require_POST
    @wraps(act)
    def answer(request: HttpRequest, pk: int, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        job = find_job(request, pk)
        try:
            return act(request, job, *args, **kwargs)
        except NotAllowed as error:
            if not getattr(request, "htmx", False):
                raise PermissionDenied(str(error)) from error
            return HttpResponseForbidden(str(error), content_type="text/plain; charset=utf-8")
        except Conflict as error:
            return _show_again(request, pk, {"conflict": str(error)}, status=409)
        except Invalid as error:
            posted = {"verb": kwargs.get("verb", ""), "reason": request.POST.get("reason", "")}
            return _show_again(request, pk, {"mistake": str(error), "field": error.field, **posted}, status=422)

    return answer


def _show_again(request: HttpRequest, pk: int, notice: dict[str, Any], *, status: int) -> HttpResponse:
    job = find_job(request, pk)
    page = request.POST.get("page", "")
    if "conflict" in notice:
        notice["changes"] = [in_words(event) for event in _changes_since(job, request.POST.get("version", ""))]
    return show(request, job, page if page in STAGE_PAGES else RECORD, notice=notice, status=status)


def _changes_since(job: Job, seen: str) -> list[Event]:
    """The moves after the version that the person saw, newest first."""
    if not (seen.isascii() and seen.isdecimal()) or len(seen) > 9:
        return []
    moves = job.events.filter(version__gt=int(seen)).select_related("actor", "job", "batch")
    return list(moves.order_by("-version")[:MOST_CHANGES_TOLD])
