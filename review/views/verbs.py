"""What people do with a job, from any of its pages: decisions, remarks, who looks after it."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from jobs.errors import Invalid
from jobs.models import Job, Warning
from jobs.states import VERBS, State
from review import decisions
from review.forms import LIST, NEXT, AssignForm, CommentForm, PriorityForm, ResolutionForm, VerbForm, cleaned
from review.next_job import next_job
from review.remarks import read_findings
from review.views.page import acts_on_job, deciders, job_context, person

DONE_WORDS = {
    "start": "{job} is queued for ingestion",
    "cancel": "Cancelled {job}",
    "hold": "{job} is on hold",
    "release": "Released {job}",
    "retry": "{job} is queued again",
    "requeue": "{job} is processed again from {stage}",
    "reject": "Sent {job} back to {stage}",
    "force_approve": "Force-approved {job}: it is being deployed",
}


@acts_on_job
def decide(request: HttpRequest, job: Job, verb: str) -> HttpResponse:
    """Applies a verb and answers at once: the work it leads to is queued in the same transaction."""
    values = cleaned(VerbForm, request.POST)
    user = person(request)
    needs_version = verb in VERBS and VERBS[verb].needs_version
    decisions.decide(
        user,
        job,
        verb,
        version=values["version"] if needs_version else None,
        reason=values["reason"],
        target=values["target"],
    )
    messages.success(request, _words(job, verb))
    return _where_to(request, user, job, values["then"])


def _words(job: Job, verb: str) -> str:
    if verb in {"approve_matches", "approve_preview"}:
        ready = job.state == State.IN_REVIEW
        what = "the preview" if verb == "approve_matches" else "the final project"
        return f"Approved {job.job_id}: {what} is {'ready' if ready else 'being prepared'}"
    return DONE_WORDS[verb].format(job=job.job_id, stage=job.stage_label.lower())


def _where_to(request: HttpRequest, user: User, job: Job, then: str) -> HttpResponse:
    if then == NEXT:
        following = next_job(user, after=job)
        if following is not None:
            return redirect("admin:job", pk=following.pk)
        messages.info(request, "Nothing else waits for you.")
    return redirect("admin:my_queue") if then in (NEXT, LIST) else redirect("admin:job", pk=job.pk)


@acts_on_job
def comment(request: HttpRequest, job: Job) -> HttpResponse:
    decisions.comment(person(request), job, text=cleaned(CommentForm, request.POST)["text"])
    return _fragment(request, job, "review/comments_changed.html")


@acts_on_job
def assign(request: HttpRequest, job: Job) -> HttpResponse:
    wanted = cleaned(AssignForm, request.POST)["assignee"]
    assignee = next((decider for decider in deciders(job) if decider.pk == wanted), None)
    if wanted is not None and assignee is None:
        raise Invalid(f"Nobody in {job.team.name} who can decide has the number {wanted}.", field="assignee")
    decisions.assign(person(request), job, assignee=assignee)
    response = _fragment(request, job, "review/assignment_changed.html")
    whom = assignee.get_username() if assignee else "nobody"
    response["HX-Trigger"] = json.dumps({"toast": f"{job.job_id} is assigned to {whom}"})
    return response


@acts_on_job
def prioritise(request: HttpRequest, job: Job) -> HttpResponse:
    decisions.set_priority(person(request), job, priority=cleaned(PriorityForm, request.POST)["priority"])
    messages.success(request, f"{job.job_id} has {job.priority_name} priority")
    return redirect("admin:job", pk=job.pk)


@acts_on_job
def settle_warning(request: HttpRequest, job: Job, warning_pk: int) -> HttpResponse:
    """Resolves, accepts or reopens a finding, and answers with the finding as it is now and the new count."""
    warning = get_object_or_404(Warning.objects.select_related("job__team", "resolved_by"), pk=warning_pk, job=job)
    values = cleaned(ResolutionForm, request.POST)
    decisions.resolve_warning(person(request), warning, resolution=values["resolution"], note=values["note"])
    return _fragment(request, job, "review/warning_changed.html", changed=[warning], findings=read_findings(job))


def _fragment(request: HttpRequest, job: Job, template: str, **more: Any) -> HttpResponse:
    return render(request, template, {**job_context(person(request), job), **more})
