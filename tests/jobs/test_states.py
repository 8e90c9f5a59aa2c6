"""jobs.states: the table is whole, and nothing but the table decides."""

from __future__ import annotations

import pytest

from jobs.states import PUBLIC_STATES, VERBS, Role, Stage, State, allowed_verbs, inner_states, public_state

PLACES = [(stage, state) for stage in Stage for state in State]


@pytest.mark.parametrize(("stage", "state"), PLACES)
def test_every_place_has_one_public_name_that_leads_back_to_it(stage, state):
    name = public_state(stage, state)
    assert name in PUBLIC_STATES
    assert (stage, state) in inner_states(name)


def test_an_unknown_public_name_leads_nowhere():
    assert inner_states("sleeping") == ()


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS.keys())
def test_a_verb_leads_from_somewhere_and_somebody_may_use_it(verb):
    assert verb.stages
    assert verb.states
    assert verb.roles
    assert Role.VIEWER not in verb.roles


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS.keys())
def test_people_and_machines_share_no_verb(verb):
    assert verb.roles == {Role.SYSTEM} or Role.SYSTEM not in verb.roles


@pytest.mark.parametrize("stage", list(Stage))
def test_every_state_but_done_can_be_left_by_people(stage):
    for state in State:
        assert allowed_verbs(stage, state), f"{stage.label} {state} is a dead end"


def test_a_viewer_may_do_nothing_anywhere():
    assert not [place for place in PLACES if allowed_verbs(*place, [Role.VIEWER])]


def test_decisions_need_the_version_that_was_seen():
    for name in ("amend", "approve_matches", "approve_preview", "force_approve", "reject", "choose_comp"):
        assert VERBS[name].needs_version


def test_only_reviews_can_be_approved():
    for name in ("approve_matches", "approve_preview", "force_approve", "reject"):
        assert VERBS[name].states == {State.IN_REVIEW}
