"""jobs.workers and jobs.status: who is there, what it may claim, and what one look says."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import InterfaceError, OperationalError
from django.db.models.functions import Now
from django.utils import timezone

from jobs import supervisor, tasks, workers
from jobs.clusters import GuardedCluster
from jobs.errors import Conflict, NotAllowed
from jobs.models import Event, Job, Pause, StageBlock, StageRun, Worker
from jobs.states import Queue, Stage, State
from jobs.status import read_status
from jobs.supervisor import usual_queues
from jobs.sweeping import sweep_strays
from tests.people import make_job

pytestmark = pytest.mark.django_db
BOTH = (Queue.LIGHT, Queue.HEAVY)


def queued(batch, stage=Stage.INGESTION, **fields):
    job = make_job(batch, stage, State.QUEUED)
    due = timezone.now() - timedelta(seconds=1)
    return StageRun.objects.create(job=job, stage=stage, input_hash="x", available_at=due, **fields)


def running(batch, owner, **fields):
    job = make_job(batch, Stage.INGESTION, State.RUNNING)
    lease = {"token": uuid.uuid4(), "lease_expires_at": timezone.now() + timedelta(seconds=30)}
    return StageRun.objects.create(
        job=job, stage=1, input_hash="x", state="running", lease_owner=owner, started_at=timezone.now(), **lease
    )


def test_a_machine_announces_what_it_is_by_the_time_of_the_database(settings):
    settings.WORKER_NAME = "render-1"
    worker = workers.announce(BOTH)
    assert worker.name.startswith("render-1:")
    assert worker.version == settings.VERSION
    assert worker.capacity == {"light": settings.WORKERS_LIGHT, "heavy": settings.WORKERS_HEAVY}
    assert not workers.present().get().is_silent


def test_a_second_process_of_the_same_machine_is_warned_of(settings, caplog):
    settings.WORKER_NAME = "north"
    other = workers.announce(BOTH)
    workers.announce(BOTH)
    assert caplog.text == "", "it announced itself again"
    Worker.objects.filter(pk=other.pk).update(name="north:1", pid=1)
    workers.announce(BOTH)
    assert "north is there already as process 1" in caplog.text
    caplog.clear()
    Worker.objects.filter(name="north:1").update(heartbeat_at=Now() - workers.SILENT - timedelta(seconds=1))
    workers.announce(BOTH)
    assert caplog.text == ""


def test_fonts_are_counted_and_told_apart_by_their_names(settings):
    settings.SYSTEM_FONTS = False
    settings.AERENDER = "/opt/ae/aerender"
    found = workers.capabilities()
    assert found["fonts"]["count"] == 0
    assert len(found["fonts"]["sha256"]) == 64
    assert found["aerender"] == "/opt/ae/aerender"


def test_a_machine_that_does_not_beat_is_silent_and_one_that_left_is_gone():
    worker = workers.announce(BOTH)
    Worker.objects.update(heartbeat_at=Now() - timedelta(minutes=1))
    assert workers.present().get().is_silent
    worker = workers.beat(worker, restarts=3)
    assert worker.restarts == 3
    assert not workers.present().get().is_silent
    workers.leave(worker)
    assert not workers.present().exists()


def test_a_machine_that_the_register_lost_learns_it_at_its_next_beat():
    worker = workers.announce(BOTH)
    Worker.objects.all().delete()
    assert workers.beat(worker, restarts=0) is None


def test_a_killed_supervisor_is_no_machine_any_more_when_another_of_its_machine_beats():
    for name, machine in (("render-1:1", "render-1"), ("render-2:1", "render-2")):
        Worker.objects.create(name=name, machine=machine, pid=1, version="1")
    Worker.objects.update(heartbeat_at=Now() - timedelta(minutes=1))
    sweep_strays()
    assert workers.present().count() == 2  # nobody came in their places
    Worker.objects.create(name="render-1:2", machine="render-1", pid=2, version="1")
    sweep_strays()
    assert [worker.name for worker in workers.present()] == ["render-1:2", "render-2:1"]
    frozen = Worker.objects.get(name="render-1:1")
    workers.beat(frozen, restarts=0)
    sweep_strays()
    assert workers.present().count() == 3


def test_records_of_long_ago_are_removed():
    Worker.objects.create(name="old:1", machine="old", pid=1, version="0")
    Worker.objects.update(heartbeat_at=Now() - timedelta(days=8))
    workers.announce(BOTH)
    assert not Worker.objects.filter(machine="old").exists()


def test_a_machine_may_claim_from_its_queues_what_it_is_not_blocked_from():
    worker = workers.announce([Queue.HEAVY])
    StageBlock.objects.create(machine=worker.machine, stage=3, reason="", until=Now() + timedelta(hours=1))
    StageBlock.objects.create(machine=worker.machine, stage=1, reason="over", until=Now() - timedelta(hours=1))
    allowed = workers.may_claim(worker.name)
    assert allowed.queues == {Queue.HEAVY}
    assert allowed.stages == {Stage.INGESTION, Stage.MATCHING, Stage.DELIVERY}


@pytest.mark.parametrize("state", [Worker.DRAINING, Worker.BLOCKED])
def test_a_machine_that_is_not_active_may_claim_nothing(state, people):
    worker = workers.announce(BOTH)
    workers.set_state(people.root, worker, state, reason="a new disk")
    assert workers.may_claim(worker.name) == workers.NOTHING


def test_an_unknown_machine_claims_nothing_and_a_cluster_without_supervisor_everything():
    assert workers.may_claim("who:1") == workers.NOTHING
    assert workers.may_claim("") == workers.EVERYTHING


@pytest.mark.parametrize(("state", "after"), [("draining", "active"), ("blocked", "blocked")])
def test_a_block_outlives_a_restart_and_draining_does_not(state, after, people):
    worker = workers.announce(BOTH)
    workers.set_state(people.root, worker, state, reason="looked at")
    workers.leave(worker)
    assert workers.announce(BOTH).state == after


def test_only_leads_change_a_machine_and_only_once(people):
    worker = workers.announce(BOTH)
    with pytest.raises(NotAllowed):
        workers.set_state(people.olga, worker, Worker.DRAINING)
    workers.set_state(people.root, worker, Worker.DRAINING)
    with pytest.raises(Conflict, match="already"):
        workers.set_state(people.root, worker, Worker.DRAINING)


def test_the_history_of_every_team_says_who_changed_a_machine(people, blue, red):
    worker = workers.announce(BOTH)
    for state in (Worker.DRAINING, Worker.BLOCKED, Worker.ACTIVE):
        workers.set_state(people.root, worker, state, reason=" a new disk ")
    with pytest.raises(Conflict):
        workers.set_state(people.root, worker, Worker.ACTIVE)
    for team in (blue, red):
        told = list(Event.objects.filter(team=team).values_list("verb", "actor", "reason", "data"))
        about = (people.root.pk, "a new disk", {"what": f"worker {worker.name}"})
        assert told == [(verb, *about) for verb in ("drain_worker", "block_worker", "readmit_worker")]


def test_a_ticket_of_a_drained_machine_claims_nothing(batch, people, monkeypatch):
    worker = workers.announce(BOTH)
    workers.set_state(people.root, worker, Worker.DRAINING)
    run = queued(batch)
    monkeypatch.setenv(workers.NAME_VARIABLE, worker.name)
    monkeypatch.setenv("Q_CLUSTER_NAME", "light")
    tasks.work()
    run.refresh_from_db()
    assert (run.state, run.attempts) == (StageRun.QUEUED, 0)


@pytest.mark.parametrize(("queue", "attempts"), [("heavy", 0), ("light", 1)])
def test_a_ticket_claims_from_the_queue_of_its_cluster_alone(batch, monkeypatch, queue, attempts):
    worker = workers.announce(BOTH)
    run = queued(batch)
    monkeypatch.setenv(workers.NAME_VARIABLE, worker.name)
    monkeypatch.setenv("Q_CLUSTER_NAME", queue)
    tasks.work()
    run.refresh_from_db()
    assert run.attempts == attempts  # the files of this job do not exist: it fails, as it should
    assert all(attempt.worker.startswith(f"{worker.name}/") for attempt in run.tries.all())


def test_a_ticket_passes_over_stages_that_the_machine_is_blocked_from(batch, monkeypatch):
    worker = workers.announce(BOTH)
    StageBlock.objects.create(machine=worker.machine, stage=1, reason="", until=Now() + timedelta(hours=1))
    first, second = queued(batch), queued(batch, stage=Stage.MATCHING)
    monkeypatch.setenv(workers.NAME_VARIABLE, worker.name)
    monkeypatch.setenv("Q_CLUSTER_NAME", "light")
    tasks.work()
    tasks.work()
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.attempts, second.attempts) == (0, 1)


# The watchdog ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def cluster(monkeypatch, settings):
    """A cluster without processes, whose restarts are counted."""
    settings.QUEUE_WORKERS = {"light": 1, "heavy": 1, "io": 1}
    settings.STUCK_SECONDS = -1  # the second look is late enough
    cluster = GuardedCluster(Queue.LIGHT, "render-1:7")
    monkeypatch.setattr(cluster, "start", lambda: None)
    monkeypatch.setattr(cluster, "kill", lambda: None)
    cluster.process = object()
    return cluster


def test_a_cluster_that_starts_nothing_beside_due_work_is_wedged(cluster, batch):
    queued(batch)
    for restarts in (0, 1):
        cluster.watch(set(Stage))
        assert cluster.restarts == restarts


def test_a_busy_or_moving_or_idle_cluster_is_left_alone(cluster, batch):
    queued(batch, stage=Stage.PREVIEW, queue="heavy")  # no work of this queue
    later = queued(batch)
    StageRun.objects.filter(pk=later.pk).update(available_at=timezone.now() + timedelta(hours=1))
    for _ in range(3):
        cluster.watch(set(Stage))
    StageRun.objects.filter(pk=later.pk).update(available_at=Now())
    run = running(batch, "render-1:7/99")  # its one worker is busy
    for _ in range(3):
        cluster.watch(set(Stage))
    StageRun.objects.filter(pk=run.pk).update(state="done", token=None, lease_expires_at=None)
    for number in range(3):  # something was begun between every two looks
        run.tries.create(number=number, worker="render-1:7/99")
        cluster.watch(set(Stage))
    assert cluster.restarts == 0


def test_work_that_the_machine_may_not_touch_does_not_make_it_look_wedged(cluster, batch):
    queued(batch)
    for _ in range(3):
        cluster.watch(set(Stage) - {Stage.INGESTION})
    assert cluster.restarts == 0


def test_a_machine_serves_the_queues_that_have_workers(settings):
    assert usual_queues() == (Queue.LIGHT, Queue.HEAVY, Queue.IO)
    settings.QUEUE_WORKERS = {"light": 2, "heavy": 0, "io": 2}
    assert usual_queues() == (Queue.LIGHT, Queue.IO)


def test_work_refuses_a_machine_without_workers(settings):
    settings.QUEUE_WORKERS = {"light": 0, "heavy": 0, "io": 0}
    with pytest.raises(CommandError, match="WORKERS_LIGHT, WORKERS_HEAVY and WORKERS_IO are 0"):
        call_command("work")


@pytest.mark.parametrize(("value", "words"), [("fast", "light, heavy, io"), ("heavy", "WORKERS_HEAVY")])
def test_work_refuses_queues_that_it_cannot_serve(settings, value, words):
    settings.QUEUE_WORKERS = {"light": 2, "heavy": 0, "io": 2}
    with pytest.raises(CommandError, match=words):
        call_command("work", f"--queues={value}")


@pytest.mark.parametrize(
    ("module", "name", "error"),
    [
        ("sweeping", "sweep", InterfaceError("connection already closed")),
        ("sweeping", "sweep", OperationalError("the database system is starting up")),
        ("sweeping", "sweep", OSError("no route to the broker")),
        ("courier", "tend", OSError("no room for another process")),
    ],
)
def test_a_supervisor_outlives_what_is_away(monkeypatch, caplog, module, name, error):
    def fail(*args):
        raise error

    here = supervisor.Supervisor(queues=())
    monkeypatch.setattr(supervisor.sweeping if module == "sweeping" else here.courier, name, fail)
    monkeypatch.setattr(supervisor.connection, "close", lambda: None)
    here._round()
    assert "trying again" in caplog.text


# The status -----------------------------------------------------------------------------------------------------------
def test_the_status_of_nothing_is_healthy(capsys):
    status = read_status()
    assert (status.depths, status.running, status.machines, status.neglected) == ((), (), (), ())
    call_command("status")
    assert "0 failed jobs" in capsys.readouterr().out


def test_the_status_shows_the_whole_name_of_a_machine_in_a_narrow_terminal(monkeypatch, capsys, settings):
    monkeypatch.setenv("COLUMNS", "80")
    settings.WORKER_NAME = "renderer-number-17.studio.internal"
    workers.announce(BOTH)
    call_command("status")
    lines = capsys.readouterr().out.splitlines()
    name = "".join(line.split("│")[1].strip() for line in lines if line.startswith("│"))
    assert name == Worker.objects.get().name


def test_what_is_tried_again_is_not_among_the_dead_of_the_status(batch):
    queued(batch, state=StageRun.FAILED)
    job = queued(batch, state=StageRun.FAILED).job
    Job.objects.filter(pk=job.pk).update(state=State.FAILED)
    status = read_status()
    assert (status.failed_jobs, status.dead_runs) == (1, 1)


def test_the_status_counts_by_queue_and_priority_and_names_the_oldest(batch):
    for age, priority in ((60, 2), (600, 2), (5, 0)):
        run = queued(batch, priority=priority)
        StageRun.objects.filter(pk=run.pk).update(queued_at=Now() - timedelta(seconds=age))
    later = queued(batch, priority=2)
    StageRun.objects.filter(pk=later.pk).update(available_at=timezone.now() + timedelta(hours=1))
    urgent, normal = read_status().depths
    assert (urgent.queue, urgent.priority, urgent.due, urgent.later) == ("light", "urgent", 1, 0)
    assert (normal.priority, normal.due, normal.later) == ("normal", 2, 1)
    assert 600 <= normal.oldest_seconds < 660


@pytest.mark.parametrize("scope", ["queue:light", "team:{team}", "batch:{batch}"])
def test_paused_work_is_told_as_such_and_needs_nobody(batch, scope):
    other = queued(batch).batch
    Pause.objects.create(key=scope.format(team=other.team_id, batch=other.pk))
    status = read_status()
    (depth,) = status.depths
    assert (depth.due, depth.later, depth.paused, depth.oldest_seconds) == (0, 0, 1, 0.0)
    assert status.neglected == ()
    Pause.objects.update(key="batch:0")
    (depth,) = read_status().depths
    assert (depth.due, depth.paused) == (1, 0)


def test_work_of_a_team_or_batch_that_runs_as_many_jobs_as_it_may_is_told_as_such(batch, settings):
    settings.BATCH_RUNNING_LIMIT = 1
    running(batch, "north/1")
    queued(batch)
    (depth,) = read_status().depths
    assert (depth.due, depth.limited, depth.oldest_seconds) == (0, 1, 0.0)
    assert read_status().neglected == ()
    settings.BATCH_RUNNING_LIMIT = 2
    (depth,) = read_status().depths
    assert (depth.due, depth.limited) == (1, 0)


def test_due_work_that_nobody_serves_is_told_by_the_exit_code(batch, capsys):
    workers.announce([Queue.HEAVY])
    queued(batch)
    with pytest.raises(SystemExit) as ended:
        call_command("status")
    assert ended.value.code == 1
    assert "Nobody works on: light" in capsys.readouterr().out
    workers.announce(BOTH)
    call_command("status")


@pytest.mark.parametrize("state", [Worker.DRAINING, Worker.BLOCKED])
def test_where_machines_are_kept_away_the_status_says_to_readmit_them(batch, capsys, state):
    workers.announce(BOTH)
    Worker.objects.update(state=state, name="render-1:7")
    queued(batch)
    with pytest.raises(SystemExit):
        call_command("status")
    assert "Readmit render-1:7 on the page Workers" in " ".join(capsys.readouterr().out.split())


def test_a_silent_machine_serves_nothing(batch):
    workers.announce(BOTH)
    Worker.objects.update(heartbeat_at=Now() - timedelta(minutes=1))
    queued(batch)
    status = read_status()
    assert status.machines[0].state == "silent"
    assert status.neglected == ("light",)


def test_the_status_as_json_has_what_runs(batch, capsys):
    run = running(batch, "render-1:7/99")
    call_command("status", "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["healthy"] is True
    assert told["running"][0]["job"] == run.job.job_id
    assert told["running"][0]["worker"] == "render-1:7/99"
