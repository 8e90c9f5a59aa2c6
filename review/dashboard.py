"""The dashboard: counts, what needs you, what runs, what ended. Sections are sent again only when they changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET

from jobs.models import Job, StageRun
from jobs.pictures import pictures_of
from jobs.states import PUBLIC_STATES, Stage, State, public_state
from review.waiting import waiting_for

SHOWN = 8
# What a section does not need is left in the database: results and metrics are large.
HEAVY = ("result", "metrics", "error")


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page as HTML, with the hash by which the browser says what it shows already."""

    name: str
    html: str
    seen: str


@require_GET
def dashboard(request: HttpRequest) -> HttpResponse:
    """The page; ``changes`` keeps it up to date."""
    context = {
        **admin.site.each_context(request),
        "title": "Dashboard",
        "sections": {section.name: section for section in _sections(request)},
    }
    return render(request, "review/dashboard.html", context)


@require_GET
def changes(request: HttpRequest) -> HttpResponse:
    """The sections that differ from those the browser shows (``seen=name:hash``, repeated); 204 when none does."""
    shown = frozenset(request.GET.getlist("seen"))
    changed = [section for section in _sections(request) if f"{section.name}:{section.seen}" not in shown]
    if not changed:
        return HttpResponse(status=204)
    return render(request, "review/dashboard_changes.html", {"sections": changed})


def _sections(request: HttpRequest) -> list[Section]:
    assert isinstance(request.user, User)
    content: dict[str, Callable[[User], dict[str, Any]]] = {
        "counts": _counts,
        "needs": _needs,
        "running": _running,
        "recent": _recent,
    }
    return [_section(request, name, read(request.user)) for name, read in content.items()]


def _section(request: HttpRequest, name: str, data: dict[str, Any]) -> Section:
    """Times are absolute in the HTML (the browser counts the seconds), so that the hash tells a real change."""
    html = render_to_string(f"review/dashboard_{name}.html", {**data, "user": request.user})
    return Section(name=name, html=html, seen=hashlib.sha256(html.encode()).hexdigest()[:16])


def _counts(user: User) -> dict[str, Any]:
    """Jobs per public state, and per stage for those under way."""
    rows = Job.objects.visible_to(user).order_by().values_list("stage", "state").annotate(jobs=Count("pk"))
    states = dict.fromkeys(PUBLIC_STATES, 0)
    stages = {stage: {"stage": stage, "open": 0, "working": 0, "waiting": 0, "failed": 0} for stage in Stage}
    for stage, state, jobs in rows:
        states[public_state(Stage(stage), State(state))] += jobs
        figures = stages[Stage(stage)]
        if state not in (State.DONE, State.CANCELLED):
            figures["open"] += jobs
        if state in (State.QUEUED, State.RUNNING):
            figures["working"] += jobs
        if state == State.IN_REVIEW:
            figures["waiting"] += jobs
        if state == State.FAILED:
            figures["failed"] += jobs
    return {"states": states.items(), "stages": stages.values(), "total": sum(states.values())}


def _needs(user: User) -> dict[str, Any]:
    """The first of what waits for the person; what is assigned to somebody else is theirs."""
    waiting = waiting_for(user).filter(Q(assignee=user) | Q(assignee=None))
    jobs = list(waiting.select_related("batch", "team", "assignee")[:SHOWN])
    return {"jobs": _with_pictures(jobs), "total": waiting.count() if len(jobs) == SHOWN else len(jobs)}


def _running(user: User) -> dict[str, Any]:
    live = StageRun.objects.visible_to(user)
    runs = live.filter(state=StageRun.RUNNING).select_related("job", "job__batch").defer(*HEAVY).order_by("started_at")
    return {"runs": list(runs[:SHOWN]), "queued": live.filter(state=StageRun.QUEUED).count()}


def _recent(user: User) -> dict[str, Any]:
    ended = Job.objects.visible_to(user).filter(state__in=[State.DONE, State.FAILED])
    jobs = list(ended.select_related("batch", "team").order_by("-moved_at", "-id")[:SHOWN])
    return {"jobs": _with_pictures(jobs)}


def _with_pictures(jobs: list[Job]) -> list[dict[str, Any]]:
    pictures = pictures_of(jobs)
    return [{"job": job, "poster": pictures.get(job.pk)} for job in jobs]
