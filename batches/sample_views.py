"""Sample sheets to download: the plain one, and one with the slots of a template as columns."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET, require_http_methods

from batches.answers import UNPROCESSABLE, page, person
from batches.intake.sample import Template, known_templates, read_template, sample
from batches.intake.table import PROJECT_SUFFIXES
from jobs.errors import Invalid
from jobs.models import Team


@require_GET
def sample_sheet(request: HttpRequest) -> StreamingHttpResponse:
    """A CSV with every column and two example rows."""
    return csv_answer([sample()], "sample.csv")


@require_http_methods(["GET", "HEAD", "POST"])
def template_sample(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """Choose one of the team's templates or send one: the sheet has a column for each of its slots."""
    teams = list(Team.objects.visible_to(person(request)))
    if request.method != "POST":
        return _choice(request, teams)
    try:
        template = _template(request, teams)
    except Invalid as error:
        return _choice(request, teams, error=str(error), status=UNPROCESSABLE)
    return csv_answer([sample(template)], f"{PurePosixPath(template.name).stem} - sample.csv")


def _template(request: HttpRequest, teams: list[Team]) -> Template:
    sent = request.FILES.get("template")
    if sent is not None:
        return read_template(sent.name or "", sent)
    slug, _, key = request.POST.get("known", "").rpartition(":")
    if not slug:
        raise Invalid("Choose a template, or send one.", field="template")
    team = get_object_or_404(Team.objects.visible_to(request.user), slug=slug)
    for template in known_templates(team):
        if str(template.key) == key:
            return template
    raise Invalid("This template is no longer known. Choose another, or send it.", field="template")


def _choice(request: HttpRequest, teams: list[Team], *, error: str = "", status: int = 200) -> HttpResponse:
    context = {
        "title": "Sample sheet",
        "known": [(team, known_templates(team)) for team in teams],
        "accepted": ",".join(PROJECT_SUFFIXES),
        "error": error,
    }
    return page(request, "batches/sample.html", context, status=status)


def csv_answer(data: Iterable[bytes], name: str) -> StreamingHttpResponse:
    disposition = content_disposition_header(as_attachment=True, filename=name) or "attachment"
    headers = {"Content-Disposition": disposition}
    return StreamingHttpResponse(data, content_type="text/csv; charset=utf-8", headers=headers)
