"""Limits of requests: what pages and the API answer to those who ask too often, and how often one may ask.

Pages: what changes something (POST and its like) counts; looking does not, since pages look by themselves every two
seconds. The API: every request counts. Who is limited gets 429 and the seconds to wait in ``Retry-After``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from jobs.limits import TooMany, count_for_project, count_request
from jobs.models import Job

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports this module for its defaults

READING = ("GET", "HEAD", "OPTIONS")


class PageLimits:
    """Middleware for the pages: after authentication, so that it knows the person."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        match = request.resolver_match
        if request.method in READING or match is None or "admin" not in match.namespaces:
            return None
        if not isinstance(request.user, User):
            return None
        name = match.url_name or ""
        try:
            count_request(request.user)
            _count_for_batch(name.partition("_")[0], kwargs.get("pk"), request.user)
        except TooMany as limit:
            return _too_many(request, limit)
        return None


def _too_many(request: HttpRequest, limit: TooMany) -> HttpResponse:
    """A page for a person, the words alone for what a script of ours has asked."""
    wait = limit.retry_after_seconds
    words = f"{limit} Try again in {wait} second{'' if wait == 1 else 's'}."
    if "text/html" in request.headers.get("Accept", "") and not request.headers.get("HX-Request"):
        response = render(request, "429.html", {"words": words}, status=429)
    else:
        response = HttpResponse(words, status=429, content_type="text/plain; charset=utf-8")
    response["Retry-After"] = str(wait)
    return response


def _count_for_batch(kind: str, pk: Any, user: User) -> None:
    """Counts a request about a batch or about one of its jobs for the batch. What the person cannot see counts not."""
    if not str(pk).isdecimal() or len(str(pk)) > 18:
        return
    if kind == "job":
        pk = Job.objects.visible_to(user).filter(pk=pk).values_list("batch_id", flat=True).first()
    elif kind == "batch":
        pk = Job.objects.visible_to(user).filter(batch_id=pk).values_list("batch_id", flat=True).first()
    else:
        return
    if pk is not None:
        count_for_project(f"batch:{pk}")


class _Limit(BaseThrottle, ABC):
    """One of the limits, as DRF asks for it."""

    seconds: int = 0

    @abstractmethod
    def count(self, request: Request, view: APIView, user: User) -> None:
        """Counts the request; raises TooMany when it is one too many."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.user, User):
            return True
        try:
            self.count(request, view, request.user)
        except TooMany as limit:
            self.seconds = limit.retry_after_seconds
            return False
        return True

    def wait(self) -> float:
        return float(self.seconds)


class UserLimit(_Limit):
    """Every request of a person."""

    def count(self, request: Request, view: APIView, user: User) -> None:
        count_request(user)


class ProjectLimit(_Limit):
    """Every request about a batch or one of its jobs."""

    def count(self, request: Request, view: APIView, user: User) -> None:
        _count_for_batch(str(getattr(view, "basename", "")), view.kwargs.get("pk"), user)
