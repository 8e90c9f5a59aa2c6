"""The verbs of people. Admin pages, HTMX fragments and the API all call these, and each checks the permission itself.

All raise NotAllowed (the role is missing), Conflict (the job is elsewhere or was changed) or Invalid (a bad argument),
and leave everything as it was when they do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.db import transaction

from jobs import clock
from jobs.errors import Conflict, Invalid
from jobs.lifecycle import annotate, move
from jobs.models import Event, Job, Match, Warning
from jobs.states import VERBS, Role, Stage
from jobs.teams import require_role, require_verb, roles_of
from jobs.telling import tell_assigned, tell_mentioned
from review.models import Comment, Decision

if TYPE_CHECKING:
    from django.contrib.auth.models import User

DECISIONS = frozenset({"approve_matches", "approve_preview", "force_approve", "reject"})
WORKING_ROLES = (Role.OPERATOR, Role.REVIEWER, Role.APPROVER)
RESOLUTIONS = ("resolved", "accepted")
MOST_UNDONE = 200
"""How many changes of one review can be taken back, those already taken back included."""


def decide(
    user: User,
    job: Job,
    verb: str,
    *,
    version: int | None = None,
    reason: str = "",
    target: Stage | None = None,
) -> Job:
    """Applies one of people's verbs that need nothing but a version, a reason or a stage to go to.

    ``amend`` and ``choose_comp`` have functions of their own.
    """
    if verb not in VERBS or Role.SYSTEM in VERBS[verb].roles or verb in {"amend", "choose_comp"}:
        raise Invalid(f"There is no verb {verb!r}.", field="verb")
    require_verb(user, job.team, verb)
    with transaction.atomic():
        open_warnings = job.warnings.filter(resolution="", kind=Warning.FINDING).count()
        shown = shown_sha256(job) if verb in DECISIONS else ""
        stage = job.stage
        fields = _fields_beside(verb, reason, target)
        data: dict[str, Any] = {"open_warnings": open_warnings, "shown_sha256": shown} if shown else {}
        move(job, verb, actor=user, version=version, target=target, reason=reason, data=data, fields=fields)
        if verb in DECISIONS:
            Decision.objects.create(
                job=job,
                stage=stage,
                verb=verb,
                user=user,
                reason=reason.strip(),
                version=job.version,
                shown_sha256=shown,
                open_warnings=open_warnings,
            )
    return job


def _fields_beside(verb: str, reason: str, target: Stage | None) -> dict[str, Any]:
    if verb == "force_approve":
        return {"forced_reason": reason.strip()}
    if verb == "approve_preview" or (verb in {"reject", "requeue"} and target is not None):
        return {"forced_reason": ""}  # a force counts for the one delivery it was given for
    return {}


def approve(user: User, job: Job, *, version: int | None, reason: str = "") -> Job:
    """Approves whatever stage the job is reviewed at. Delivery can only be approved by force, with a reason.

    The version is compared before the stage tells which approval it is: a second click was meant for another stage.
    """
    if version is not None and version != job.version:
        shown = job.public_state.replace("_", " ")
        words = f"{job.job_id} has changed since you opened it: it is {shown} now."
        raise Conflict(words, state=job.public_state, allowed=job.allowed())
    verb = {
        Stage.MATCHING: "approve_matches",
        Stage.PREVIEW: "approve_preview",
        Stage.DELIVERY: "force_approve",
    }.get(Stage(job.stage))
    if verb is None:
        raise Conflict(f"{job.job_id} is not up for approval.", state=job.public_state, allowed=job.allowed())
    return decide(user, job, verb, version=version, reason=reason)


def amend(user: User, job: Job, *, slot_id: str, layer_id: int | None, version: int | None) -> Job:
    """Puts a PSD layer into a slot; None leaves the slot as the template has it.

    A layer that fills another slot changes places with what was here. Only layers that fit the slot's kind are taken.
    """
    require_verb(user, job.team, "amend")
    with transaction.atomic():
        proposal = job.result_of(Stage.INGESTION) or {}
        matches = {match.slot_id: match for match in job.matches.all()}
        match = matches.get(slot_id)
        if match is None:
            raise Invalid(f"This job has no slot {slot_id}.", field="slot_id")
        name = _layer_name(proposal, match, layer_id)
        wanted = _exchange(matches, match, layer_id)
        data = {
            "slot": match.slot_name,
            "from": match.layer_name,
            "to": name,
            "before": {slot: _as_it_was(matches[slot]) for slot in wanted},
        }
        move(job, "amend", actor=user, version=version, data=data)
        _empty(matches[slot] for slot in wanted)
        for slot, layer in wanted.items():
            _fill(matches[slot], layer, user, proposal)
    return job


def _exchange(matches: dict[str, Match], match: Match, layer_id: int | None) -> dict[str, int | None]:
    """Which layer goes into which slot: the match's own, and the one that gives its layer away."""
    wanted: dict[str, int | None] = {match.slot_id: layer_id}
    for other in matches.values():
        if layer_id is not None and other.layer_id == layer_id and other is not match:
            wanted[other.slot_id] = match.layer_id if other.slot_kind == match.slot_kind else None
    return wanted


