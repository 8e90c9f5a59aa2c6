"""The root of the API: every address below ``/api/``, and how errors are answered. ``docs/api.md`` is its guide."""

from __future__ import annotations

from math import ceil
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.urls import URLPattern, URLResolver, path, re_path
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.exceptions import ParseError, PermissionDenied
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import exception_handler as drf_exception_handler

import aeproject.schema  # noqa: F401 - registers what it knows
from aeproject import old_api
from aeproject.api_views import Dashboard, Me, NotThere, PauseQueue, Queues, ResumeQueue, TeamDoor
from aeproject.batch_detail import BatchDoor
from aeproject.submissions import JobDoor
from aeproject.tokens_api import ObtainToken, TokenDoor
from batches.api import AssetDoor, JobFilesDoor
from batches.bundles.api import DownloadDoor, ShareDoor
from batches.files_api import FileDoor
from batches.google.errors import Unreachable
from batches.links.api import LinkedSheetDoor
from batches.uploads_api import UploadDoor
from jobs.api_access import HasScope
from jobs.errors import Conflict, Invalid, NotAllowed, RateLimited
from review.api import WarningDoor
from review.dead_letters_api import DeadErrandDoor, DeadLetterDoor
from review.deliveries_api import DeliveryDoor, EndpointDoor
from review.events_api import EventDoor
from review.notices_api import NoticeDoor
from review.space_api import DueDoor, RetentionDoor
from review.workers_api import WorkerDoor

app_name = "api"

router = SimpleRouter()
router.register("files", FileDoor, basename="file")
router.register("uploads", UploadDoor, basename="upload")
router.register("linked-sheets", LinkedSheetDoor, basename="linked-sheet")
router.register("batches", BatchDoor, basename="batch")
router.register("jobs", JobDoor, basename="job")
router.register("dead-letters/errands", DeadErrandDoor, basename="dead-errand")
router.register("dead-letters", DeadLetterDoor, basename="dead-letter")
router.register("warnings", WarningDoor, basename="warning")
router.register("events", EventDoor, basename="event")
router.register("assets", AssetDoor, basename="asset")
router.register("teams", TeamDoor, basename="team")
router.register("tokens", TokenDoor, basename="token")
router.register("shares", ShareDoor, basename="share")
router.register("downloads", DownloadDoor, basename="download")
router.register("webhooks", EndpointDoor, basename="webhook")
router.register("deliveries", DeliveryDoor, basename="delivery")
router.register("notices", NoticeDoor, basename="notice")
router.register("workers", WorkerDoor, basename="worker")

schema = extend_schema(exclude=True)(SpectacularAPIView)
members: dict[str, Any] = {"permission_classes": [IsAuthenticated, HasScope]}

urlpatterns: list[URLPattern | URLResolver] = [
    *router.urls,
    path("uploads/sample.csv", UploadDoor.as_view({"get": "sample"}, pagination_class=None), name="upload-sample"),
    path("uploads/sample.xlsx", UploadDoor.as_view({"get": "sample_workbook"}, pagination_class=None)),
    path(
        "uploads/<str:pk>/bad-rows.csv",
        UploadDoor.as_view({"get": "bad_rows"}, pagination_class=None),
        name="upload-bad-rows",
    ),
    *(
        path(
            f"events/export.{form}",
            EventDoor.as_view({"get": f"export_{form}"}, pagination_class=None),
            name=f"event-export-{form}",
        )
        for form in ("csv", "jsonl")
    ),
    path(
        "jobs/<str:pk>/download/",
        JobFilesDoor.as_view({"get": "download"}, basename="job", pagination_class=None),
        name="job-download",
    ),
    path(
        "teams/<str:pk>/retention/",
        RetentionDoor.as_view({"get": "retention", "patch": "set_retention"}, pagination_class=None),
        name="team-retention",
    ),
    path(
        "teams/<str:pk>/retention/due/",
        DueDoor.as_view({"get": "due"}),
        name="team-retention-due",
    ),
    path("me/", Me.as_view(), name="me"),
    path("queues/", Queues.as_view(), name="queues"),
    path("queues/<str:queue>/pause/", PauseQueue.as_view(), name="queue-pause"),
    path("queues/<str:queue>/resume/", ResumeQueue.as_view(), name="queue-resume"),
    path("dashboard/", Dashboard.as_view(), name="dashboard"),
    path("token/", ObtainToken.as_view(), name="obtain-token"),
    path("schema/", schema.as_view(**members), name="schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="api:schema", **members), name="docs"),
    *old_api.addresses(),
    re_path("", NotThere.as_view(), name="nothing"),
]


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """One answer per kind of error: 400 names the field, 409 tells the present state, 403 the role that is missing,
    503 that another's service does not answer."""
    match error:
        case Conflict():
            body = {"detail": str(error), "state": error.state, "allowed": list(error.allowed)}
            return Response({**body, **context["view"].at_conflict(), **error.facts}, status=409)
        case Invalid():
            return Response({error.field or "non_field_errors": [str(error)]}, status=400)
        case NotAllowed():
            return drf_exception_handler(PermissionDenied(str(error)), context)
        case RateLimited():
            wait = {} if error.retry_after_seconds is None else {"Retry-After": str(ceil(error.retry_after_seconds))}
            return Response({"detail": str(error)}, status=503, headers=wait)
        case Unreachable():
            return Response({"detail": str(error)}, status=503)
        case RequestDataTooBig():
            return Response({"detail": "The body is too large."}, status=413)
        case SuspiciousOperation():
            return drf_exception_handler(ParseError(str(error)), context)
    return drf_exception_handler(error, context)
