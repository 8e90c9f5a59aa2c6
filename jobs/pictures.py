"""Which picture stands for a job in a list."""

from __future__ import annotations

from collections.abc import Collection

from jobs.models import Asset, Job

PICTURES = ("poster", "composite_preview")
"""Kinds of files, the best first: the film's poster, and before there is a film the design as it was drawn."""


def pictures_of(jobs: Collection[Job]) -> dict[int, int]:
    """{id of a job: id of the asset that is its picture}, for the jobs that have one, in one query."""
    if not jobs:
        return {}
    stored = Asset.objects.filter(job__in=jobs, kind__in=PICTURES, removed_at=None)
    newest = {(job, kind): pk for pk, job, kind in stored.order_by("id").values_list("pk", "job_id", "kind")}
    return {job: newest[job, kind] for kind in reversed(PICTURES) for job, had in newest if had == kind}
