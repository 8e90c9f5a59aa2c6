"""The predecessor's addresses, each a thin alias in its old shape. ``docs/api-migration.md`` maps them to the new ones.

The shapes are those of the predecessor's public repository (edforman-75/aftereffects-automation, October 2025). It knew
no accounts: here a token is needed, and the history names the token's person instead of ``user_id``.
"""

from __future__ import annotations

from django.urls import URLPattern, path

from aeproject.old_api.batches import OldBatch, OldStart, OldUpload
from aeproject.old_api.jobs import OldJob, OldStage, OldStats


def addresses() -> list[URLPattern]:
    """Without a slash at the end, as they were."""
    return [
        path("batch/upload", OldUpload.as_view(), name="old-upload"),
        path("batch/<str:batch_id>/start-processing", OldStart.as_view(), name="old-start"),
        path("batch/<str:batch_id>", OldBatch.as_view(), name="old-batch"),
        path("job/<str:job_id>", OldJob.as_view(), name="old-job"),
        path("dashboard/stats", OldStats.as_view(), name="old-stats"),
        path("jobs/stage/<str:stage>", OldStage.as_view(), name="old-stage"),
    ]