def _layer_name(proposal: dict[str, Any], match: Match, layer_id: int | None) -> str:
    """The name of a layer that may go into the slot. Raises Invalid for one that is unknown or of the wrong kind."""
    if layer_id is None:
        return ""
    layer = next((layer for layer in proposal.get("layers", []) if layer["layer_id"] == layer_id), None)
    if layer is None:
        raise Invalid(f"The PSD has no layer {layer_id}.", field="layer_id")
    if layer["slot_kind"] != match.slot_kind:
        raise Invalid(
            f"The layer {layer['name']} is no {match.slot_kind}: it cannot fill {match.slot_name}.", field="layer_id"
        )
    return str(layer["name"])


def _empty(matches: Iterable[Match]) -> None:
    """No layer fills two slots, not even between two statements: what changes is emptied first."""
    Match.objects.filter(pk__in=[match.pk for match in matches]).update(layer_id=None)


def _fill(match: Match, layer_id: int | None, user: User, proposal: dict[str, Any]) -> None:
    """The parts of a score are known for the pair that was proposed; of other pairs the score alone is."""
    proposed: dict[str, Any] = next(
        (item for item in proposal.get("matches", []) if item["slot_id"] == match.slot_id), {}
    )
    same = layer_id is not None and proposed.get("layer_id") == layer_id
    scores = proposal.get("scores", {}).get(match.slot_id, {})
    match.score = proposed["score"] if same else scores.get(str(layer_id))
    match.parts = proposed["parts"] if same else {}
    match.layer_id, match.layer_name = layer_id, _layer_name(proposal, match, layer_id)
    match.origin, match.changed_by, match.changed_at = Match.HUMAN, user, clock.now()
    match.save()


def _as_it_was(match: Match) -> dict[str, Any]:
    return {
        "layer_id": match.layer_id,
        "layer_name": match.layer_name,
        "score": match.score,
        "parts": match.parts,
        "origin": match.origin,
        "changed_by": match.changed_by_id,
    }


def undo_amend(user: User, job: Job, *, version: int | None) -> Job:
    """Takes back the newest change of the matches that was not taken back yet, since the review was opened."""
    require_verb(user, job.team, "amend")
    with transaction.atomic():
        last = change_to_undo(job)
        if last is None:
            raise Conflict(f"{job.job_id} has no change to undo.", state=job.public_state, allowed=job.allowed())
        data = {
            "slot": last.data["slot"],
            "from": last.data["to"],
            "to": last.data["from"],
            "undoes": last.version,
        }
        move(job, "amend", actor=user, version=version, data=data)
        matches = {match.slot_id: match for match in job.matches.filter(slot_id__in=last.data["before"])}
        _empty(matches.values())
        for slot_id, before in last.data["before"].items():
            match = matches[slot_id]
            match.changed_by_id, match.changed_at = before["changed_by"], clock.now()
            for column in ("layer_id", "layer_name", "score", "parts", "origin"):
                setattr(match, column, before[column])
            match.save()
    return job


def change_to_undo(job: Job) -> Event | None:
    """The newest change of the matches that can be taken back; None when there is none since the review was opened."""
    undone = set()
    for event in job.events.filter(version__isnull=False).order_by("-version")[:MOST_UNDONE]:
        if event.verb != "amend":
            return None
        if "undoes" in event.data:
            undone.add(event.data["undoes"])
        elif event.version not in undone:
            return event if "before" in event.data else None
    return None


