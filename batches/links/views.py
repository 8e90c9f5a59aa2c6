"""The pages of a linked sheet: link, look, sync, settings, unlink."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from batches.answers import CONFLICT, UNPROCESSABLE, page, person, roles_guarded
from batches.google import client
from batches.links import linking
from batches.links.models import LEAST_POLL_MINUTES, LinkedSheet
from batches.links.showing import status_of
from batches.models import Batch
from batches.views import visible_batch
from jobs.errors import Conflict, Invalid, NotAllowed
from jobs.models import Team
from jobs.states import Role
from jobs.teams import require_verb, roles_of

MOST_WAITING = 20
WRITTEN = (("state_column", "State"), ("link_column", "Link to the job"), ("error_column", "Error"))


@require_http_methods(["GET", "HEAD", "POST"])
@roles_guarded
def link_sheet(request: HttpRequest) -> HttpResponse:
    """Links a Google Sheet (``url``, ``range``) of which a batch is to be opened, or to the ``batch`` that is named."""
    user = person(request)
    teams = [team for team in Team.objects.visible_to(user) if Role.OPERATOR in roles_of(user, team)]
    if not teams:
        raise NotAllowed("Linking a sheet takes the role operator in a team.")
    asked = request.POST if request.method == "POST" else request.GET
    number = asked.get("batch", "")
    is_number = number.isascii() and number.isdecimal() and len(number) < 18
    batch = visible_batch(request, int(number)) if is_number else None
    if batch is not None:
        require_verb(user, batch.team, "start")
        teams = [batch.team]
    if request.method != "POST":
        return _link_page(request, teams, batch)
    wanted = asked.get("team", "")
    visible = Team.objects.visible_to(user)
    team = teams[0] if len(teams) == 1 and not wanted else get_object_or_404(visible, slug=wanted)
    try:
        linked = linking.link(user, team, url=asked.get("url", ""), range_=asked.get("range", ""), batch=batch)
    except (Invalid, Conflict) as error:
        return _link_page(request, teams, batch, error=error)
    return redirect("admin:linked_sheet", linked.pk)


def _link_page(
    request: HttpRequest, teams: list[Team], batch: Batch | None, *, error: Invalid | Conflict | None = None
) -> HttpResponse:
    context = {
        "title": "Link a Google Sheet",
        "teams": teams,
        "batch": batch,
        "sent": request.POST,
        "error": error,
        "field": getattr(error, "field", ""),
        "account": client.service_account_email(),
        "waiting": LinkedSheet.objects.visible_to(person(request)).filter(batch=None, team__in=teams)[:MOST_WAITING],
    }
    status = 200 if error is None else CONFLICT if isinstance(error, Conflict) else UNPROCESSABLE
    return page(request, "batches/link_sheet.html", context, status=status)


def visible_link(request: HttpRequest, pk: int) -> LinkedSheet:
    links = LinkedSheet.objects.visible_to(request.user).select_related("team", "batch", "asked_by", "created_by")
    return get_object_or_404(links, pk=pk)


@require_GET
def linked_sheet(request: HttpRequest, pk: int) -> HttpResponse:
    """What was read of the sheet, what it would change, and what is done with it by the clock."""
    return _page(request, visible_link(request, pk))


def _page(request: HttpRequest, linked: LinkedSheet, *, error: str = "", status: int = 200) -> HttpResponse:
    context = {
        "title": str(linked),
        "error": error,
        "sent": request.POST,
        "account": client.service_account_email(),
        "least_minutes": LEAST_POLL_MINUTES,
        "header": linking.header_now(linked),
        "columns": [(field, label, request.POST.get(field, getattr(linked, field))) for field, label in WRITTEN],
        **status_of(linked),
        "operates": Role.OPERATOR in roles_of(person(request), linked.team),
    }
    return page(request, "batches/linked_sheet.html", context, status=status)


@require_GET
def linked_sheet_now(request: HttpRequest, pk: int) -> HttpResponse:
    """The status alone, for a page that asks again while the sheet is read; when that is over, the page anew."""
    linked = visible_link(request, pk)
    status = status_of(linked)
    if status["errand"] is None:
        return HttpResponse(headers={"HX-Refresh": "true"})
    operates = Role.OPERATOR in roles_of(person(request), linked.team)
    return render(request, "batches/linked_sheet_status.html", {**status, "operates": operates})


@require_POST
@roles_guarded
def linked_sheet_sync(request: HttpRequest, pk: int) -> HttpResponse:
    linked = linking.sync(person(request), visible_link(request, pk))
    return redirect("admin:linked_sheet", linked.pk)


@require_POST
@roles_guarded
def linked_sheet_settings(request: HttpRequest, pk: int) -> HttpResponse:
    """Polling (``is_polling``, ``poll_minutes``) and the columns that are written back."""
    linked, sent = visible_link(request, pk), request.POST
    minutes = sent.get("poll_minutes", "").strip()
    try:
        if minutes and not (minutes.isdecimal() and minutes.isascii() and len(minutes) < 7):
            raise Invalid(f"“{minutes[:20]}” is not a number of minutes.", field="poll_minutes")
        linking.amend(
            person(request),
            linked,
            is_polling="is_polling" in sent,
            poll_minutes=int(minutes) if minutes else None,
            columns={field: sent.get(field, "") for field in linking.COLUMN_FIELDS},
        )
    except Invalid as error:
        return _page(request, linked, error=str(error), status=UNPROCESSABLE)
    messages.success(request, "Saved.")
    return redirect("admin:linked_sheet", linked.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@roles_guarded
def linked_sheet_unlink(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks first, then unlinks."""
    linked, user = visible_link(request, pk), person(request)
    require_verb(user, linked.team, "start")
    if request.method != "POST":
        return page(request, "batches/unlink_sheet.html", {"title": f"Unlink {linked}?", "linked": linked})
    batch = linked.batch
    linking.remove(user, linked)
    messages.info(request, "The sheet was unlinked.")
    return redirect("admin:batch", batch.pk) if batch else redirect("admin:batches")
