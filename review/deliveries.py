"""The deliveries page: what was sent outside, what the receivers said, and sending it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from jobs import notices
from jobs.errors import Conflict, NotAllowed
from jobs.models import Delivery, MailSwitch, Team, WebhookEndpoint
from jobs.models.notice import DIGEST, PEOPLES_NAMES, TEST
from jobs.states import Role
from jobs.teams import TeamQuerySet, operated_teams, require_role

PAGE_SIZE = 50
NAMES = {**PEOPLES_NAMES, DIGEST: "Daily digest", TEST: "Test"}


class DeliveryFilter(forms.Form):
    """The filters of the page. A value that is not among the choices is as good as none."""

    state = forms.ChoiceField(required=False)
    channel = forms.ChoiceField(required=False)
    name = forms.ChoiceField(label="Event", required=False)

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        every = [("", "All")]
        self.fields["state"].choices = every + [(name, name.capitalize()) for name in Delivery.STATES]  # type: ignore[attr-defined]
        self.fields["channel"].choices = [*every, (Delivery.WEBHOOK, "Webhook"), (Delivery.EMAIL, "E-mail")]  # type: ignore[attr-defined]
        self.fields["name"].choices = every + list(NAMES.items())  # type: ignore[attr-defined]
        for field in self.fields.values():
            field.widget.attrs["class"] = "input"

    def narrow(self, deliveries: TeamQuerySet[Delivery]) -> TeamQuerySet[Delivery]:
        self.is_valid()
        wanted = {name: value for name, value in self.cleaned_data.items() if value}
        return deliveries.filter(**wanted)


@require_GET
def deliveries(request: HttpRequest) -> HttpResponse:
    return _show(request)


def _show(request: HttpRequest, *, conflict: str = "", status: int = 200) -> HttpResponse:
    user = _person(request)
    visible = Delivery.objects.visible_to(user)
    form = DeliveryFilter(request.GET)
    found = form.narrow(visible).select_related("endpoint", "team", "job", "batch").order_by("-id")
    operated = operated_teams(user)
    context = {
        **admin.site.each_context(request),
        "title": "Deliveries",
        "form": form,
        "filtered": any(request.GET.get(name) for name in form.fields),
        "page": Paginator(found, PAGE_SIZE).get_page(request.GET.get("page")),
        "names": NAMES,
        "counts": dict(visible.order_by().values_list("state").annotate(Count("pk"))),
        "endpoints": WebhookEndpoint.objects.visible_to(user).select_related("team"),
        "mail_switches": MailSwitch.objects.visible_to(user).select_related("team"),
        "operated": operated,
        "dead_teams": Team.objects.filter(pk__in=operated, deliveries__state=Delivery.DEAD).distinct(),
        "conflict": conflict,
    }
    return render(request, "review/deliveries.html", context, status=status)


@require_POST
def replay(request: HttpRequest, pk: int) -> HttpResponse:
    """Sends one delivery again."""
    user = _person(request)
    delivery = get_object_or_404(Delivery.objects.visible_to(user).select_related("team", "endpoint"), pk=pk)
    _check_operator(user, delivery.team)
    try:
        notices.replay(delivery)
    except Conflict as error:
        return _show(request, conflict=str(error), status=409)
    messages.success(request, f"Sent again to {delivery.receiver}")
    return redirect("admin:deliveries")


@require_POST
def replay_dead(request: HttpRequest, team_pk: int) -> HttpResponse:
    """Sends everything again that a team's receivers never took."""
    user = _person(request)
    team = get_object_or_404(Team.objects.visible_to(user), pk=team_pk)
    _check_operator(user, team)
    count = notices.replay_dead(team)
    if not count:
        return _show(request, conflict=f"{team} has no dead deliveries (any more).", status=409)
    messages.success(request, f"{count} {'delivery is' if count == 1 else 'deliveries are'} sent again")
    return redirect("admin:deliveries")


@require_POST
def test_endpoint(request: HttpRequest, pk: int) -> HttpResponse:
    """Sends a test to an endpoint, through the outbox as everything else; the endpoint's page shows the answer."""
    user = _person(request)
    endpoint = get_object_or_404(WebhookEndpoint.objects.visible_to(user).select_related("team"), pk=pk)
    _check_operator(user, endpoint.team)
    try:
        notices.announce_test(endpoint)
    except Conflict as error:
        return _show(request, conflict=str(error), status=409)
    return redirect("admin:jobs_webhookendpoint_change", endpoint.pk)


@require_GET
def test_result(request: HttpRequest, pk: int) -> HttpResponse:
    """What became of an endpoint's last test, for its page to ask until there is an answer."""
    user = _person(request)
    endpoint = get_object_or_404(WebhookEndpoint.objects.visible_to(user).select_related("team"), pk=pk)
    operates = endpoint.team_id in operated_teams(user)
    context = {"endpoint": endpoint, "test": notices.newest_test(endpoint), "operates": operates}
    return render(request, "review/endpoint_test.html", context)


@require_POST
def rotate_secret(request: HttpRequest, pk: int) -> HttpResponse:
    """A new secret; the old one signs too for a day."""
    user = _person(request)
    endpoint = get_object_or_404(WebhookEndpoint.objects.visible_to(user).select_related("team"), pk=pk)
    _check_operator(user, endpoint.team)
    try:
        notices.rotate_secret(user, endpoint)
    except Conflict as error:
        return _show(request, conflict=str(error), status=409)
    messages.success(request, "Copy the new secret to the receiver within a day: until then the old one signs too")
    return redirect("admin:jobs_webhookendpoint_change", endpoint.pk)


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


def _check_operator(user: User, team: Team) -> None:
    try:
        require_role(user, team, Role.OPERATOR)
    except NotAllowed as error:
        raise PermissionDenied(str(error)) from error
