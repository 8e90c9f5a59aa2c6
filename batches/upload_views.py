"""From the drop zone to the batch: upload, preview of every row, commit."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from batches.answers import CONFLICT, UNPROCESSABLE, page, person, roles_guarded
from batches.intake import csv_source, opening, table
from batches.intake.repeats import Repeated, repeat_of
from batches.intake.sent import sent_files
from batches.intake.upload import SHEET_SUFFIXES
from batches.intake.verdicts import Verdict, verdicts_of
from batches.models import Upload
from jobs import sending
from jobs.errors import Conflict, Invalid, NotAllowed
from jobs.models import SentFile, Team
from jobs.states import Role
from jobs.teams import roles_of

ROWS_PER_PAGE = 100
MOST_WAITING = 500
ACCEPTED = (
    *SHEET_SUFFIXES, ".zip", *table.PSD_SUFFIXES, *table.PROJECT_SUFFIXES, ".png", ".jpg", ".jpeg", ".mp4", ".mov",
    ".ttf", ".otf", ".ttc",
)  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@roles_guarded
def batch_upload(request: HttpRequest) -> HttpResponse:
    """The drop zone. What is sent is stored and checked; the preview follows."""
    user = person(request)
    teams = [team for team in Team.objects.visible_to(user) if Role.OPERATOR in roles_of(user, team)]
    if not teams:
        raise NotAllowed("Uploading a sheet takes the role operator in a team.")
    if request.method != "POST":
        return _upload_page(request, teams)
    wanted = request.POST.get("team", "")
    visible = Team.objects.visible_to(user)
    team = teams[0] if not wanted and len(teams) == 1 else get_object_or_404(visible, slug=wanted)
    sent = [(file.name or "", file) for file in request.FILES.getlist("files")]
    try:
        arrived = sent_files(user, team, _file_ids(request))
        upload = opening.preview_files(user, team, files=sent, arrived=arrived)
    except Invalid as error:
        return _upload_page(request, teams, error=error, status=UNPROCESSABLE)
    return redirect("admin:upload_preview", upload.pk)


def _file_ids(request: HttpRequest) -> list[UUID]:
    """Of files that arrived by ``/api/files/``."""
    try:
        return [UUID(text) for text in request.POST.getlist("file_ids")]
    except ValueError:
        raise Invalid("What was chosen is no file that was sent. Choose the files again.", field="file_ids") from None


def _upload_page(
    request: HttpRequest, teams: list[Team], *, error: Invalid | None = None, status: int = 200
) -> HttpResponse:
    rows = SentFile.objects.filter(user=person(request), team__in=teams).select_related("team")
    waiting = list(rows[:MOST_WAITING])
    context = {
        "title": "New batch",
        "teams": teams,
        "team": request.POST.get("team", ""),
        "columns": table.COLUMNS,
        "accepted": ",".join(ACCEPTED),
        "error": error,
        "piece_bytes": sending.PIECE_BYTES,
        "waiting": waiting,
        "unfinished": any(sent.asset_id is None for sent in waiting),
        "chosen": set(request.POST.getlist("file_ids")),
    }
    return page(request, "batches/upload.html", context, status=status)


@require_GET
def sample_sheet(request: HttpRequest) -> HttpResponse:
    """A CSV with every column and two example rows."""
    examples = [column.example for column in table.COLUMNS]
    second = [example.replace("001", "002") for example in examples]
    data = csv_source.write([[column.name for column in table.COLUMNS], examples, second])
    return _csv(data, "sample.csv")


def _csv(data: bytes, name: str) -> HttpResponse:
    disposition = content_disposition_header(as_attachment=True, filename=name) or "attachment"
    return HttpResponse(data, content_type="text/csv; charset=utf-8", headers={"Content-Disposition": disposition})


def visible_upload(request: HttpRequest, pk: int) -> Upload:
    uploads = Upload.objects.visible_to(request.user).select_related("team", "sheet", "user")
    return get_object_or_404(uploads, pk=pk)


@require_GET
def upload_preview(request: HttpRequest, pk: int) -> HttpResponse:
    """Every row with its verdict. An upload that was committed leads to its batch."""
    upload = visible_upload(request, pk)
    if upload.committed_at is not None:
        return redirect("admin:batch", upload.batch.pk)
    return _preview(request, upload)


def _preview(request: HttpRequest, upload: Upload, *, error: str = "", status: int = 200) -> HttpResponse:
    verdicts = upload.verdicts
    only_bad = request.GET.get("only") == "bad"
    rows = [verdict for verdict in verdicts_of(verdicts) if not (only_bad and verdict.good)]
    found = Paginator(rows, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    context: dict[str, Any] = {
        "title": f"Preview of {upload.sheet.name}",
        "upload": upload,
        "verdicts": verdicts,
        "total": verdicts["good"] + verdicts["bad"],
        "header": _titles(verdicts),
        "page": found,
        "rows": [_row(verdicts, verdict) for verdict in found.object_list],
        "only_bad": only_bad,
        "files": upload.files.select_related("asset").order_by("name"),
        "name": request.POST.get("name", ""),
        "error": error,
        "repeat": repeat_of(person(request), upload) if upload.committed_at is None else None,
        "may_commit": Role.OPERATOR in roles_of(person(request), upload.team),
    }
    return page(request, "batches/preview.html", context, status=status)


def _titles(verdicts: dict[str, Any]) -> list[str]:
    return [title or name for title, name in zip(verdicts["header"], verdicts["names"], strict=True)]


def _row(verdicts: dict[str, Any], verdict: Verdict) -> dict[str, Any]:
    faulty = {fault.column for fault in verdict.errors}
    columns = zip(_titles(verdicts), verdicts["names"], verdict.values, strict=True)
    cells = [{"title": title, "text": value, "faulty": name in faulty} for title, name, value in columns]
    return {"verdict": verdict, "cells": cells}


@require_POST
@roles_guarded
def upload_commit(request: HttpRequest, pk: int) -> HttpResponse:
    """Opens the batch, of ``rows`` all or good. Rows that went stale since the preview are judged anew."""
    upload = visible_upload(request, pk)
    commit = opening.commit_good_rows if request.POST.get("rows") == "good" else opening.commit_all
    try:
        batch = commit(
            person(request), upload, name=request.POST.get("name", ""), again=request.POST.get("again") == "1"
        )
    except Invalid as error:
        return _preview(request, upload, error=str(error), status=UNPROCESSABLE)
    except Repeated:
        return _preview(request, upload, status=CONFLICT)  # which asks
    except Conflict as error:
        upload = visible_upload(request, pk)
        if upload.committed_at is None:
            opening.check_again(person(request), upload)
        return _preview(request, upload, error=str(error), status=CONFLICT)
    messages.success(request, f"{batch.name} is open. Start its ingestion when you are ready.")
    return redirect("admin:batch", batch.pk)


@require_POST
@roles_guarded
def upload_check(request: HttpRequest, pk: int) -> HttpResponse:
    """Judges the rows anew, after files were put into the asset roots."""
    upload = visible_upload(request, pk)
    try:
        opening.check_again(person(request), upload)
    except Conflict as error:
        return _preview(request, upload, error=str(error), status=CONFLICT)
    return redirect("admin:upload_preview", upload.pk)


@require_POST
@roles_guarded
def upload_discard(request: HttpRequest, pk: int) -> HttpResponse:
    """Forgets an upload that was not committed."""
    upload = visible_upload(request, pk)
    name = upload.sheet.name
    try:
        opening.discard(person(request), upload)
    except Conflict as error:
        return _preview(request, upload, error=str(error), status=CONFLICT)
    messages.info(request, f"{name} was discarded.")
    return redirect("admin:batches")


@require_GET
def upload_bad_rows(request: HttpRequest, pk: int) -> HttpResponse:
    """The rows with errors, as a CSV to correct."""
    upload = visible_upload(request, pk)
    stem = upload.sheet.name.rpartition(".")[0] or upload.sheet.name
    return _csv(opening.bad_rows_csv(upload), f"{stem} - rows with errors.csv")
