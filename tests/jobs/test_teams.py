"""jobs.teams: one rule for seeing, one look at the roles for doing."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib.auth.models import AnonymousUser

from jobs.errors import NotAllowed
from jobs.models import Job, Membership
from jobs.states import VERBS, Role
from jobs.teams import TeamQuerySet, require_verb, roles_of

ROLE_OF = {"olga": Role.OPERATOR, "rita": Role.REVIEWER, "adam": Role.APPROVER, "vera": Role.VIEWER}
OURS = [model for model in apps.get_models() if model._meta.app_label in {"jobs", "batches", "review"}]


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_every_record_of_ours_belongs_to_a_team(model):
    assert isinstance(model.objects.none(), TeamQuerySet)
    assert str(model.objects.all().visible_to(AnonymousUser()).query.is_empty()) == "True"


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_the_way_to_the_team_works(model, people):
    assert list(model.objects.visible_to(people.nobody)) == []


@pytest.mark.parametrize("name", ["olga", "rita", "adam", "vera", "root"])
def test_members_and_superusers_see_the_teams_jobs(name, job, people):
    assert list(Job.objects.visible_to(getattr(people, name))) == [job]


@pytest.mark.parametrize("name", ["oscar", "nobody"])
def test_strangers_see_nothing(name, job, people):
    assert list(Job.objects.visible_to(getattr(people, name))) == []


def test_people_who_were_switched_off_see_and_may_nothing(job, people, blue):
    people.olga.is_active = False
    people.olga.save()
    assert list(Job.objects.visible_to(people.olga)) == []
    assert roles_of(people.olga, blue) == frozenset()


def test_two_roles_do_not_double_what_is_seen(job, people, blue):
    Membership.objects.create(team=blue, user=people.olga, role=Role.REVIEWER)
    assert Job.objects.visible_to(people.olga).count() == 1
    assert roles_of(people.olga, blue) == {Role.OPERATOR, Role.REVIEWER}


@pytest.mark.parametrize("name", [*ROLE_OF, "oscar", "nobody"])
@pytest.mark.parametrize("verb", [name for name, verb in VERBS.items() if Role.SYSTEM not in verb.roles])
def test_a_verb_takes_its_role_in_the_jobs_team(name, verb, people, blue):
    if ROLE_OF.get(name) in VERBS[verb].roles:
        require_verb(getattr(people, name), blue, verb)
    else:
        with pytest.raises(NotAllowed, match="Blue"):
            require_verb(getattr(people, name), blue, verb)
