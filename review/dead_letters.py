"""The page of dead letters: what failed for good, by cause, and what is paused; with the buttons that set it going."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from jobs import deadletters, pauses
from jobs.errands import page_of
from jobs.errors import Conflict, Invalid, NotAllowed
from jobs.models import Errand, Pause, StageRun, Team
from jobs.states import QUEUES, Role
from jobs.teams import is_lead, operated_teams, roles_of

PAGE_SIZE = 50
MOST_ERRANDS = 50


@require_GET
def dead_letters(request: HttpRequest) -> HttpResponse:
    """Causes with their counts; with ``cause`` (the number of a letter) the jobs that failed as that one did."""
    return render(request, "review/dead_letters.html", _context(request))


def _context(request: HttpRequest) -> dict[str, Any]:
    user = request.user
    assert isinstance(user, User)
    found = deadletters.letters(user)
    context = {
        **admin.site.each_context(request),
        "title": "Dead letters",
        "may_retry": deadletters.retriable(user, found).exists(),
        "scopes": _scopes(user),
    }
    if number := request.GET.get("cause", ""):
        letter = _letter(user, number)
        alike = deadletters.with_cause_of(found, letter).select_related("job", "batch", "team").order_by("pk")
        rows = Paginator(alike.defer("result", "metrics"), PAGE_SIZE).get_page(request.GET.get("page"))
        return {**context, "letter": letter, "page": rows}
    causes = deadletters.by_cause(found)
    page = Paginator(causes, PAGE_SIZE).get_page(request.GET.get("page"))
    dead = deadletters.dead_errands(user)[:MOST_ERRANDS]
    mine = operated_teams(user)
    errands = [{"errand": one, "page": page_of(one), "may": one.team_id in mine} for one in dead]
    return {**context, "page": page, "jobs": sum(cause.jobs for cause in causes), "errands": errands}


def _letter(user: User, number: str) -> StageRun:
    return get_object_or_404(deadletters.letters(user).select_related("job__team"), pk=_number(number))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def _scopes(user: User) -> list[dict[str, Any]]:
    """What the person may see paused: the queues, and their teams; and whether they may change it."""
    keys = {pause.key: pause for pause in Pause.objects.select_related("by")}
    leads = is_lead(user)
    scopes = [(pauses.of_queue(queue), f"queue:{queue}", leads) for queue in QUEUES]
    for team in Team.objects.visible_to(user):
        scopes.append((pauses.of_team(team), f"team:{team.pk}", Role.OPERATOR in roles_of(user, team)))
    return [{"label": scope.label, "key": key, "may": may, "pause": keys.get(scope.key)} for scope, key, may in scopes]


@require_POST
def retry(request: HttpRequest) -> HttpResponse:
    """Retries one (``letter``), those with its cause (``cause``), all of them (``all``), or an ``errand``."""
    user = request.user
    assert isinstance(user, User)
    try:
        if number := request.POST.get("letter", ""):
            done = deadletters.retry_one(user, _letter(user, number))
        elif number := request.POST.get("cause", ""):
            letter = _letter(user, number)
            done = deadletters.retry_many(user, deadletters.with_cause_of(_mine(user), letter))
        elif request.POST.get("all"):
            done = deadletters.retry_many(user, _mine(user))
        elif number := request.POST.get("errand", ""):
            visible = Errand.objects.visible_to(user).select_related("team")
            sent = deadletters.retry_errand(user, get_object_or_404(visible, pk=_number(number)))
            messages.success(request, f"{sent.label} is queued again.")
            return redirect("admin:dead_letters")
        else:
            raise Invalid("Say what to retry.")
    except NotAllowed as error:
        raise PermissionDenied(str(error)) from error
    except (Conflict, Invalid) as error:
        return _refused(request, error)
    messages.success(request, done.text)
    return redirect("admin:dead_letters")


def _mine(user: User) -> Any:
    """The letters that the person may retry. Raises NotAllowed when they operate in no team."""
    if not (user.is_superuser or user.memberships.filter(role=Role.OPERATOR).exists()):
        raise NotAllowed("This takes the role operator.")
    return deadletters.letters(user)


@require_POST
def pause(request: HttpRequest) -> HttpResponse:
    """Pauses or resumes (``verb``) a queue or a team (``key``)."""
    user = request.user
    assert isinstance(user, User)
    kind, _, name = request.POST.get("key", "").partition(":")
    try:
        if kind == "team":
            scope = pauses.of_team(get_object_or_404(Team.objects.visible_to(user), pk=_number(name)))
        else:
            scope = pauses.of_queue(name)
        words = pauses.apply(user, scope, request.POST.get("verb", ""), reason=request.POST.get("reason", ""))
    except NotAllowed as error:
        raise PermissionDenied(str(error)) from error
    except (Conflict, Invalid) as error:
        return _refused(request, error)
    messages.success(request, words)
    return redirect("admin:dead_letters")


def _refused(request: HttpRequest, error: Conflict | Invalid) -> HttpResponse:
    status = 409 if isinstance(error, Conflict) else 422
    return render(request, "review/dead_letters.html", {**_context(request), "error": str(error)}, status=status)
