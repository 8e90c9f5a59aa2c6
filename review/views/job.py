"""The job's own address, its record, the pages of its three reviews, and the progress they show."""

from __future__ import annotations

import hashlib

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_GET

from jobs.models import Attempt
from jobs.page_waits import end_waits
from jobs.states import Stage
from jobs.store import open_asset
from review.prepared import read_prepared
from review.views.page import RECORD, find_job, page_of, read_status, show

MOST_SCRIPT_BYTES = 400_000


@require_GET
def job(request: HttpRequest, pk: int) -> HttpResponse:
    """Leads to the review of the present stage; while there is none, shows the record with the progress."""
    found = find_job(request, pk)
    page = page_of(found)
    return show(request, found, RECORD) if page == RECORD else redirect(f"admin:job_{page}", pk=pk)


@require_GET
def record(request: HttpRequest, pk: int) -> HttpResponse:
    return show(request, find_job(request, pk), RECORD)


@require_GET
def matching(request: HttpRequest, pk: int) -> HttpResponse:
    return show(request, find_job(request, pk), "matching")


@require_GET
def preview(request: HttpRequest, pk: int) -> HttpResponse:
    return show(request, find_job(request, pk), "preview")


@require_GET
def delivery(request: HttpRequest, pk: int) -> HttpResponse:
    return show(request, find_job(request, pk), "delivery")


@require_GET
def progress(request: HttpRequest, pk: int) -> HttpResponse:
    """The progress as a fragment; 204 when it is what the page shows (``seen``). When the work is over, the way on."""
    found = find_job(request, pk)
    status = read_status(found)
    if status is None or not status["working"]:
        end_waits(found)
        return HttpResponse(status=204, headers={"HX-Redirect": reverse("admin:job", args=[pk])})
    html = render_to_string("review/job_progress.html", {"job": found, "status": status}, request=request)
    seen = hashlib.sha256(html.encode()).hexdigest()[:16]
    if request.GET.get("seen") == seen:
        return HttpResponse(status=204)
    return render(request, "review/job_progress_poll.html", {"job": found, "html": html, "seen": seen})


@require_GET
def attempt_log(request: HttpRequest, pk: int, attempt_pk: int) -> HttpResponse:
    """What an attempt logged, as plain text."""
    attempt = get_object_or_404(Attempt.objects.filter(run__job=find_job(request, pk)), pk=attempt_pk)
    text = attempt.log or "Nothing was logged (yet): the log is kept when the attempt ends."
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


@require_GET
def script(request: HttpRequest, pk: int) -> HttpResponse:
    """The source of populate.jsx as a fragment to read."""
    asset = read_prepared(find_job(request, pk)).of_kind("populate_script")
    if asset is None:
        raise Http404("There is no script before the preview was prepared.")
    try:
        with open_asset(asset) as file:
            source = file.read(MOST_SCRIPT_BYTES + 1)
    except FileNotFoundError:
        raise Http404("The script is no longer in the storage.") from None
    context = {
        "source": source[:MOST_SCRIPT_BYTES].decode("utf-8", "replace"),
        "is_cut": len(source) > MOST_SCRIPT_BYTES,
        "stage": Stage.PREVIEW,
    }
    return render(request, "review/script_source.html", context)
