"""What people without an account see: the page of a link, its films, and its ZIP. Everything else is 404, and tells
nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from batches.answers import CONFLICT
from batches.bundles.films import films, watchable
from batches.bundles.models import ShareLink
from batches.bundles.plan import LABELS, plan
from batches.bundles.sharing import opened
from batches.bundles.taking import ByAddress, FilmsByAddress, take
from batches.downloads import asset_answer
from jobs.errors import Conflict

MOST_NAMED = 500
POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; media-src 'self'; base-uri 'none'; form-action 'none'"

View = Callable[..., HttpResponseBase]


def _for_whoever_has_the_token(view: View, *, limit: type[ByAddress] = ByAddress) -> View:
    """Finds the link; sees to it that the address leaks nowhere, and that nobody tries many."""

    @login_not_required
    @require_safe
    @wraps(view)
    def answer(request: HttpRequest, token: str, **which: int) -> HttpResponseBase:
        throttle = limit()
        if not throttle.allow_request(request, answer):  # type: ignore[arg-type]
            wait = max(1, round(throttle.wait() or 1))
            words = f"Too many requests. Try again in {wait} seconds."
            response: HttpResponseBase = HttpResponse(words, status=429, content_type="text/plain; charset=utf-8")
            response["Retry-After"] = str(wait)
        else:
            link = opened(token)
            response = _nothing(request) if link is None else view(request, link, **which)
        response["Referrer-Policy"] = "no-referrer"
        response["X-Robots-Tag"] = "noindex, nofollow, noarchive"
        response["Cache-Control"] = "no-store, no-transform"
        # A stored file has stricter rules of its own.
        response.headers.setdefault("Content-Security-Policy", POLICY)
        # Django would write the address into the log, and with it the token.
        response._has_been_logged = True  # type: ignore[attr-defined]
        return response

    return answer


def _nothing(request: HttpRequest) -> HttpResponse:
    return render(request, "share/nothing.html", status=404)


@_for_whoever_has_the_token
def share_page(request: HttpRequest, link: ShareLink) -> HttpResponseBase:
    """The films, and names and sizes of what the link gives."""
    context = {"link": link, "labels": [LABELS[kind] for kind in link.kinds]}
    try:
        bundle = plan(link.batch, link.job, kinds=link.kinds)
    except Conflict as error:
        return render(request, "share/page.html", {**context, "trouble": str(error)}, status=CONFLICT)
    root = bundle.file_name.removesuffix(".zip")
    members = [(entry.path.removeprefix(f"{root}/"), entry.size_bytes) for entry in bundle.entries]
    more = len(members) - MOST_NAMED
    context |= {"bundle": bundle, "members": members[:MOST_NAMED], "more": max(0, more)}
    context["films"], context["page"] = films(link, request.GET.get("page"))
    return render(request, "share/page.html", context)


@_for_whoever_has_the_token
def share_download(request: HttpRequest, link: ShareLink) -> HttpResponseBase:
    try:
        return take(request, link.batch, link.job, link.kinds, link=link)
    except Conflict as error:
        return HttpResponse(str(error), status=CONFLICT, content_type="text/plain; charset=utf-8")


@partial(_for_whoever_has_the_token, limit=FilmsByAddress)
def share_film(request: HttpRequest, link: ShareLink, pk: int) -> HttpResponseBase:
    """A film, or its poster. Watching is not taking: nothing is written down."""
    try:
        return asset_answer(request, get_object_or_404(watchable(link), pk=pk))
    except Http404:
        return _nothing(request)
