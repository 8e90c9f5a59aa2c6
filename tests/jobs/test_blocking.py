"""jobs.blocking: three jobs in a row that fail for the machine's own reasons keep it away from a stage."""

from __future__ import annotations

import pytest
from django.urls import reverse

from jobs import blocking, pipeline, tasks, workers
from jobs.errors import Conflict, NotAllowed
from jobs.lifecycle import move
from jobs.log_context import bound_ids
from jobs.models import Attempt, Event, StageRun, Worker
from jobs.queue import QUEUE_VARIABLE
from jobs.sources import roots_of
from jobs.states import Queue, Stage
from rendering.samples import tiny_document, tiny_project
from tests.jobs import odd_stages
from tests.jobs.odd_stages import name_of
from tests.jobs.test_workers import queued
from tests.people import make_job

pytestmark = pytest.mark.django_db
STAGE = Stage.INGESTION


@pytest.fixture
def machine():
    """One of two machines."""
    Worker.objects.create(name="other:1", machine="other", pid=1, version="1", capacity={"light": 1})
    return workers.announce([Queue.LIGHT])


def attempts(batch, machine, *classes, run=None):
    """One attempt each at different jobs; "" is a success."""
    for number, error_class in enumerate(classes):
        target = run or queued(batch)
        target.tries.create(
            number=number + 1,
            worker=f"{machine.name}/9",
            outcome="failed" if error_class else "done",
            error_class=error_class,
            error="no space left" if error_class else "",
        )


@pytest.mark.parametrize(
    ("classes", "blocked"),
    [
        (["crash", "memory", "time"], True),
        (["transient"] * 3, True),
        (["transient"] * 2, False),
        (["crash", "crash", "", "crash", "crash"], False),
        (["crash", "file", "crash", "crash"], False),
        (["file"] * 5, False),
        (["worker"] * 5, False),
        (["crash", "worker", "crash", "crash"], True),
    ],
)
def test_three_own_failures_in_a_row_block(batch, machine, classes, blocked):
    attempts(batch, machine, *classes)
    blocking.judge(machine.machine, STAGE)
    assert (STAGE not in workers.may_claim(machine.name).stages) is blocked
    assert Stage.MATCHING in workers.may_claim(machine.name).stages
    assert STAGE in workers.may_claim("other:1").stages
    assert Event.objects.filter(verb="block_machine").count() == int(blocked)


def test_the_line_about_a_machine_names_the_job_and_request_that_it_failed_last(batch, machine, monkeypatch):
    named: list[dict[str, str]] = []
    monkeypatch.setattr(blocking.logger, "error", lambda words: named.append(dict(bound_ids())))
    attempts(batch, machine, "crash", "crash", "crash")
    last = Attempt.objects.select_related("run__job").latest("pk")
    StageRun.objects.update(request_id="r9")
    blocking.judge(machine.machine, STAGE)
    ids = {"job": last.run.job.job_id, "run": str(last.run_id), "attempt": str(last.pk)}
    assert named == [{"request": "r9", **ids}]


def test_one_job_that_fails_again_and_again_accuses_itself(batch, machine):
    attempts(batch, machine, "crash", "crash", "crash", run=queued(batch))
    assert blocking.judge(machine.machine, STAGE) is None


def test_failures_of_another_machine_do_not_count(batch, machine):
    attempts(batch, machine, "crash", "crash", "crash")
    assert blocking.judge("other", STAGE) is None


def test_the_last_machine_is_suspected_and_goes_on(batch, machine):
    Worker.objects.filter(machine="other").update(state=Worker.DRAINING)
    attempts(batch, machine, "crash", "crash", "crash")
    assert "nobody else" in blocking.judge(machine.machine, STAGE).reason
    assert STAGE in workers.may_claim(machine.name).stages
    assert Event.objects.filter(verb="suspect_machine").count() == 1


def test_after_a_block_the_count_begins_anew(batch, machine, people):
    attempts(batch, machine, "crash", "crash", "crash")
    block = blocking.judge(machine.machine, STAGE)
    with pytest.raises(NotAllowed):
        blocking.lift(people.olga, block)
    blocking.lift(people.root, block)
    with pytest.raises(Conflict):
        blocking.lift(people.root, block)
    lifted = Event.objects.get(verb="lift_block", team=batch.team)
    assert (lifted.actor, lifted.data) == (people.root, {"what": f"{machine.machine}: {STAGE.label.lower()}"})
    attempts(batch, machine, "crash", "crash")
    assert blocking.judge(machine.machine, STAGE) is None
    attempts(batch, machine, "crash")
    assert blocking.judge(machine.machine, STAGE) is not None


def test_a_worker_whose_stages_fail_for_its_own_reasons_stops_taking_them_and_says_so(
    batch, machine, people, client, monkeypatch
):
    root = roots_of(batch.team)[0]
    root.mkdir(parents=True)
    tiny_document(root / "a.psd")
    tiny_project(root / "a.aep")
    for _ in range(blocking.IN_A_ROW + 1):
        move(make_job(batch, project_path="a.aep"), "start")
    monkeypatch.setitem(pipeline.PREPARE, STAGE, name_of(odd_stages.disk_trouble))
    monkeypatch.setenv(workers.NAME_VARIABLE, machine.name)
    monkeypatch.setenv(QUEUE_VARIABLE, Queue.LIGHT)
    for _ in range(blocking.IN_A_ROW + 1):
        tasks.work()
    assert [attempt.error_class for attempt in Attempt.objects.all()] == ["transient"] * blocking.IN_A_ROW
    assert Event.objects.get(verb="block_machine").data["machine"] == machine.machine
    client.force_login(people.vera)
    assert "Blocked from ingestion" in client.get(reverse("admin:workers")).content.decode()
