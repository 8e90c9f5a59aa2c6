"""What is answered when our own code failed: a page to people, JSON to programs. Asks no database: it may be away."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.defaults import server_error

from jobs.log_context import bound_ids

DETAIL = "Something broke on our side. It is logged under the number of this request."


def answer(request: HttpRequest) -> HttpResponse:
    """Django's ``handler500``."""
    if not request.path.startswith("/api/"):
        return server_error(request)
    return JsonResponse({"detail": DETAIL, "request": bound_ids().get("request", "")}, status=500)
