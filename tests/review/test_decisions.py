"""The verbs of people: every role times every verb, and what each verb refuses."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from batches.models import Batch
from jobs.errors import Conflict, Invalid, NotAllowed
from jobs.models import Event, Job, StageRun
from jobs.states import VERBS, Role, Stage, State
from review import decisions
from tests.people import People, make_job
from tests.review.builders import add_run, add_warning, at_delivery, at_matching, at_preview, ingested

WORDS = "A reason that is long enough"
PEOPLE = ("olga", "rita", "adam", "vera", "oscar", "nobody", "root")
ROLES = {
    "olga": {Role.OPERATOR},
    "rita": {Role.REVIEWER},
    "adam": {Role.APPROVER},
    "vera": {Role.VIEWER},
    "oscar": set(),  # has every role, in another team
    "nobody": set(),
    "root": {Role.OPERATOR, Role.REVIEWER, Role.APPROVER, Role.VIEWER},
}
PEOPLES_VERBS = [name for name, verb in VERBS.items() if Role.SYSTEM not in verb.roles]
MACHINE_VERBS = [name for name, verb in VERBS.items() if Role.SYSTEM in verb.roles]


def job_for(verb: str, batch: Batch) -> Job:
    """A job from which the verb leads on."""
    if verb in {"amend", "choose_comp", "approve_matches", "cancel", "hold"}:
        return at_matching(batch)
    if verb in {"approve_preview", "reject"}:
        return at_preview(batch)
    if verb == "force_approve":
        return at_delivery(batch)
    state = {"start": State.PENDING, "release": State.ON_HOLD, "retry": State.FAILED, "requeue": State.DONE}[verb]
    job = make_job(batch, Stage.INGESTION, state, held_state="pending" if state == State.ON_HOLD else "")
    add_run(job, Stage.INGESTION, ingested())
    return job


def use(verb: str, user: User, job: Job, version: int | None) -> None:
    if verb == "amend":
        decisions.amend(user, job, slot_id="1:1", layer_id=5, version=version)
    elif verb == "choose_comp":
        decisions.choose_comp(user, job, comp_id=2, version=version)
    else:
        target = Stage(job.stage - 1) if verb == "reject" else Stage(job.stage) if verb == "requeue" else None
        needed = version if VERBS[verb].needs_version else None
        decisions.decide(user, job, verb, version=needed, reason=WORDS, target=target)


@pytest.mark.parametrize("verb", PEOPLES_VERBS)
@pytest.mark.parametrize("name", PEOPLE)
def test_a_verb_is_for_those_with_its_role_in_the_jobs_team(name: str, verb: str, people: People, batch: Batch) -> None:
    user = getattr(people, name)
    job = job_for(verb, batch)
    before = (job.stage, job.state, job.version)
    if ROLES[name] & VERBS[verb].roles:
        use(verb, user, job, job.version)
        assert job.version > before[2]
        assert job.events.filter(verb=verb, actor=user).count() == 1
    else:
        with pytest.raises(NotAllowed):
            use(verb, user, job, job.version)
        job.refresh_from_db()
        assert (job.stage, job.state, job.version) == before
        assert not job.events.exists()


@pytest.mark.parametrize("verb", [*MACHINE_VERBS, "amend", "choose_comp", "nonsense", ""])
def test_decide_takes_no_verb_of_machines_and_none_that_needs_more(verb: str, people: People, job: Job) -> None:
    with pytest.raises(Invalid, match="no verb"):
        decisions.decide(people.root, job, verb, version=0)


@pytest.mark.parametrize("verb", [name for name in PEOPLES_VERBS if VERBS[name].needs_version])
def test_a_stale_version_changes_nothing(verb: str, people: People, batch: Batch) -> None:
    job = job_for(verb, batch)
    Job.objects.filter(pk=job.pk).update(version=7)
    matches = list(job.matches.values_list("slot_id", "layer_id", "origin"))
    with pytest.raises(Conflict, match="changed since"):
        use(verb, people.root, job, version=6)
    assert list(job.matches.values_list("slot_id", "layer_id", "origin")) == matches
    assert not job.events.exists()
    assert not job.decisions.exists()


@pytest.mark.parametrize("verb", [name for name in PEOPLES_VERBS if VERBS[name].needs_version])
def test_without_a_version_nothing_is_decided(verb: str, people: People, batch: Batch) -> None:
    job = job_for(verb, batch)
    with pytest.raises(Invalid, match="version"):
        use(verb, people.root, job, None)


def filled(job: Job) -> dict[str, int | None]:
    return dict(job.matches.values_list("slot_id", "layer_id"))


def test_a_free_layer_takes_the_place_of_the_one_before(people: People, batch: Batch) -> None:
    job = at_matching(batch)
    decisions.amend(people.rita, job, slot_id="1:3", layer_id=7, version=0)
    match = job.matches.get(slot_id="1:3")
    assert (match.layer_id, match.layer_name, match.origin, match.changed_by) == (7, "backdrop", "human", people.rita)
    assert (match.score, match.parts) == (20.0, {})


def test_layers_of_two_slots_change_places(people: People, batch: Batch) -> None:
    job = at_matching(batch)
    decisions.amend(people.rita, job, slot_id="1:1", layer_id=5, version=0)
    assert filled(job) == {"1:1": 5, "1:2": 4, "1:3": 6}
    assert set(job.matches.filter(origin="human").values_list("slot_id", flat=True)) == {"1:1", "1:2"}


def test_a_slot_is_left_empty(people: People, batch: Batch) -> None:
    job = at_matching(batch)
    decisions.amend(people.rita, job, slot_id="1:1", layer_id=None, version=0)
    match = job.matches.get(slot_id="1:1")
    assert (match.layer_id, match.layer_name, match.score) == (None, "", None)


def test_a_layer_moves_to_an_empty_slot_and_leaves_an_empty_one(people: People, batch: Batch) -> None:
    job = at_matching(batch)
    decisions.amend(people.rita, job, slot_id="1:1", layer_id=None, version=0)
    decisions.amend(people.rita, job, slot_id="1:1", layer_id=5, version=1)
    assert filled(job) == {"1:1": 5, "1:2": None, "1:3": 6}


def test_the_proposed_layer_has_the_parts_of_its_score_again(people: People, batch: Batch) -> None:
    job = at_matching(batch)
    decisions.amend(people.rita, job, slot_id="1:1", layer_id=5, version=0)
    decisions.amend(people.rita, job, slot_id="1:1", layer_id=4, version=1)
    assert job.matches.get(slot_id="1:1").parts == {"kind": 10.0, "geometry": 70.0}


@pytest.mark.parametrize(
    ("slot_id", "layer_id", "words"),
    [
        ("1:1", 6, "no text"),
        ("1:3", 4, "no image"),
        ("1:1", 8, "no text"),
        ("1:1", 99, "no layer 99"),
        ("9:9", 4, "no slot 9:9"),
        ("", 4, "no slot"),
    ],
)
def test_a_layer_that_does_not_fit_is_refused(
    slot_id: str, layer_id: int, words: str, people: People, batch: Batch
) -> None:
    job = at_matching(batch)
    before = filled(job)
    with pytest.raises(Invalid, match=words):
        decisions.amend(people.rita, job, slot_id=slot_id, layer_id=layer_id, version=0)
    assert filled(job) == before
    assert not job.events.exists()


def test_undo_brings_back_what_was_there_also_who_chose_it(people: People, batch: Batch) -> None:
    job = at_matching(batch)
    columns = ("slot_id", "layer_id", "layer_name", "score", "parts", "origin", "changed_by")
    before = list(job.matches.values(*columns))
    decisions.amend(people.rita, job, slot_id="1:1", layer_id=5, version=0)
    decisions.undo_amend(people.rita, job, version=1)
    assert list(job.matches.values(*columns)) == before
    assert job.version == 2


def test_undo_goes_back_change_by_change_and_then_says_so(people: People, batch: Batch) -> None:
    job = at_matching(batch)
    decisions.amend(people.rita, job, slot_id="1:1", layer_id=5, version=0)
    decisions.amend(people.rita, job, slot_id="1:3", layer_id=7, version=1)
    decisions.undo_amend(people.rita, job, version=2)
    assert filled(job) == {"1:1": 5, "1:2": 4, "1:3": 6}
    decisions.undo_amend(people.rita, job, version=3)
    assert filled(job) == {"1:1": 4, "1:2": 5, "1:3": 6}
    with pytest.raises(Conflict, match="no change to undo"):
        decisions.undo_amend(people.rita, job, version=4)


def test_undo_after_a_new_change_takes_back_the_new_one(people: People, batch: Batch) -> None:
    job = at_matching(batch)
    decisions.amend(people.rita, job, slot_id="1:1", layer_id=5, version=0)
    decisions.undo_amend(people.rita, job, version=1)
    decisions.amend(people.rita, job, slot_id="1:3", layer_id=7, version=2)
    decisions.undo_amend(people.rita, job, version=3)
    assert filled(job) == {"1:1": 4, "1:2": 5, "1:3": 6}


def test_undo_does_not_reach_behind_a_rejection(people: People, batch: Batch) -> None:
    job = at_matching(batch)
    decisions.amend(people.rita, job, slot_id="1:1", layer_id=5, version=0)
    job = at_preview_after(job)
    decisions.decide(people.adam, job, "reject", version=job.version, reason="no", target=Stage.MATCHING)
    with pytest.raises(Conflict, match="no change to undo"):
        decisions.undo_amend(people.rita, job, version=job.version)


def at_preview_after(job: Job) -> Job:
    Job.objects.filter(pk=job.pk).update(stage=Stage.PREVIEW)
    job.refresh_from_db()
    return job


@pytest.mark.parametrize("name", ["olga", "adam", "vera", "oscar"])
def test_undo_is_for_reviewers(name: str, people: People, batch: Batch) -> None:
    job = at_matching(batch)
    decisions.amend(people.rita, job, slot_id="1:1", layer_id=5, version=0)
    with pytest.raises(NotAllowed):
        decisions.undo_amend(getattr(people, name), job, version=1)


def test_approval_queues_the_next_stage_at_once_and_is_pinned_to_what_was_shown(people: People, batch: Batch) -> None:
    job = at_matching(batch)
    add_warning(job, Stage.INGESTION)
    shown = decisions.shown_sha256(job)
    decisions.approve(people.rita, job, version=0)
    assert (job.stage, job.state) == (Stage.PREVIEW, State.QUEUED)
    assert job.runs.filter(stage=Stage.PREVIEW, state=StageRun.QUEUED).count() == 1
    decision = job.decisions.get()
    assert (decision.user, decision.stage, decision.open_warnings) == (people.rita, Stage.MATCHING, 1)
    assert decision.shown_sha256 == shown


def test_what_is_shown_changes_its_hash_with_a_match_and_with_a_warning(people: People, batch: Batch) -> None:
    job = at_matching(batch)
    first = decisions.shown_sha256(job)
    warning = add_warning(job, Stage.INGESTION)
    second = decisions.shown_sha256(job)
    decisions.resolve_warning(people.rita, warning, resolution="resolved", note="")
    third = decisions.shown_sha256(job)
    decisions.amend(people.rita, job, slot_id="1:1", layer_id=5, version=0)
    assert len({first, second, third, decisions.shown_sha256(job)}) == 4


def test_a_second_approval_is_a_conflict(people: People, batch: Batch) -> None:
    job = at_matching(batch)
    stale = Job.objects.get(pk=job.pk)
    decisions.decide(people.rita, job, "approve_matches", version=0)
    with pytest.raises(Conflict):
        decisions.decide(people.rita, stale, "approve_matches", version=0)
    assert job.decisions.count() == 1


@pytest.mark.parametrize("stage", [Stage.INGESTION])
def test_nothing_can_be_approved_before_there_is_a_review(stage: Stage, people: People, batch: Batch) -> None:
    with pytest.raises(Conflict, match="not up for approval"):
        decisions.approve(people.root, make_job(batch, stage, State.QUEUED), version=0)


@pytest.mark.parametrize(("reason", "missing"), [("", "reason"), ("   ", "reason")])
def test_a_rejection_needs_a_reason(reason: str, missing: str, people: People, batch: Batch) -> None:
    job = at_preview(batch)
    with pytest.raises(Invalid, match=missing):
        decisions.decide(people.adam, job, "reject", version=0, reason=reason, target=Stage.MATCHING)


@pytest.mark.parametrize("reason", ["", "too short", "nine char", "         x         "])
def test_force_takes_ten_characters(reason: str, people: People, batch: Batch) -> None:
    job = at_delivery(batch)
    with pytest.raises(Invalid, match="10 characters"):
        decisions.approve(people.adam, job, version=0, reason=reason)
    job.refresh_from_db()
    assert (job.version, job.forced_reason) == (0, "")


def test_force_is_recorded_and_forgotten_when_the_job_goes_back(people: People, batch: Batch) -> None:
    job = at_delivery(batch)
    decisions.approve(people.adam, job, version=0, reason="ten chars!")
    assert (job.state, job.forced_reason) == (State.QUEUED, "ten chars!")
    Job.objects.filter(pk=job.pk).update(state=State.DONE)
    decisions.decide(people.olga, job, "requeue", target=Stage.PREVIEW)
    assert job.forced_reason == ""


def test_delivery_goes_back_to_matching_or_preview_but_not_to_itself(people: People, batch: Batch) -> None:
    for target in (Stage.MATCHING, Stage.PREVIEW):
        job = at_delivery(batch)
        decisions.decide(people.adam, job, "reject", version=0, reason="no", target=target)
        assert (job.stage, job.state) == (target, State.IN_REVIEW)
    with pytest.raises(Invalid):
        decisions.decide(people.adam, at_delivery(batch), "reject", version=0, reason="no", target=Stage.DELIVERY)
    with pytest.raises(Invalid):
        decisions.decide(people.adam, at_delivery(batch), "reject", version=0, reason="no", target=None)


def test_another_comp_queues_ingestion_and_an_unknown_one_is_refused(people: People, batch: Batch) -> None:
    job = at_matching(batch)
    with pytest.raises(Invalid, match="no composition 99"):
        decisions.choose_comp(people.rita, job, comp_id=99, version=0)
    decisions.choose_comp(people.rita, job, comp_id=2, version=0)
    assert (job.stage, job.state, job.render_comp_id) == (Stage.INGESTION, State.QUEUED, 2)


@pytest.mark.parametrize("name", PEOPLE)
def test_remarks_are_for_those_who_work_on_the_job(name: str, people: People, batch: Batch) -> None:
    user = getattr(people, name)
    job = at_matching(batch)
    warning = add_warning(job, Stage.INGESTION)
    acts: list[Any] = [
        lambda: decisions.comment(user, job, text="hello"),
        lambda: decisions.assign(user, job, assignee=people.rita),
        lambda: decisions.resolve_warning(user, warning, resolution="resolved", note=""),
    ]
    for act in acts:
        if ROLES[name] & set(decisions.WORKING_ROLES):
            act()
        else:
            with pytest.raises(NotAllowed):
                act()
    assert job.events.count() == (3 if ROLES[name] & set(decisions.WORKING_ROLES) else 0)


@pytest.mark.parametrize("name", PEOPLE)
def test_priority_is_for_operators(name: str, people: People, batch: Batch) -> None:
    job = at_matching(batch)
    if Role.OPERATOR in ROLES[name]:
        decisions.set_priority(getattr(people, name), job, priority=0)
        assert job.priority_name == "urgent"
    else:
        with pytest.raises(NotAllowed):
            decisions.set_priority(getattr(people, name), job, priority=0)


def test_only_people_who_can_decide_are_asked(people: People, batch: Batch) -> None:
    job = at_matching(batch)
    for person in (people.olga, people.vera, people.oscar):
        with pytest.raises(Invalid, match="neither reviewer nor approver"):
            decisions.assign(people.rita, job, assignee=person)
    decisions.assign(people.rita, job, assignee=people.adam)
    decisions.assign(people.rita, job, assignee=None)
    assert [event.data["assignee"] for event in Event.objects.order_by("id")] == ["adam", None]


def test_a_warning_is_accepted_with_a_note_and_opened_again(people: People, batch: Batch) -> None:
    warning = add_warning(at_matching(batch), Stage.INGESTION)
    with pytest.raises(Invalid, match="note"):
        decisions.resolve_warning(people.rita, warning, resolution="accepted", note="  ")
    with pytest.raises(Invalid, match="ignored"):
        decisions.resolve_warning(people.rita, warning, resolution="ignored", note="x")
    decisions.resolve_warning(people.rita, warning, resolution="accepted", note="The client knows.")
    assert (warning.resolution, warning.note, warning.resolved_by) == ("accepted", "The client knows.", people.rita)
    decisions.resolve_warning(people.rita, warning, resolution="", note="")
    warning.refresh_from_db()
    assert (warning.resolution, warning.note, warning.resolved_by, warning.resolved_at) == ("", "", None, None)


def test_an_empty_comment_is_refused(people: People, batch: Batch) -> None:
    with pytest.raises(Invalid, match="empty"):
        decisions.comment(people.rita, at_matching(batch), text=" \n ")


def test_a_warning_that_is_gone_is_a_conflict(job, people):
    warning = add_warning(job, Stage.INGESTION)
    job.warnings.all().delete()
    with pytest.raises(Conflict, match="gone"):
        decisions.resolve_warning(people.rita, warning, resolution="resolved", note="")
