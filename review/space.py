"""The space page: what the stored files of a team take, what its retention policy removes, and what is pinned."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from jobs import retention
from jobs.errors import NotAllowed
from jobs.models import Job, RetentionPolicy, Team
from jobs.teams import is_lead, operated_teams


class PolicyForm(forms.Form):
    """Days by rule; an empty field keeps the files."""

    def __init__(self, policy: RetentionPolicy, data: Any = None) -> None:
        super().__init__(data)
        for rule in retention.RULES:
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
    """The person's teams, one under the other."""
    return _show(request)


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
    return redirect("admin:space")


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
    return redirect("admin:space")


def _show(request: HttpRequest, *, wrong: dict[int, PolicyForm] | None = None, status: int = 200) -> HttpResponse:
    user = _person(request)
    operated = operated_teams(user)
    teams = [
        {
            "team": team,
            "use": retention.use_of(team),
            "batches": retention.largest_batches(team),
            "due": [due for due in retention.due(team) if due.files],
            "form": (wrong or {}).get(team.pk) or PolicyForm(retention.policy_of(team)),
            "may_pin": team.pk in operated,
        }
        for team in Team.objects.visible_to(user)
    ]
    context = {**admin.site.each_context(request), "title": "Space", "teams": teams, "is_lead": is_lead(user)}
    return render(request, "review/space.html", context, status=status)


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
