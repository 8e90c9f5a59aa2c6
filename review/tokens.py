"""The page of API tokens: one's own, and for leads those of integrations. A secret is shown once, by the next page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from jobs import shown_once, tokens
from jobs.errors import Conflict, Invalid, NotAllowed
from jobs.models import AccessToken, Team
from jobs.states import Role
from jobs.teams import PEOPLE_ROLES, is_lead
from jobs.tokens import SCOPE_LABELS, Scope

LIVES_DAYS = (7, 30, 90, 180, 365)
MOST_SHOWN = 100


def _lives() -> list[tuple[int, str]]:
    days = sorted({*(days for days in LIVES_DAYS if days <= settings.TOKEN_MAX_DAYS), settings.TOKEN_DAYS})
    return [(life, f"{life} day{'' if life == 1 else 's'}") for life in days]


class TokenForm(forms.Form):
    """A new token: what uses it, what it opens, how long."""

    name = forms.CharField(max_length=100, help_text="What uses it, so that you know it again.")
    scopes = forms.MultipleChoiceField(
        choices=[(scope.value, label) for scope, label in SCOPE_LABELS.items()],
        error_messages={"required": "Choose at least one."},
    )
    days = forms.TypedChoiceField(label="Expires after", coerce=int)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        days = self.fields["days"]
        assert isinstance(days, forms.TypedChoiceField)
        days.choices = _lives()
        days.initial = settings.TOKEN_DAYS

    def chosen(self) -> dict[str, Any]:
        """``scopes`` and ``days`` as ``jobs.tokens`` takes them."""
        return {"scopes": [Scope(name) for name in self.cleaned_data["scopes"]], "days": self.cleaned_data["days"]}


class IntegrationForm(TokenForm):
    """A new integration with its first token."""

    name = forms.CharField(max_length=60, help_text="The history names it as the one who acts.")
    team = forms.ModelChoiceField(queryset=Team.objects.none(), empty_label=None)
    roles = forms.MultipleChoiceField(
        choices=[(role.value, role.value.capitalize()) for role in PEOPLE_ROLES],
        error_messages={"required": "Choose at least one."},
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        team = self.fields["team"]
        assert isinstance(team, forms.ModelChoiceField)
        team.queryset = Team.objects.visible_to(user)


@require_GET
@never_cache
def page(request: HttpRequest) -> HttpResponse:
    """The tokens; after one was made, this once, its secret."""
    kept = shown_once.take(request)
    token = AccessToken.objects.filter(pk=kept["token"]).select_related("user").first() if kept else None
    return _show(request, fresh={"token": token, "secret": kept["secret"]} if kept and token else None)


@require_POST
def make(request: HttpRequest) -> HttpResponse:
    """A token of one's own."""
    form = TokenForm(request.POST, prefix="own")
    if not form.is_valid():
        return _show(request, own=form, status=422)
    user = _person(request)
    return _made(request, lambda: tokens.issue(user, name=form.cleaned_data["name"], **form.chosen()), own=form)


@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    user = _person(request)
    token = get_object_or_404(AccessToken.objects.visible_to(user).select_related("user"), pk=pk)
    try:
        tokens.revoke(user, token)
    except Conflict as error:
        return _show(request, conflict=str(error), status=409)
    messages.success(request, f"“{token.name}” opens nothing any more")
    return redirect("admin:tokens")


@require_POST
def add_integration(request: HttpRequest) -> HttpResponse:
    """A machine user of a team, and its first token."""
    user = _lead(request)
    form = IntegrationForm(user, request.POST, prefix="machine")
    if not form.is_valid():
        return _show(request, machine=form, status=422)
    data = form.cleaned_data

    def issue() -> tuple[AccessToken, str]:
        roles = [Role(name) for name in data["roles"]]
        integration = tokens.add_integration(user, data["team"], name=data["name"], roles=roles)
        return tokens.issue_for(user, integration, **form.chosen())

    return _made(request, issue, machine=form)


@require_POST
def add_token(request: HttpRequest, pk: int) -> HttpResponse:
    """One more token of an integration, so that the old one can be replaced without a gap."""
    user = _lead(request)
    integration = get_object_or_404(tokens.integrations_of(user).select_related("user"), pk=pk)
    last = AccessToken.objects.filter(user=integration.user).first()
    scopes = [Scope(name) for name in last.scopes] if last else [Scope.READ]
    return _made(request, lambda: tokens.issue_for(user, integration, scopes=scopes, days=settings.TOKEN_DAYS))


@require_POST
def remove_integration(request: HttpRequest, pk: int) -> HttpResponse:
    user = _lead(request)
    integration = get_object_or_404(tokens.integrations_of(user).select_related("user"), pk=pk)
    try:
        tokens.remove_integration(user, integration)
    except Conflict as error:
        return _show(request, conflict=str(error), status=409)
    messages.success(request, f"“{integration.name}” was removed; its tokens open nothing any more")
    return redirect("admin:tokens")


def _made(request: HttpRequest, issue: Callable[[], tuple[AccessToken, str]], **forms_of: Any) -> HttpResponse:
    """Leads to the page that shows the secret of a new token once; or the page with the reason why there is none."""
    try:
        token, secret = issue()
    except NotAllowed as error:
        raise PermissionDenied(str(error)) from error
    except Conflict as error:
        return _show(request, conflict=str(error), status=409)
    except Invalid as error:
        form = next(iter(forms_of.values()))
        form.add_error(error.field if error.field in form.fields else None, str(error))
        return _show(request, status=422, **forms_of)
    address = reverse("admin:tokens")
    shown_once.keep(request, address, {"token": token.pk, "secret": secret})
    return redirect(address)


def _show(
    request: HttpRequest,
    *,
    own: TokenForm | None = None,
    machine: IntegrationForm | None = None,
    fresh: dict[str, Any] | None = None,
    conflict: str = "",
    status: int = 200,
) -> HttpResponse:
    user = _person(request)
    lead = is_lead(user)
    with_tokens = Prefetch("user__access_tokens", to_attr="tokens")
    context = {
        **admin.site.each_context(request),
        "title": "API tokens",
        "tokens": AccessToken.objects.filter(user=user)[:MOST_SHOWN],
        "own": own or TokenForm(prefix="own", initial={"scopes": [Scope.READ.value]}),
        "is_lead": lead,
        "integrations": tokens.integrations_of(user).select_related("team", "user").prefetch_related(with_tokens),
        "machine": (machine or IntegrationForm(user, prefix="machine")) if lead else None,
        "fresh": fresh,
        "conflict": conflict,
        "most_days": settings.TOKEN_MAX_DAYS,
    }
    return render(request, "review/tokens.html", context, status=status)


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


def _lead(request: HttpRequest) -> User:
    user = _person(request)
    if not is_lead(user):
        raise PermissionDenied("Integrations are looked after by leads.")
    return user
