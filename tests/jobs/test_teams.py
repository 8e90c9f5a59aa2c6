"""jobs.teams: one rule for seeing, one look at the roles for doing."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.core.exceptions import ValidationError
from django.utils.timezone import now

from jobs.errors import NotAllowed
from jobs.models import Asset, Attempt, Event, Job, Membership, StageRun, Warning
from jobs.states import VERBS, Role
from jobs.teams import TeamQuerySet, is_lead, require_verb, roles_of

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


def _leads_to_a_batch(model, seen=()):
    return model._meta.label == "batches.Batch" or any(
        field.is_relation and field.many_to_one and field.related_model not in seen and field.related_model in OURS
        and _leads_to_a_batch(field.related_model, (*seen, model))
        for field in model._meta.get_fields()
    )  # fmt: skip


@pytest.mark.parametrize("model", [m for m in OURS if _leads_to_a_batch(m)], ids=lambda model: model.__name__)
def test_what_leads_to_a_batch_says_how(model):
    """Also a model that is new: what is part of a deleted batch must not be seen. History says that it stays."""
    assert "BATCH_FIELD" in vars(model)
    assert bool(model.BATCH_FIELD) == (model.__name__ not in {"Event", "Delivery"})


@pytest.mark.parametrize("name", ["olga", "root"])
def test_nobody_sees_what_is_part_of_a_deleted_batch(name, job, people):
    user = getattr(people, name)
    run = StageRun.objects.create(job=job, stage=1, input_hash="x")
    rows = [job, job.batch, run, Warning.objects.create(job=job, stage=1, code="c", severity="info", message="m")]
    rows.append(Attempt.objects.create(run=run, number=1, worker="w"))
    rows.append(Asset.objects.create(team=job.team, job=job, name="a", size_bytes=1, kind="poster"))
    told = Event.objects.create(team=job.team, batch=job.batch, job=job, verb="start")
    for row in rows:
        assert type(row).objects.visible_to(user).filter(pk=row.pk).exists()
    type(job.batch).objects.filter(pk=job.batch_id).update(deleted_at=now())
    for row in rows:
        assert not type(row).objects.visible_to(user).filter(pk=row.pk).exists()
    assert told in Event.objects.visible_to(user)


def test_files_of_no_job_stay_visible(people, blue):
    asset = Asset.objects.create(team=blue, name="a", size_bytes=1, kind="sheet")
    assert list(Asset.objects.visible_to(people.olga)) == [asset]


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "Europe", "../etc/passwd", "UTC\0"])
def test_a_time_zone_is_one_of_the_worlds(blue, name):
    blue.time_zone = name
    with pytest.raises(ValidationError):
        blue.full_clean()


@pytest.mark.parametrize("how", ["own", "group"])
def test_a_lead_is_one_by_a_permission_of_their_own_or_of_a_group(people, how, django_assert_num_queries):
    lead_job = Permission.objects.get(codename="lead_job", content_type__app_label="jobs")
    if how == "own":
        people.rita.user_permissions.add(lead_job)
    else:
        group = Group.objects.create(name="Leads")
        group.permissions.add(lead_job)
        people.rita.groups.add(group)
    rita, vera = (User.objects.get(username=name) for name in ("rita", "vera"))
    with django_assert_num_queries(1):
        assert is_lead(rita)
        assert is_lead(rita)
    assert is_lead(rita) == rita.has_perm("jobs.lead_job")
    assert not is_lead(vera)
    rita.is_active = False
    assert not is_lead(rita)
    assert is_lead(User.objects.create_superuser("root-lead"))
