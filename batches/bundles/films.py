"""Films that a link plays: of each job the newest one with both sides, before anybody downloads anything."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet

from batches.bundles.models import ShareLink
from batches.bundles.plan import PREVIEWS
from jobs.models import Asset, Job

VIDEO, POSTER = SHOWN = ("preview_video", "poster")
FILMS_ON_A_PAGE = 24
"""A browser asks for all posters of a page at once."""


@dataclass(frozen=True)
class Film:
    job: Job
    video: Asset
    poster: Asset | None


def watchable(link: ShareLink) -> QuerySet[Asset]:
    """The files that a link shows in place. None unless previews are among what it gives."""
    if PREVIEWS not in link.kinds:
        return Asset.objects.none()
    files = Asset.objects.filter(job__batch=link.batch_id, kind__in=SHOWN, removed_at=None)
    return files if link.job_id is None else files.filter(job=link.job_id)


def films(link: ShareLink, number: str | None) -> tuple[list[Film], Page[Job]]:
    """The films on a page of those of a link, in the order of the sheet, and the page of their jobs."""
    filmed = watchable(link).filter(kind=VIDEO).values("job")
    jobs = Job.objects.filter(pk__in=filmed).order_by("row_line", "id")
    page = Paginator(jobs, FILMS_ON_A_PAGE).get_page(number)
    stored = watchable(link).filter(job__in=list(page)).order_by("id")
    newest = {(file.job_id, file.kind): file for file in stored}
    # Retention may have been faster than us.
    there = [job for job in page if (job.pk, VIDEO) in newest]
    return [Film(job, newest[job.pk, VIDEO], newest.get((job.pk, POSTER))) for job in there], page
