"""The pages on the files of a batch or of a job: what there is, taking it, links for others, and who took it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from batches.answers import CONFLICT, UNPROCESSABLE, page, person, roles_guarded
from batches.bundles.models import Download, ShareLink
from batches.bundles.plan import DELIVERED, LABELS, kinds_of, totals
from batches.bundles.sharing import SHARERS, days_offered, revoke, share
from batches.models import Batch
from jobs import shown_once
from jobs.errors import Conflict, Invalid
from jobs.log_context import bind
from jobs.models import Job
from jobs.teams import roles_of

MOST_SHOWN = 50


@require_GET
@never_cache
def batch_files(request: HttpRequest, pk: int) -> HttpResponse:
    return _look(request, _batch(request, pk), None)


@require_GET
@never_cache
def job_files(request: HttpRequest, pk: int) -> HttpResponse:
    job = _job(request, pk)
    return _look(request, job.batch, job)


def _look(request: HttpRequest, batch: Batch, job: Job | None) -> HttpResponse:
    """The files; after a link was made, this once, its address."""
    kept = shown_once.take(request)
    link = ShareLink.objects.visible_to(request.user).filter(pk=kept["link"]).first() if kept else None
    return _show(request, batch, job, fresh={"link": link, "address": kept["address"]} if kept and link else None)


@require_POST
@roles_guarded
def batch_share(request: HttpRequest, pk: int) -> HttpResponse:
    """Makes a link; the page that comes next shows it, once."""
    return _share(request, _batch(request, pk), None)


@require_POST
@roles_guarded
def job_share(request: HttpRequest, pk: int) -> HttpResponse:
    job = _job(request, pk)
    return _share(request, job.batch, job)


@require_POST
@roles_guarded
def share_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    links = ShareLink.objects.visible_to(request.user).select_related("team", "batch", "job")
    link = get_object_or_404(links, pk=pk)
    try:
        revoke(person(request), link)
    except Conflict as error:
        return _show(request, link.batch, link.job, trouble=str(error), status=CONFLICT)
    messages.success(request, f"“{link}” opens nothing any more.")
    return redirect(_address(link.batch, link.job))


def _batch(request: HttpRequest, pk: int) -> Batch:
    return get_object_or_404(Batch.objects.visible_to(request.user).select_related("team"), pk=pk)


def _job(request: HttpRequest, pk: int) -> Job:
    job = get_object_or_404(Job.objects.visible_to(request.user).select_related("batch__team"), pk=pk)
    bind(job=job.job_id)
    return job


def _address(batch: Batch, job: Job | None) -> str:
    return reverse("admin:batch_files", args=[batch.pk]) if job is None else reverse("admin:job_files", args=[job.pk])


def _share(request: HttpRequest, batch: Batch, job: Job | None) -> HttpResponse:
    told = request.POST
    try:
        days = told.get("days", "")
        if not (days.isdecimal() and days.isascii() and len(days) < 6):
            raise Invalid("Say for how many days the link is good.", field="days")
        kinds = kinds_of(told.getlist("kinds") or [""])
        link, token = share(person(request), batch, job, kinds=kinds, days=int(days), note=told.get("note", ""))
    except Invalid as error:
        return _show(request, batch, job, trouble=str(error), status=UNPROCESSABLE)
    address = request.build_absolute_uri(reverse("share", args=[token]))
    files = _address(batch, job)
    shown_once.keep(request, files, {"link": link.pk, "address": address})
    return redirect(files)


def _show(request: HttpRequest, batch: Batch, job: Job | None, *, status: int = 200, **more: Any) -> HttpResponse:
    user = person(request)
    found = totals(batch, job)
    kinds = [
        {"name": kind, "label": LABELS[kind], "total": total, "ticked": kind in DELIVERED}
        for kind, total in found.items()
        if total.files
    ]
    if not any(kind["ticked"] for kind in kinds):
        for kind in kinds:
            kind["ticked"] = True
    links = _of(ShareLink.objects.visible_to(user), batch, job).select_related("created_by", "job", "revoked_by")
    taken = _of(Download.objects.visible_to(user), batch, job).select_related("user", "link", "job")
    context = {
        "title": f"Files of {batch if job is None else job}",
        "batch": batch,
        "job": job,
        "kinds": kinds,
        "links": links.order_by("-id")[:MOST_SHOWN],
        "downloads": taken.order_by("-id")[:MOST_SHOWN],
        "may_share": _may_share(user, batch),
        "days": days_offered(),
        "log_days": settings.DOWNLOAD_LOG_DAYS,
        **more,
    }
    return page(request, "batches/files.html", context, status=status)


def _may_share(user: User, batch: Batch) -> bool:
    return bool(roles_of(user, batch.team) & frozenset(SHARERS))


def _of(rows: Any, batch: Batch, job: Job | None) -> Any:
    return rows.filter(batch=batch) if job is None else rows.filter(job=job)
