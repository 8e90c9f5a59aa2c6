"""My queue: everything that waits for a decision the person may take, to filter, walk by keyboard and hand out."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from jobs.errors import Invalid, NotAllowed
from jobs.models import Job, JobQuerySet, Membership, priority_choices, stage_choices
from jobs.pictures import pictures_of
from jobs.states import Role
from review.decisions import assign
from review.waiting import waiting_for

PAGE_SIZE = 50
DECIDING_ROLES = (Role.REVIEWER.value, Role.APPROVER.value)
OPEN_TO_ME, MINE, FREE, ALL = "", "mine", "free", "all"
ASSIGNED = [(OPEN_TO_ME, "Mine and free"), (MINE, "Mine"), (FREE, "Free"), (ALL, "Everybody's")]


class QueueFilter(forms.Form):
    """The filters of the queue. A value that is not among the choices is as good as none."""

    assigned = forms.ChoiceField(choices=ASSIGNED, required=False)
    stage = forms.TypedChoiceField(coerce=int, empty_value=None, required=False)
    client = forms.ChoiceField(required=False)
    priority = forms.TypedChoiceField(coerce=int, empty_value=None, required=False)

    def __init__(self, data: Any, *, clients: list[str]) -> None:
        super().__init__(data)
        every: list[tuple[Any, str]] = [("", "All")]
        self.fields["stage"].choices = every + list(stage_choices())  # type: ignore[attr-defined]
        self.fields["client"].choices = every + [(name, name) for name in clients]  # type: ignore[attr-defined]
        ranks = [(rank, name.capitalize()) for rank, name in priority_choices()]
        self.fields["priority"].choices = every + ranks  # type: ignore[attr-defined]
        for field in self.fields.values():
            field.widget.attrs["class"] = "input"

    def narrow(self, jobs: JobQuerySet, user: User) -> JobQuerySet:
        self.is_valid()
        wanted = self.cleaned_data
        match wanted.get("assigned", OPEN_TO_ME):
            case "mine":
                jobs = jobs.filter(assignee=user)
            case "free":
                jobs = jobs.filter(assignee=None)
            case "":
                jobs = jobs.filter(Q(assignee=user) | Q(assignee=None))
        if wanted.get("stage") is not None:
            jobs = jobs.filter(stage=wanted["stage"])
        if wanted.get("client"):
            jobs = jobs.filter(client_name=wanted["client"])
        if wanted.get("priority") is not None:
            jobs = jobs.filter(priority=wanted["priority"])
        return jobs


@require_GET
def my_queue(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    return render(request, "review/queue.html", _context(request, request.user))


def _context(request: HttpRequest, user: User) -> dict[str, Any]:
    waiting = waiting_for(user)
    clients = waiting.order_by("client_name").exclude(client_name="").values_list("client_name", flat=True).distinct()
    form = QueueFilter(request.GET, clients=list(clients))
    jobs = form.narrow(waiting, user).select_related("team", "batch", "assignee")
    page = Paginator(jobs, PAGE_SIZE).get_page(request.GET.get("page"))
    pictures = pictures_of(list(page))
    return {
        **admin.site.each_context(request),
        "title": "My queue",
        "form": form,
        "page": page,
        "shown": [{"job": job, "poster": pictures.get(job.pk)} for job in page],
        "deciders": _deciders(user),
        "filtered": any(request.GET.get(name) for name in form.fields),
        "address": request.GET.urlencode(),
    }


def _deciders(user: User) -> list[User]:
    """The people of the person's teams who can be asked to decide."""
    memberships = Membership.objects.visible_to(user).filter(role__in=DECIDING_ROLES)
    return list(User.objects.filter(pk__in=memberships.values("user_id"), is_active=True).order_by("username"))


@require_POST
def assign_jobs(request: HttpRequest) -> HttpResponse:
    """Hands the ticked jobs to a person, or to nobody: all of them or none."""
    user = request.user
    assert isinstance(user, User)
    jobs = _ticked(user, request.POST.getlist("jobs"))
    back = request.POST.get("address", "")
    try:
        if not jobs:
            raise Invalid("Tick the jobs that you want to hand out.", field="jobs")
        assignee = _assignee(user, request.POST.get("assignee", ""))
        with transaction.atomic():
            for job in jobs:
                assign(user, job, assignee=assignee)
    except NotAllowed as error:
        raise PermissionDenied(str(error)) from error
    except Invalid as error:
        return render(request, "review/queue.html", {**_context(request, user), "error": str(error)}, status=422)
    whom = f"assigned to {assignee.get_short_name() or assignee}" if assignee else "assigned to nobody now"
    messages.success(request, f"{len(jobs)} job{'s are' if len(jobs) > 1 else ' is'} {whom}.")
    return redirect(f"{reverse('admin:my_queue')}{'?' + _own_parameters(back) if back else ''}")


def _ticked(user: User, values: list[str]) -> list[Job]:
    """The jobs behind the ticked boxes. One that the person cannot see is not there (404)."""
    wanted = {int(value) for value in values if value.isascii() and value.isdecimal() and len(value) < 19}
    jobs = list(Job.objects.visible_to(user).filter(pk__in=wanted).select_related("team"))
    if len(jobs) != len(set(values)):
        raise Http404("One of the jobs is not there.")
    return jobs


def _assignee(user: User, value: str) -> User | None:
    if value == "nobody":
        return None
    people = {str(person.pk): person for person in _deciders(user)}
    if value not in people:
        raise Invalid("Choose the person who shall look after the jobs.", field="assignee")
    return people[value]


def _own_parameters(address: str) -> str:
    """The filters that came along, and nothing else."""
    given = QueryDict(address)
    return urlencode({name: given[name] for name in ("assigned", "stage", "client", "priority") if given.get(name)})
