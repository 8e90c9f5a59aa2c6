"""jobs.compiled: SQL that is made once gives and does what Django's own would."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batches.models import Batch
from jobs import claims
from jobs.compiled import Delete, Insert, Objects, Rows, Update
from jobs.compiled import given as value
from jobs.models import Asset, Attempt, Event, Job, StageRun, Team, Warning, Worker
from jobs.states import QUEUES, State
from tests.people import make_job

RUNS = st.lists(
    st.tuples(st.sampled_from(QUEUES), st.integers(0, 3), st.integers(0, 3), st.integers(-5, 5)), max_size=12
)


def make_runs(batches, wanted):
    for queue, rank, which, minutes in wanted:
        job = make_job(batches[which], state=State.QUEUED)
        run = StageRun.objects.create(job=job, stage=1, input_hash="x", queue=queue.value)
        StageRun.objects.filter(pk=run.pk).update(rank=rank, available_at=Now() + timedelta(minutes=2 * minutes - 1))


@pytest.fixture
def batches(blue, red, people):
    return [
        Batch.objects.create(team=team, name=f"{team}{name}", created_by=people.root)
        for team in (blue, red)
        for name in "AB"
    ]


@pytest.mark.parametrize("column", ["team_id", "batch_id"])
@pytest.mark.parametrize("is_bound", [False, True], ids=["after", "up to"])
def test_every_seek_finds_what_the_query_finds(column, is_bound, batches):
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(RUNS, st.integers(0, 3), st.integers(0, 3))
    def check(wanted, after, up_to):
        with transaction.atomic():
            make_runs(batches, wanted)
            keys = [0, *sorted({getattr(batch, "team_id" if column == "team_id" else "pk") for batch in batches})]
            limits = {"after": keys[min(after, len(keys) - 1)]}
            limits |= {"up_to": keys[min(up_to, len(keys) - 1)]} if is_bound else {}
            limits |= {"team": batches[0].team_id} if column == "batch_id" else {}
            for queue in QUEUES:
                for rank in range(4):
                    asked = {"queue": queue.value, "rank": rank, **limits}
                    found = claims._SEEKS[column, is_bound].first(**asked)
                    assert found == claims.head_of_line(column, **asked).first()
            transaction.set_rollback(True)

    check()


def test_the_claims_order_is_that_of_the_rules(batches):
    """Against the rules in plain Python: rank, then teams in turn, then their batches in turn, then time."""

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(RUNS)
    def check(wanted):
        with transaction.atomic():
            make_runs(batches, wanted)
            waiting = list(
                StageRun.objects.filter(queue="light", available_at__lte=Now()).values(
                    "id", "rank", "team_id", "batch_id", "available_at"
                )
            )
            served: dict[object, int] = {}
            order = []
            while waiting:
                line = [run for run in waiting if run["rank"] == min(run["rank"] for run in waiting)]
                for column, key in (("team_id", "team"), ("batch_id", "batch")):
                    last = served.get(key if key == "team" else (key, line[0]["team_id"]), 0)
                    following = min(line, key=lambda run: (run[column] <= last, run[column]))[column]
                    line = [run for run in line if run[column] == following]
                run = min(line, key=lambda run: (run["available_at"], run["id"]))
                served["team"], served["batch", run["team_id"]] = run["team_id"], run["batch_id"]
                order.append(run["id"])
                waiting.remove(run)
            claimed = []
            while lease := claims.claim("w", queues=["light"]):
                claimed.append(lease.run_id)
            assert claimed == order
            transaction.set_rollback(True)

    check()


def columns_of(row, *but):
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields if field.name not in but}


def test_objects_are_those_of_the_query_with_what_they_are_related_to(batch, people, django_assert_num_queries):
    asset = Asset.objects.create(
        team=batch.team, kind="psd", name="ü.psd", storage_name="x", size_bytes=1, media_type="x/y", sha256="0" * 64
    )
    jobs = [make_job(batch, psd=asset, row_data={"a": ["ü", None]}, assignee=people.rita), make_job(batch)]
    found = Objects(
        lambda: Job.objects.select_related("psd", "project", "team").filter(batch=value(Job, "batch")).order_by("pk")
    )
    first, second = found.all(batch=batch.pk)
    for given_one, own in zip((first, second), jobs, strict=True):
        assert columns_of(given_one) == columns_of(Job.objects.get(pk=own.pk))
    with django_assert_num_queries(0):
        assert (first.psd, first.team, second.psd, second.project) == (asset, batch.team, None, None)
    first.notes = "saved as any other"
    first.save()
    assert Job.objects.get(pk=first.pk).notes == "saved as any other"
    assert found.all(batch=0) == []
    with pytest.raises(Job.DoesNotExist, match="batch"):
        found.get(batch=0)


def test_rows_come_as_python_values(job):
    token, at = uuid.uuid4(), timezone.now()
    run = StageRun.objects.create(job=job, stage=1, input_hash="x", result={"a": [1, "ü"]})
    Attempt.objects.create(run=run, number=1, token=token, worker="w", started_at=at)
    by_token = Rows(
        lambda: Attempt.objects.filter(token=value(Attempt, "token")).values_list("started_at", "run__result", "token")
    )
    assert by_token.first(token=token) == (at, {"a": [1, "ü"]}, token)
    assert by_token.first(token=uuid.uuid4()) is None
    with pytest.raises(KeyError):
        by_token.first()


def test_an_insert_is_a_save(job, people):
    run = StageRun.objects.create(job=job, stage=1, input_hash="x")
    rows = [
        {"run": run, "number": 1, "token": uuid.uuid4(), "worker": "ü" * 40},
        {"run": run, "number": 2, "token": uuid.uuid4(), "worker": "", "ended_at": timezone.now(), "log": "100 % ü'\""},
    ]
    insert = Insert(Attempt)
    for row in rows:
        own, other = Attempt(**row), Attempt(**row)
        assert insert(own)
        other.save()
        assert own.pk
        assert own.pk != other.pk
        assert columns_of(Attempt.objects.get(pk=own.pk), "id", "started_at") == columns_of(
            Attempt.objects.get(pk=other.pk), "id", "started_at"
        )
        own.log = "changed"
        own.save()
    assert Attempt.objects.count() == 4
    event = Event(team=job.team, job=job, verb="x", actor=people.olga, data={"ü": [1]})
    Insert(Event)(event)
    assert Event.objects.get(pk=event.pk).data == {"ü": [1]}


def test_an_insert_leaves_out_what_is_there_only_when_it_may(job):
    row = {"job": job, "team_id": job.team_id, "batch_id": job.batch_id, "stage": 1, "input_hash": "x"}
    timed = Insert(StageRun, by_clock=("queued_at", "available_at"), or_nothing=True)
    assert timed(StageRun(**row))
    again = StageRun(**row)
    assert not timed(again)
    assert again.pk is None
    with pytest.raises(IntegrityError), transaction.atomic():
        Insert(StageRun)(StageRun(**row))
    assert StageRun.objects.filter(queued_at__lte=Now(), available_at=F("queued_at")).count() == 1


def test_an_error_in_a_change_ends_the_transaction_as_djangos_own(job):
    insert = Insert(Team)
    with transaction.atomic():
        with pytest.raises(IntegrityError):
            insert(Team(name=job.team.name, slug=job.team.slug))
        with pytest.raises(transaction.TransactionManagementError):
            Team.objects.count()
        transaction.set_rollback(True)


def test_a_model_whose_columns_the_database_makes_is_refused():
    with pytest.raises(TypeError, match="started_at"):
        Insert(Worker)


def test_updates_and_deletes_count_their_rows(batch):
    jobs = [make_job(batch) for _ in range(3)]
    raised = Update(
        lambda: Job.objects.filter(batch=value(Job, "batch"), priority=value(Job, "priority", name="before")),
        lambda: {"priority": F("priority") + 1, "notes": value(Job, "notes")},
    )
    assert raised(batch=batch.pk, before=2, notes="100 % ü") == 3
    assert raised(batch=batch.pk, before=2, notes="") == 0
    assert set(Job.objects.values_list("priority", "notes")) == {(3, "100 % ü")}
    for job in jobs:
        Warning.objects.create(job=job, stage=1, code="x", severity="info", message="m")
    gone = Delete(lambda: Warning.objects.filter(job=value(Warning, "job")))
    assert (gone(job=jobs[0].pk), gone(job=jobs[0].pk)) == (1, 0)
    assert Warning.objects.count() == 2
