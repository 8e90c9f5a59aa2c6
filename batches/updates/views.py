"""The pages on which a newer sheet is sent for a batch, and applied to it."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from batches.answers import CONFLICT, UNPROCESSABLE, person, roles_guarded
from batches.models import Upload
from batches.updates import applying
from batches.upload_views import REFUSALS, preview_page, sent_upload, upload_page, visible_upload
from batches.views import visible_batch
from jobs.errors import Conflict, Invalid
from jobs.teams import require_verb


@require_http_methods(["GET", "HEAD", "POST"])
@roles_guarded
def batch_update(request: HttpRequest, pk: int) -> HttpResponse:
    """The drop zone for a newer sheet of a batch. What differs is shown next."""
    batch = visible_batch(request, pk)
    require_verb(person(request), batch.team, "start")
    if request.method != "POST":
        return upload_page(request, [batch.team], batch=batch)
    try:
        upload = sent_upload(request, batch.team, updates=batch)
    except REFUSALS as error:
        return upload_page(request, [batch.team], batch=batch, error=error)
    return redirect("admin:upload_preview", upload.pk)


@require_POST
@roles_guarded
def upload_apply(request: HttpRequest, pk: int) -> HttpResponse:
    """Applies what is ticked (``new``, ``changed``) and cancels as many jobs as ``cancel`` says."""
    upload = visible_upload(request, pk)
    sent = request.POST
    try:
        upload = applying.apply(
            person(request),
            upload,
            new="new" in sent,
            changed="changed" in sent,
            cancel=_number(sent.get("cancel", "").strip()),
        )
    except Invalid as error:
        return preview_page(request, visible_upload(request, pk), error=str(error), status=UNPROCESSABLE)
    except Conflict as error:
        return preview_page(request, visible_upload(request, pk), error=str(error), status=CONFLICT)
    if upload.state == Upload.COMMITTED:
        messages.success(request, f"The sheet was applied to {upload.updates}.")
    return redirect("admin:upload_preview", upload.pk)


def _number(text: str) -> int:
    if not text:
        return 0
    if not (text.isdecimal() and text.isascii() and len(text) < 10):
        raise Invalid(f"“{text[:20]}” is not a number of jobs.", field="cancel")
    return int(text)
