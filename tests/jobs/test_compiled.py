"""jobs.compiled: SQL that is made once gives and does what Django's own would."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.models import Value as V
from django.db.models.functions import Now
from django.utils import timezone
from django_q.models import OrmQ
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batches.models import Batch
from jobs import claims, turns
from jobs.compiled import Delete, Given, Insert, Objects, Rows, Update
from jobs.compiled import given as value
from jobs.models import Asset, Attempt, Event, Job, StageRun, Team, Turn, Worker
from jobs.states import QUEUES, State
from tests.people import make_job

RUNS = st.lists(
    st.tuples(st.sampled_from(QUEUES), st.integers(0, 3), st.integers(0, 2), st.integers(0, 3), st.integers(-5, 5)),
    max_size=12,
)


def make_runs(batches, wanted):
    for queue, priority, ranks_risen, which, minutes in wanted:
        rank = max(priority - ranks_risen, min(priority, 1))  # nothing rises to urgent
        job = make_job(batches[which], state=State.QUEUED)
        run = StageRun.objects.create(job=job, stage=1, input_hash="x", queue=queue.value)
        StageRun.objects.filter(pk=run.pk).update(
            priority=priority, rank=rank, available_at=Now() + timedelta(minutes=2 * minutes - 1)
        )


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
                    found = turns._SEEKS[column, is_bound].first(**asked)
                    assert found == turns.head_of_line(column, **asked).first()
            transaction.set_rollback(True)

    check()


@pytest.mark.parametrize("column", ["team_id", "batch_id"])
def test_who_is_next_in_turn_is_the_one_behind_the_last_or_else_the_first(column, batches):
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(RUNS, st.none() | st.integers(0, 3))
    def check(wanted, last):
        with transaction.atomic():
            make_runs(batches, wanted)
            keys = [0, *sorted({getattr(batch, "team_id" if column == "team_id" else "pk") for batch in batches})]
            served = 0 if last is None else keys[min(last, len(keys) - 1)]
            if last is not None:
                Turn.objects.create(key="turn", last=served)
            team = {"team": batches[0].team_id} if column == "batch_id" else {}
            for queue in QUEUES:
                for rank in range(4):
                    line = {"queue": queue.value, "rank": rank, **team}
                    behind = turns.head_of_line(column, after=served, **line).first()
                    first = turns.head_of_line(column, after=0, up_to=served, **line).first()
                    found = turns._NEXT[column].first(turn="turn", **line)
                    expected = behind or first
                    assert found == (None if expected is None else (*expected, served))
            transaction.set_rollback(True)

    check()


def first_in_turn(waiting, rank, served):
    line = [run for run in waiting if run["rank"] == rank]
    if not line:
        return None
    for column in ("team_id", "batch_id"):
        last = served.get(rank if column == "team_id" else (rank, line[0]["team_id"]), 0)
        following = min(line, key=lambda run: (run[column] <= last, run[column]))[column]
        line = [run for run in line if run[column] == following]
    return min(line, key=lambda run: (run["available_at"], run["id"]))


def next_by_the_rules(waiting, served, aged_went_last, ranks=range(4)):
    for rank in ranks:
        run = first_in_turn(waiting, rank, served)
        if run is not None and run["rank"] < run["priority"] and rank in aged_went_last:
            return next_by_the_rules(waiting, served, aged_went_last, range(rank + 1, 4)) or run
        if run is not None:
            return run
    return None


def test_the_claims_order_is_that_of_the_rules(batches):
    """Against the rules in plain Python: rank, then teams in turn, then their batches in turn, then time; and every
    second turn of what rose by age goes to the ranks below."""

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(RUNS)
    def check(wanted):
        with transaction.atomic():
            make_runs(batches, wanted)
            waiting = list(
                StageRun.objects.filter(queue="light", available_at__lte=Now()).values(
                    "id", "rank", "priority", "team_id", "batch_id", "available_at"
                )
            )
            served: dict[object, int] = {}
            aged_went_last: set[int] = set()
            order = []
            while waiting:
                run = next_by_the_rules(waiting, served, aged_went_last)
                rank = run["rank"]
                served[rank], served[rank, run["team_id"]] = run["team_id"], run["batch_id"]
                aged_went_last -= set(range(rank))
                aged_went_last |= {rank} if rank < run["priority"] else set()
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


def test_updates_count_their_rows(batch):
    for _ in range(3):
        make_job(batch)
    raised = Update(
        lambda: Job.objects.filter(batch=value(Job, "batch"), priority=value(Job, "priority", name="before")),
        lambda: {"priority": F("priority") + 1, "notes": value(Job, "notes")},
    )
    assert raised(batch=batch.pk, before=2, notes="100 % ü") == 3
    assert raised(batch=batch.pk, before=2, notes="") == 0
    assert set(Job.objects.values_list("priority", "notes")) == {(3, "100 % ü")}


def test_a_deletion_counts_its_rows(db):
    for key in ("light", "light", "heavy"):
        OrmQ.objects.create(key=key, payload="100 % ü", lock=None)
    deleted = Delete(lambda: OrmQ.objects.filter(key=value(OrmQ, "key"), payload="100 % ü"))
    assert (deleted(key="light"), deleted(key="light")) == (2, 0)
    assert OrmQ.objects.get().key == "heavy"


# What PostgreSQL prepares ---------------------------------------------------------------------------------------------
on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite plans each time, in microseconds")


@on_postgresql
def test_a_statement_is_planned_once_for_a_connection(db):
    for number in range(4):
        assert turns._TURN.first(key=f"nobody {number}") is None
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        prepared = [sql for (sql,) in cursor.fetchall()]
    assert len([sql for sql in prepared if '"jobs_turn"' in sql and "$1" in sql]) == 1


@on_postgresql
@pytest.mark.parametrize(
    ("rows", "times"),
    [
        (turns._LINE, 1),
        *((seek, 1) for seek in turns._SEEKS.values()),
        *((one, 2) for one in turns._NEXT.values()),
    ],
)
def test_a_plan_for_any_values_goes_by_the_index_of_what_is_queued(rows, times, db):
    sql, params = rows._statement._made
    assert all(isinstance(param, Given) for param in params)
    numbers = iter(range(1, len(params) + 1))
    with connection.cursor() as cursor:
        # An empty table is read whole and sorted whatever its indexes are; what counts is that the index can do it all.
        for name in ("enable_seqscan", "enable_bitmapscan", "enable_sort"):
            cursor.execute(f"SET LOCAL {name} = off")
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute("PREPARE probe AS " + re.sub("%s", lambda _: f"${next(numbers)}", sql))
        cursor.execute(f"EXPLAIN EXECUTE probe ({', '.join(['NULL'] * len(params))})")
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("DEALLOCATE probe")
    assert plan.count("run_to_claim") == times
    assert "Sort" not in plan
    assert "Seq Scan" not in plan


def test_a_percent_sign_in_what_is_always_the_same_stays_one(blue):
    Team.objects.filter(pk=blue.pk).update(name="100 %s of it")
    of_key = Rows(
        lambda: Team.objects.filter(pk=value(Team, "id"), name="100 %s of it").values_list("name", V("%"), V("it's"))
    )
    assert of_key.first(id=blue.pk) == ("100 %s of it", "%", "it's")
