"""From the drop zone to the batch: upload, preview of every row, commit."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from batches.answers import CONFLICT, OK, UNAVAILABLE, UNPROCESSABLE, csv_answer, page, person, roles_guarded
from batches.google import client, taking
from batches.google.errors import Unreachable
from batches.intake import bad_rows, mapping, opening, table
from batches.intake.grid import SHEET_SUFFIXES
from batches.intake.judging import judge_names, titles_of
from batches.intake.repeats import Repeated, repeat_of, when_made
from batches.intake.sent import sent_files
from batches.intake.sheet import Layout
from batches.models import Batch, Upload, UploadRow
from batches.updates.showing import context_of
from jobs import clock, errands, sending
from jobs.errors import Conflict, Invalid, NotAllowed, RateLimited
from jobs.models import Errand, SentFile, Team
from jobs.states import Role
from jobs.teams import roles_of

REFUSALS = (Invalid, Conflict, RateLimited, Unreachable)
"""Why a sheet that somebody sends, or names, does not become an upload."""
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
        return upload_page(request, teams)
    wanted = request.POST.get("team", "")
    visible = Team.objects.visible_to(user)
    team = teams[0] if not wanted and len(teams) == 1 else get_object_or_404(visible, slug=wanted)
    try:
        upload = sent_upload(request, team)
    except REFUSALS as error:
        return upload_page(request, teams, error=error)
    return redirect("admin:upload_preview", upload.pk)


def sent_upload(request: HttpRequest, team: Team, *, updates: Batch | None = None) -> Upload:
    """Stores the sheet that the form sends, or that is at the address in it, with its files. Raises REFUSALS."""
    user, form = person(request), request.POST
    files = [(file.name or "", file) for file in request.FILES.getlist("files")]
    how: dict[str, Any] = {"files": files, "arrived": sent_files(user, team, sent_ids(request)), "updates": updates}
    if url := form.get("url", "").strip():
        return taking.preview(user, team, url=url, range_=form.get("range", ""), **how)
    return opening.preview_files(user, team, **how)


def sent_ids(request: HttpRequest) -> list[UUID]:
    """Of files that arrived by ``/api/files/``."""
    try:
        return [UUID(text) for text in request.POST.getlist("file_ids")]
    except ValueError:
        raise Invalid("What was chosen is no file that was sent. Choose the files again.", field="file_ids") from None


def upload_page(
    request: HttpRequest, teams: list[Team], *, batch: Batch | None = None, error: Exception | None = None
) -> HttpResponse:
    """The drop zone, of a new batch or for a newer sheet of ``batch``."""
    rows = SentFile.objects.filter(user=person(request), team__in=teams).select_related("team")
    chosen = set(request.POST.getlist("file_ids"))
    # Those that the person had just sent first: among hundreds they would not be found.
    waiting = sorted(rows[:MOST_WAITING], key=lambda sent: str(sent.pk) not in chosen)
    context = {
        "title": f"Newer sheet for {batch}" if batch else "New batch",
        "batch": batch,
        "teams": teams,
        "team": request.POST.get("team", ""),
        "columns": table.COLUMNS,
        "accepted": ",".join(ACCEPTED),
        "error": error,
        "url": request.POST.get("url", ""),
        "range": request.POST.get("range", ""),
        "share_with": client.service_account_email(),
        "piece_bytes": sending.PIECE_BYTES,
        "waiting": waiting,
        "unfinished": any(sent.asset_id is None for sent in waiting),
        "chosen": chosen,
    }
    return page(request, "batches/upload.html", context, status=_status_of(error))


def _status_of(error: Exception | None) -> int:
    match error:
        case Invalid():
            return UNPROCESSABLE
        case Conflict():
            return CONFLICT
    return OK if error is None else UNAVAILABLE


def visible_upload(request: HttpRequest, pk: int) -> Upload:
    related = ("team", "sheet", "user", "batch", "updates__upload", "committed_by")
    return get_object_or_404(Upload.objects.visible_to(request.user).select_related(*related), pk=pk)


@require_GET
def upload_preview(request: HttpRequest, pk: int) -> HttpResponse:
    """Every row with its verdict. An upload that was committed leads to its batch."""
    upload = visible_upload(request, pk)
    if upload.state == Upload.COMMITTED and upload.updates is None:
        return redirect("admin:batch", upload.batch.pk)
    return preview_page(request, upload)


HOW = {
    mapping.SAME: "The same name.",
    mapping.WORD: "Proposed: another word for it.",
    mapping.ALIKE: "Proposed: a similar name. Look whether it is right.",
    mapping.REMEMBERED: "As the team chose for this header before.",
    mapping.CHOSEN: "Chosen for this sheet.",
}


def preview_page(request: HttpRequest, upload: Upload, *, error: str = "", status: int = 200) -> HttpResponse:
    """The preview of an upload, for whatever it is."""
    layout = Layout.from_json(upload.layout)
    operates = Role.OPERATOR in roles_of(person(request), upload.team)
    is_open = upload.state != Upload.COMMITTED and upload.updates is None
    repeat = repeat_of(person(request), upload) if is_open else None
    context: dict[str, Any] = {
        "title": f"Preview of {upload.sheet.name}",
        "upload": upload,
        "layout": layout,
        "files": upload.files.select_related("asset").order_by("name"),
        "name": request.POST.get("name", ""),
        "error": error,
        "repeat": repeat,
        "repeat_made": when_made(repeat) if repeat else "",
        "may_change": operates and upload.state in Upload.STILL,
        "may_discard": operates and upload.state in {*Upload.STILL, Upload.JUDGING},
        **_mapping_step(upload, layout),
        **_content(request, upload, layout),
    }
    template = "batches/preview.html" if upload.updates is None else "batches/update_preview.html"
    return page(request, template, context, status=status)


def _content(request: HttpRequest, upload: Upload, layout: Layout) -> dict[str, Any]:
    if upload.state in {Upload.JUDGING, Upload.OPENING}:
        return _progress(upload)
    changes = context_of(request, upload) if upload.updates is not None else {}
    rows = _rows(request, upload, layout) if not changes or changes["only"] == "bad" else {}
    return {**changes, **rows}


def _mapping_step(upload: Upload, layout: Layout) -> dict[str, Any]:
    """One choice for each of our columns. Open when something of it is our guess, or is missing."""
    chosen = upload.mapping
    mapped = [
        {
            "column": column,
            "title": chosen[column.name]["title"] if column.name in chosen else "",
            "how": HOW[chosen[column.name]["how"]] if column.name in chosen else _not_found(column),
        }
        for column in table.COLUMNS
    ]
    guessed = {mapping.WORD, mapping.ALIKE}
    ours = set(titles_of(upload).values())
    titles = list(zip(layout.titles, _titles(layout), strict=True))
    return {
        "mapped": mapped,
        "mapped_count": len(chosen),
        "mapping_open": upload.state == Upload.MAPPING or any(one["how"] in guessed for one in chosen.values()),
        "titles": titles,
        "kept": [title for tidied, title in titles if tidied not in ours],
    }


def _not_found(column: table.Column) -> str:
    return "No column stands for it: choose one." if column.required else "Not in the sheet."


def _rows(request: HttpRequest, upload: Upload, layout: Layout) -> dict[str, Any]:
    only = request.GET.get("only", "")
    # Errors first: they are what a person is here for.
    rows = upload.rows.order_by("good", "id")
    if only in {"good", "bad"}:
        rows = rows.filter(good=only == "good")
    found = Paginator(rows, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    names, titles = judge_names(upload), _titles(layout)
    return {
        "header": titles,
        "page": found,
        "rows": [_row(names, titles, row) for row in found.object_list],
        "only": only,
    }


def _titles(layout: Layout) -> list[str]:
    return [title or name for title, name in zip(layout.header, layout.titles, strict=True)]


def _row(names: tuple[str, ...], titles: list[str], row: UploadRow) -> dict[str, Any]:
    faulty = {column for column, _, _ in row.errors}
    columns = zip(titles, names, row.values, strict=True)
    cells = [{"title": title, "text": value, "faulty": name in faulty} for title, name, value in columns]
    return {"line": row.line, "good": row.good, "errors": row.errors, "cells": cells}


@require_GET
def upload_progress(request: HttpRequest, pk: int) -> HttpResponse:
    """What a worker does for the upload now, for a page that asks again and again; when it is done, the page anew."""
    upload = visible_upload(request, pk)
    if upload.state not in {Upload.JUDGING, Upload.OPENING}:
        return HttpResponse(headers={"HX-Refresh": "true"})
    return render(request, "batches/intake_progress.html", {"upload": upload, **_progress(upload)})


def _progress(upload: Upload) -> dict[str, Any]:
    errand = opening.errand_of(upload)
    if errand is None or errand.state == Errand.QUEUED:
        paused = errands.why_paused(errand) if errand else ""
        step = "Paused" if paused else "Waiting for a worker"
        total = errand.total if errand else 0
        return {"step": step, "paused": paused, "percent": None, "done": 0, "total": total}
    seconds = (clock.now() - errand.started_at).total_seconds() if errand.started_at else 0.0
    return {
        "step": errand.step,
        "done": errand.done,
        "total": errand.total,
        "percent": min(100.0, 100 * errand.done / errand.total) if errand.total else None,
        "rate": round(errand.done / seconds) if seconds > 0 else 0,
    }


def _refused_on_the_preview(view: Callable[[HttpRequest, int], HttpResponse]) -> Callable[..., HttpResponse]:
    """What the view refuses (Invalid, Conflict) is told on the upload's preview as it is now."""

    @wraps(view)
    def answer(request: HttpRequest, pk: int) -> HttpResponse:
        try:
            return view(request, pk)
        except Invalid as error:
            refusal, status = str(error), UNPROCESSABLE
        except Conflict as error:
            refusal, status = str(error), CONFLICT
        return preview_page(request, visible_upload(request, pk), error=refusal, status=status)

    return answer


