"""Changes on the matching page. Each answers with what it changed and with the job's new version."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from jobs.models import Job
from review import decisions
from review.board import read_board
from review.forms import AmendForm, CompForm, VersionForm, cleaned
from review.prepared import read_prepared
from review.views.page import acts_on_job, job_context, person


@acts_on_job
def amend(request: HttpRequest, job: Job) -> HttpResponse:
    """Puts a layer into a slot, or empties it."""
    values = cleaned(AmendForm, request.POST)
    return _changed(
        request,
        job,
        lambda: decisions.amend(
            person(request), job, slot_id=values["slot_id"], layer_id=values["layer_id"], version=values["version"]
        ),
    )


@acts_on_job
def undo(request: HttpRequest, job: Job) -> HttpResponse:
    """Takes the newest change back."""
    version = cleaned(VersionForm, request.POST)["version"]
    return _changed(request, job, lambda: decisions.undo_amend(person(request), job, version=version))


def _changed(request: HttpRequest, job: Job, change: Callable[[], Job]) -> HttpResponse:
    """The rows and cards that a change touched; the others stay in the page as they are."""
    before = dict(job.matches.values_list("slot_id", "layer_id"))
    changed_before = dict(job.matches.values_list("slot_id", "changed_at"))
    change()
    board = read_board(read_prepared(job))
    slots = {row.match.slot_id for row in board.rows if row.match.changed_at != changed_before[row.match.slot_id]}
    layers = {before[slot] for slot in slots} | {row.match.layer_id for row in board.rows if row.match.slot_id in slots}
    rows, cards = board.only(slots, {layer for layer in layers if layer is not None})
    context = {
        **job_context(person(request), job),
        "board": board,
        "rows": rows,
        "cards": cards,
        "undo": decisions.change_to_undo(job),
        "page": "matching",
    }
    return render(request, "review/matching_changed.html", context)


@acts_on_job
def choose_comp(request: HttpRequest, job: Job) -> HttpResponse:
    """Takes another composition as render comp. The job is ingested anew."""
    values = cleaned(CompForm, request.POST)
    decisions.choose_comp(person(request), job, comp_id=values["comp_id"], version=values["version"])
    messages.success(request, f"{job.job_id} is read again with the other composition")
    return redirect("admin:job", pk=job.pk)
