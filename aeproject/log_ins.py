"""Logging in on the pages: the form, and how often one may try."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from rest_framework.throttling import BaseThrottle

from jobs.limits import TooMany, count_log_in, forgive_log_in


class LogInForm(AuthenticationForm):
    """``refusal`` is set when there were too many tries: then the password was not looked at."""

    refusal: TooMany | None = None

    def clean(self) -> dict[str, Any]:
        name, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if not name or not password or self.request is None:
            return super().clean()
        address = address_of(self.request)
        try:
            count_log_in(name, address)
        except TooMany as refusal:
            self.refusal = refusal
            wait = refusal.retry_after_seconds
            raise ValidationError(f"{refusal} Try again in {wait} second{'' if wait == 1 else 's'}.") from None
        cleaned = super().clean()
        forgive_log_in(name, address)
        return cleaned


def address_of(request: HttpRequest) -> str:
    """Where a request comes from, as far as the proxies before us can be believed (``PROXIES``)."""
    return BaseThrottle().get_ident(request) or ""  # type: ignore[arg-type]
