"""The bell: what a person was told and has not read, and the page that lists it."""

from __future__ import annotations

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from jobs import clock
from jobs.models import Notice
from jobs.teams import TeamQuerySet
from jobs.telling import path_of

PAGE_SIZE = 50
MOST_COUNTED = 100


def notices_of(user: User) -> TeamQuerySet[Notice]:
    """A person's own notices, of teams that they still belong to and batches that are still there."""
    return Notice.objects.visible_to(user).filter(user=user, in_bell=True)


def mark_read(user: User, *keys: int) -> int:
    """Marks a person's notices with these keys as read, all of them without keys. Returns how many were unread."""
    unread = Notice.objects.filter(user=user, in_bell=True, read_at=None)
    return (unread.filter(pk__in=keys) if keys else unread).update(read_at=clock.now())


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    found = notices_of(_person(request)).select_related("team", "job", "batch")
    context = {
        **admin.site.each_context(request),
        "title": "Notices",
        "page": Paginator(found, PAGE_SIZE).get_page(request.GET.get("page")),
        "unread": found.filter(read_at=None).exists(),
    }
    return render(request, "review/notices.html", context)


@require_GET
def count(request: HttpRequest) -> HttpResponse:
    """The number in the bell, for the page to ask every half minute: no more rows are counted than it can show."""
    unread = notices_of(_person(request)).filter(read_at=None).order_by()[:MOST_COUNTED].count()
    return render(request, "includes/bell_count.html", {"count": unread})


@require_POST
def open_notice(request: HttpRequest, pk: int) -> HttpResponse:
    """Marks a notice as read and leads to what it is about; where that is gone by now, to its batch."""
    notice = get_object_or_404(notices_of(_person(request)), pk=pk)
    mark_read(notice.user, notice.pk)
    if "sheet" in notice.facts:
        linked = getattr(notice.batch, "linked_sheet", None)
        if linked is not None and linked.pk == notice.facts["sheet"]:
            return redirect("admin:linked_sheet", linked.pk)
        messages.info(request, "That sheet is linked no more. This is its batch.")
    return redirect(path_of(notice.job_id if notice.times == 1 else None, notice.batch_id, notice.name))


@require_POST
def read_all(request: HttpRequest) -> HttpResponse:
    """Marks everything as read."""
    mark_read(_person(request))
    return redirect("admin:notices")


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