@require_POST
@roles_guarded
@_refused_on_the_preview
def upload_mapping(request: HttpRequest, pk: int) -> HttpResponse:
    """Judges the rows anew with the columns that a person chose, or with another sheet or row of the titles."""
    upload = visible_upload(request, pk)
    tab, row = request.POST.get("sheet_name"), request.POST.get("header_row", "").strip()
    given = {column.name: request.POST.get(column.name, "") for column in table.COLUMNS}
    if tab is not None and tab != request.POST.get("seen_sheet"):
        opening.check_again(person(request), upload, tab=tab)
    elif row and row != request.POST.get("seen_header_row"):
        opening.check_again(person(request), upload, header_row=_row_number(row))
    else:
        opening.check_again(person(request), upload, given=given)
    return redirect("admin:upload_preview", upload.pk)


def _row_number(text: str) -> int:
    if not (text.isdecimal() and text.isascii() and len(text) < 10 and int(text)):
        raise Invalid(f"“{text[:20]}” is not the number of a row.", field="header_row")
    return int(text)


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
        return preview_page(request, visible_upload(request, pk), error=str(error), status=UNPROCESSABLE)
    except Repeated:
        return preview_page(request, visible_upload(request, pk), status=CONFLICT)  # which asks
    except Conflict as error:
        upload = visible_upload(request, pk)
        if upload.state == Upload.PREVIEW:
            opening.check_again(person(request), upload)
        return preview_page(request, upload, error=str(error), status=CONFLICT)
    if batch.opening:
        return redirect("admin:upload_preview", upload.pk)
    messages.success(request, f"{batch.name} is open. Start its ingestion when you are ready.")
    return redirect("admin:batch", batch.pk)


@require_POST
@roles_guarded
@_refused_on_the_preview
def upload_check(request: HttpRequest, pk: int) -> HttpResponse:
    """Judges the rows anew, after files were put into the asset roots."""
    opening.check_again(person(request), visible_upload(request, pk))
    return redirect("admin:upload_preview", pk)


@require_POST
@roles_guarded
@_refused_on_the_preview
def upload_discard(request: HttpRequest, pk: int) -> HttpResponse:
    """Forgets an upload that was not committed."""
    upload = visible_upload(request, pk)
    name = upload.sheet.name
    opening.discard(person(request), upload)
    messages.info(request, f"{name} was discarded.")
    return redirect("admin:batches")


@require_GET
def upload_bad_rows(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """The rows with errors, as a CSV to correct."""
    upload = visible_upload(request, pk)
    stem = upload.sheet.name.rpartition(".")[0] or upload.sheet.name
    return csv_answer(bad_rows.bad_rows_csv(upload), f"{stem} - rows with errors.csv")
