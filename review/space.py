"""The space page: what the stored files of a team take, what its retention policy removes, and what is pinned."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from jobs import retention
from jobs.errors import NotAllowed
from jobs.models import Job, RetentionPolicy, Team
from jobs.teams import is_lead, operated_teams

BATCHES = 20
FILES = 50


class PolicyForm(forms.Form):
    """Days by rule; an empty field keeps the files."""

    def __init__(self, policy: RetentionPolicy, data: Any = None) -> None:
        super().__init__(data)
        for rule in (rule for rule in retention.RULES if not rule.days):
            self.fields[rule.name] = forms.IntegerField(
                label=rule.label,
                required=False,
                min_value=1,
                max_value=retention.MOST_DAYS,
                initial=getattr(policy, rule.name),
                widget=forms.NumberInput(attrs={"class": "input", "placeholder": "kept"}),
            )


@require_GET
def space(request: HttpRequest) -> HttpResponse:
    """The person's teams, one under the other, each with its largest batches; ``?team=`` one with all of them."""
    return _show(request)


@require_GET
def due(request: HttpRequest, pk: int) -> HttpResponse:
    """The dry run: every file of a team that would go now, or with other days (``?failed_days=7``; empty: kept)."""
    team = get_object_or_404(Team.objects.visible_to(_person(request)), pk=pk)
    policy = retention.policy_of(team)
    tried = {name: request.GET[name] for name in RetentionPolicy.DAYS if name in request.GET}
    form = PolicyForm(policy, {**_days_of(policy), **tried} if tried else None)
    if tried and form.is_valid():
        policy = RetentionPolicy(team=team, **form.cleaned_data)
    rule = request.GET.get("rule", "")
    context = {
        **admin.site.each_context(request),
        "title": f"What would go: {team.name}",
        "team": team,
        "form": form,
        "tried": bool(tried),
        "rule": rule,
        "rules": {one.name: one.label for one in retention.RULES},
        "due": [one for one in retention.due(team, policy) if one.files],
        "page": Paginator(retention.due_list(policy, rule=rule), FILES).get_page(request.GET.get("page")),
    }
    return render(request, "review/space_due.html", context, status=400 if form.errors else 200)


def _days_of(policy: RetentionPolicy) -> dict[str, int | None]:
    return {name: getattr(policy, name) for name in RetentionPolicy.DAYS}


@require_POST
def set_policy(request: HttpRequest, pk: int) -> HttpResponse:
    """Changes how long a team's files are kept; leads only."""
    user = _person(request)
    team = get_object_or_404(Team.objects.visible_to(user), pk=pk)
    if not is_lead(user):
        raise PermissionDenied("How long files are kept is for leads to say.")
    form = PolicyForm(retention.policy_of(team), request.POST)
    if not form.is_valid():
        return _show(request, wrong={team.pk: form}, status=400)
    retention.set_policy(user, team, form.cleaned_data)
    messages.success(request, f"{team.name}: the files are kept as long as you said.")
    return _back(request, team)


@require_POST
def set_pin(request: HttpRequest, pk: int) -> HttpResponse:
    """Pins a batch (``pinned=1``), so that its files stay, or lets it go."""
    user = _person(request)
    # Batches are known here by their jobs; one without jobs has no files to pin.
    job = Job.objects.visible_to(user).filter(batch=pk).select_related("batch__team").first()
    if job is None:
        raise Http404("There is no such batch.")
    change = retention.pin if request.POST.get("pinned") == "1" else retention.unpin
    try:
        change(user, job.batch)
    except NotAllowed as error:
        raise PermissionDenied(str(error)) from error
    return _back(request, job.batch.team)


def _back(request: HttpRequest, team: Team) -> HttpResponse:
    """To where the person was: the team's own list at its page (``team`` and ``page`` of the form), or the overview."""
    kept = {name: request.POST[name] for name in ("team", "page") if request.POST.get(name)}
    query = f"?{urlencode(kept)}" if "team" in kept else ""
    return redirect(f"{reverse('admin:space')}{query}#team-{team.pk}")


def _show(request: HttpRequest, *, wrong: dict[int, PolicyForm] | None = None, status: int = 200) -> HttpResponse:
    user = _person(request)
    operated = operated_teams(user)
    shown = Team.objects.visible_to(user)
    alone = request.GET.get("team", "")
    if alone:
        shown = shown.filter(slug=alone)
        if not shown:
            raise Http404("There is no such team.")
    teams = [
        {
            "team": team,
            "use": retention.use_of(team),
            "shared_bytes": retention.shared_bytes(team),
            "batches": _page_of(team, request.GET.get("page") if alone else None),
            "due": [due for due in retention.due(team) if due.files],
            "form": (wrong or {}).get(team.pk) or PolicyForm(retention.policy_of(team)),
            "may_pin": team.pk in operated,
        }
        for team in shown
    ]
    lead = is_lead(user)
    context = {**admin.site.each_context(request), "title": "Space", "teams": teams, "is_lead": lead, "alone": alone}
    return render(request, "review/space.html", context, status=status)


def _page_of(team: Team, number: str | None) -> Page[Any]:
    """Batches with what they take."""
    page = Paginator(retention.use_by_batch(team), BATCHES).get_page(number)
    page.object_list = retention.shown(page.object_list)
    return page


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
