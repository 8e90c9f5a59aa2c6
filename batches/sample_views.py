"""Sample sheets to download: the plain one, and one with the slots of a template as columns."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET, require_http_methods

from batches.answers import UNPROCESSABLE, page, person, sample_answer
from batches.intake.sample import Form, Template, known_templates, read_template
from batches.intake.table import PROJECT_SUFFIXES
from jobs.errors import Invalid
from jobs.models import Team


@require_GET
def sample_sheet(request: HttpRequest, form: Form) -> StreamingHttpResponse:
    """Every column and two example rows."""
    return sample_answer(None, form)


@require_http_methods(["GET", "HEAD", "POST"])
def template_sample(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """Choose one of the team's templates or send one: the sheet (``format`` csv or xlsx) has a column for each slot."""
    teams = list(Team.objects.visible_to(person(request)))
    if request.method != "POST":
        return _choice(request, teams)
    try:
        template = _template(request, teams)
    except Invalid as error:
        return _choice(request, teams, error=str(error), status=UNPROCESSABLE)
    return sample_answer(template, "xlsx" if request.POST.get("format") == "xlsx" else "csv")


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