def choose_comp(user: User, job: Job, *, comp_id: int, version: int | None) -> Job:
    """Takes another composition as render comp; slots and matches are found anew."""
    require_verb(user, job.team, "choose_comp")
    result = job.result_of(Stage.INGESTION) or {}
    names = {comp["id"]: comp["name"] for comp in result.get("compositions", [])}
    if comp_id not in names:
        raise Invalid(f"The project has no composition {comp_id}.", field="comp_id")
    return move(
        job,
        "choose_comp",
        actor=user,
        version=version,
        data={"comp": names[comp_id]},
        fields={"render_comp_id": comp_id},
    )


def assign(user: User, job: Job, *, assignee: User | None) -> Job:
    """Asks a person to look after the job, or nobody. Only people who can decide in the team may be asked."""
    require_role(user, job.team, *WORKING_ROLES)
    if assignee is not None and not roles_of(assignee, job.team) & {Role.REVIEWER, Role.APPROVER}:
        raise Invalid(f"{assignee} is neither reviewer nor approver in {job.team.name}.", field="assignee")
    with transaction.atomic():
        Job.objects.filter(pk=job.pk).update(assignee=assignee)
        event = annotate(job, "assign", actor=user, data={"assignee": assignee.get_username() if assignee else None})
        job.assignee = assignee
        tell_assigned(event, job)
    job.refresh_from_db()
    return job


def comment(user: User, job: Job, *, text: str) -> Comment:
    """Leaves a remark on the job at its present stage. Everybody who can see the job and works on it may.

    Members of the team who are named as @username are told.
    """
    require_role(user, job.team, *WORKING_ROLES)
    text = text.strip()
    if not text:
        raise Invalid("The comment is empty.", field="text")
    with transaction.atomic():
        tell_mentioned(annotate(job, "comment", actor=user, reason=text), job)
        return Comment.objects.create(job=job, stage=job.stage, user=user, text=text)


def resolve_warning(user: User, warning: Warning, *, resolution: str, note: str) -> Warning:
    """Marks a warning as resolved, or as accepted with a note; an empty resolution opens it again."""
    require_role(user, warning.job.team, *WORKING_ROLES)
    if resolution not in (*RESOLUTIONS, ""):
        raise Invalid(f"A warning is resolved or accepted, not {resolution!r}.", field="resolution")
    if resolution == "accepted" and not note.strip():
        raise Invalid("Accepting a warning needs a note.", field="note")
    with transaction.atomic():
        warning.resolution, warning.note = resolution, note.strip()
        warning.resolved_by = user if resolution else None
        warning.resolved_at = clock.now() if resolution else None
        kept = Warning.objects.filter(pk=warning.pk).update(
            resolution=warning.resolution,
            note=warning.note,
            resolved_by=warning.resolved_by,
            resolved_at=warning.resolved_at,
        )
        if not kept:
            raise Conflict("The warning is gone: the stage was processed again.", state=warning.job.public_state)
        annotate(
            warning.job,
            "warning_" + (resolution or "reopened"),
            actor=user,
            reason=note.strip(),
            data={"code": warning.code, "object": warning.object},
        )
    return warning


def set_priority(user: User, job: Job, *, priority: int) -> Job:
    """Changes how urgent the job is, also for work that is queued already."""
    require_role(user, job.team, Role.OPERATOR)
    with transaction.atomic():
        Job.objects.filter(pk=job.pk).update(priority=priority)
        job.runs.filter(state="queued").update(priority=priority, rank=priority)
        annotate(job, "prioritise", actor=user, data={"priority": priority})
    job.refresh_from_db()
    return job


def shown_sha256(job: Job) -> str:
    """The SHA-256 of everything the stage shows: files, matches, warnings. An approval is pinned to it."""
    shown = {
        "assets": list(job.assets.filter(stage__lte=job.stage).order_by("id").values_list("kind", "sha256")),
        "matches": list(job.matches.order_by("slot_id").values_list("slot_id", "layer_id")),
        "warnings": list(job.warnings.order_by("id").values_list("code", "object", "message", "resolution")),
        "sources": [job.psd.sha256 if job.psd else "", job.project.sha256 if job.project else ""],
    }
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()
