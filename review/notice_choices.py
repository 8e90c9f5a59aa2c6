"""The page on which people choose what they are told, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from jobs import notices
from jobs.errors import Conflict
from jobs.models import NoticeChoice, Team
from jobs.models.notice import IN_BELL_AT_FIRST, PEOPLES_NAMES


class ChoiceForm(forms.Form):
    """How to be told of one kind of notice; its prefix is the notice's name."""

    mail = forms.ChoiceField(choices=NoticeChoice.MAIL, required=False, widget=forms.Select(attrs={"class": "input"}))
    bell = forms.BooleanField(required=False)


@require_http_methods(["GET", "HEAD", "POST"])
def choices(request: HttpRequest) -> HttpResponse:
    user = _person(request)
    if request.method != "POST":
        return _show(request)
    every = {name: ChoiceForm(request.POST, prefix=name) for name in PEOPLES_NAMES}
    if any(form.errors for form in every.values()):
        return _show(request, forms_by_name=every, status=422)
    no_mail = "no_mail" in request.POST
    chosen = {
        name: (NoticeChoice.NEVER if no_mail else form.cleaned_data["mail"], form.cleaned_data["bell"])
        for name, form in every.items()
    }
    keep_choices(user, chosen)
    messages.success(request, "You get no e-mail any more" if no_mail else "Your choice is kept")
    return redirect("admin:notice_choices")


@require_POST
def test(request: HttpRequest) -> HttpResponse:
    """Sends an e-mail to the person who asks, through the outbox as everything else."""
    try:
        address = send_test(_person(request))
    except Conflict as error:
        return _show(request, conflict=str(error), status=409)
    messages.success(request, f"A test is on its way to {address}")
    return redirect("admin:notice_choices")


def _show(
    request: HttpRequest,
    *,
    forms_by_name: dict[str, ChoiceForm] | None = None,
    conflict: str = "",
    status: int = 200,
) -> HttpResponse:
    user = _person(request)
    every = forms_by_name or _forms(user)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "What you are told",
        "rows": [(title, every[name]) for name, title in PEOPLES_NAMES.items()],
        "mail_teams": Team.objects.visible_to(user).filter(mail_switch__active=True),
        "conflict": conflict,
    }
    return render(request, "review/notice_choices.html", context, status=status)


def _forms(user: User) -> dict[str, ChoiceForm]:
    return {
        choice.name: ChoiceForm(prefix=choice.name, initial={"mail": choice.mail, "bell": choice.bell})
        for choice in choices_of(user)
    }


def choices_of(user: User) -> list[NoticeChoice]:
    """How a person is told of each kind of notice, as it is at first where they have not chosen (not saved then)."""
    known = {choice.name: choice for choice in NoticeChoice.objects.filter(user=user)}
    return [
        known.get(name, NoticeChoice(user=user, name=name, bell=name in IN_BELL_AT_FIRST)) for name in PEOPLES_NAMES
    ]


def keep_choices(user: User, chosen: Mapping[str, tuple[str, bool]]) -> None:
    """Keeps {name: (mail, bell)}; what is not named stays as it is."""
    with transaction.atomic():
        for name, (mail, in_bell) in chosen.items():
            NoticeChoice.objects.update_or_create(user=user, name=name, defaults={"mail": mail, "bell": in_bell})


def send_test(user: User) -> str:
    """Sends the person an e-mail through the outbox, as everything else. Its address; raises Conflict."""
    team = Team.objects.visible_to(user).first()
    if not user.email:
        raise Conflict("We know no e-mail address of yours. Ask an administrator to add it.")
    if team is None:
        raise Conflict("There is no team yet: e-mail is sent for one.")
    notices.announce_test_mail(team, user.email)
    return user.email


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
