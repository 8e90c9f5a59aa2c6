"""jobs.pipeline: claim, prepare, keep, sweep, with real files and real stages."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.storage import storages
from django.db import OperationalError, connection, connections, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django_q.models import OrmQ

from aeproject.chaos.disks import SmallDisk
from aeproject.chaos.network import NoRight
from jobs import clock, pipeline, sandbox, sweeping, tasks
from jobs.claims import claim
from jobs.lifecycle import move
from jobs.models import Attempt, Event, Job, StageRun
from jobs.queue import tickets_waiting
from jobs.sandbox import StageFailed
from jobs.sources import roots_of
from jobs.stages.base import Outcome
from jobs.starting import start_many
from jobs.states import Queue, Stage, State
from rendering.samples import tiny_document, tiny_project
from tests.jobs import odd_stages
from tests.jobs.odd_stages import name_of
from tests.object_store import refusing
from tests.people import make_job


@pytest.fixture
def real_job(batch, settings, tmp_path):
    """A job whose sources lie in the team's asset root."""
    root = roots_of(batch.team)[0]
    (root / "designs").mkdir(parents=True)
    tiny_document(root / "designs" / "a.psd")
    tiny_project(root / "designs" / "a.aep")
    settings.SYSTEM_FONTS = False
    settings.MATCH_THRESHOLD = 0
    return make_job(batch, psd_path="designs/a.psd", project_path="designs/a.aep", output_name="final.aep")


@pytest.fixture
def jobs(real_job, batch):
    """Three that are started at one moment."""
    paths = {"psd_path": real_job.psd_path, "project_path": real_job.project_path}
    found = [real_job, *(make_job(batch, **paths) for _ in range(2))]
    start_many(job.pk for job in found)
    return found


def where(jobs) -> list[tuple[int, str]]:
    return [Job.objects.values_list("stage", "state").get(pk=job.pk) for job in jobs]


def test_the_first_job_of_a_batch_is_ready_while_the_others_still_wait(jobs):
    assert pipeline.work_once()
    assert pipeline.work_once()
    assert where(jobs) == [(Stage.MATCHING, "in_review"), (Stage.INGESTION, "queued"), (Stage.INGESTION, "queued")]


def test_what_was_approved_is_deployed_before_the_others_are_read(jobs):
    for _ in range(2):
        assert pipeline.work_once()
    approve(jobs[0], "approve_matches")
    assert pipeline.work_once([Queue.HEAVY])
    approve(jobs[0], "approve_preview")
    assert pipeline.work_once([Queue.LIGHT])
    (stage, state), *others = where(jobs)
    assert stage == Stage.DELIVERY
    assert state != "queued"
    assert set(others) == {(Stage.INGESTION, "queued")}


def test_a_stage_is_due_at_once_though_the_one_before_was_to_wait(batch):
    job = make_job(batch, Stage.MATCHING, State.IN_REVIEW)
    StageRun.objects.create(
        job=job, stage=Stage.MATCHING, state=StageRun.DONE, available_at=clock.now() + timedelta(hours=1)
    )
    approve(job, "approve_matches")
    assert claim("w", stages=[Stage.PREVIEW]) is not None


def work_until_idle() -> int:
    done = 0
    while pipeline.work_once():
        done += 1
    return done


def approve(job: Job, verb: str) -> None:
    job.refresh_from_db()
    move(job, verb, version=job.version)


def replay(job: Job) -> tuple[int, str]:
    """The stage and state that the history alone gives."""
    place = (int(Stage.INGESTION), State.PENDING.value)
    for number, event in enumerate(Event.objects.filter(job=job, version__isnull=False).order_by("version"), start=1):
        assert event.version == number
        assert (event.from_stage, event.from_state) == place
        place = (event.to_stage, event.to_state)
    return place


def test_a_job_goes_from_its_sheet_to_the_output_storage(real_job, settings):
    move(real_job, "start")
    assert work_until_idle() == 2
    real_job.refresh_from_db()
    assert (real_job.stage, real_job.state) == (Stage.MATCHING, State.IN_REVIEW)
    assert {match.layer_name for match in real_job.matches.all()} - {""}
    approve(real_job, "approve_matches")
    work_until_idle()
    assert set(real_job.assets.filter(stage=Stage.PREVIEW).values_list("kind", flat=True)) == {
        "populate_script",
        "psd_video",
        "ae_video",
        "preview_video",
        "poster",
    }
    approve(real_job, "approve_preview")
    work_until_idle()
    real_job.refresh_from_db()
    assert real_job.state == State.DONE, list(real_job.warnings.values_list("message", flat=True))
    released = real_job.assets.filter(storage="outputs")
    assert {Path(asset.name).name for asset in released} >= {"final.aep", "final.aepx", "populate.jsx", "report.json"}
    for asset in released:
        assert storages["outputs"].exists(asset.storage_name)
    assert replay(real_job) == (Stage.DELIVERY, State.DONE)
    assert not list(Path(settings.WORK_DIR).glob("*"))


def test_layers_without_a_slot_go_along(real_job):
    move(real_job, "start")
    work_until_idle()
    kept = real_job.matches.get(slot_kind="image")
    real_job.matches.filter(pk=kept.pk).update(layer_id=None, layer_name="")
    approve(real_job, "approve_matches")
    work_until_idle()
    approve(real_job, "approve_preview")
    work_until_idle()
    assert f"additional/photo-{kept.layer_id}.png" in set(real_job.assets.values_list("name", flat=True))


def test_the_same_sources_are_stored_once(real_job, batch):
    other = make_job(batch, psd_path="designs/a.psd", project_path="designs/a.aep")
    for job in (real_job, other):
        move(job, "start")
    work_until_idle()
    for job in (real_job, other):
        job.refresh_from_db()
    assert real_job.psd.storage_name == other.psd.storage_name


def test_a_wrong_file_fails_at_once_and_names_the_file(batch, tmp_path):
    root = roots_of(batch.team)[0]
    root.mkdir(parents=True)
    (root / "a.psd").write_bytes(b"8BPS and no more")
    (root / "a.aepx").write_text("<x/>")
    job = make_job(batch)
    move(job, "start")
    work_until_idle()
    job.refresh_from_db()
    run = job.runs.get()
    assert (job.state, run.state, run.error_class, run.attempts) == (State.FAILED, "failed", "file", 1)
    assert "a.psd" in run.error


def test_a_source_that_is_gone_fails_with_a_cure(batch):
    job = make_job(batch)
    move(job, "start")
    work_until_idle()
    assert "retry" in job.runs.get().error


def queue(batch, **fields) -> Job:
    job = make_job(batch, **fields)
    move(job, "start")
    return job


@pytest.fixture
def small_disk(settings, tmp_path):
    """A disk for the work directories alone."""
    settings.WORK_DIR = tmp_path / "small" / "work"
    try:
        with SmallDisk(tmp_path / "small", size_bytes=2**21) as disk:
            yield disk
    except NoRight as error:
        pytest.skip(str(error))


def test_a_full_disk_is_no_fault_of_the_job(real_job, small_disk):
    Path(settings.WORK_DIR).mkdir()
    move(real_job, "start")
    small_disk.fill()
    before = timezone.now()
    assert pipeline.work_once()
    run = real_job.runs.get()
    assert (run.state, run.error_class, run.attempts) == (StageRun.QUEUED, "transient", 1)
    assert run.available_at - before > timedelta(seconds=0.7)
    assert "No space left on device" in run.error
    small_disk.free()
    StageRun.objects.update(available_at=Now())
    assert work_until_idle() == 2
    real_job.refresh_from_db()
    assert (real_job.stage, real_job.state) == (Stage.MATCHING, State.IN_REVIEW)


@pytest.mark.parametrize(
    ("stage", "least", "most"), [(odd_stages.limited, 290, 301), (odd_stages.limited_until_who_knows, 47, 73)]
)
def test_a_stage_that_meets_a_rate_limit_goes_on_when_it_is_allowed_to(real_job, monkeypatch, stage, least, most):
    allowed = pipeline.PREPARE[Stage.INGESTION]
    monkeypatch.setitem(pipeline.PREPARE, Stage.INGESTION, name_of(stage))
    move(real_job, "start")
    before = timezone.now()
    assert work_until_idle() == 1
    run = real_job.runs.get()
    assert (run.state, run.error_class, run.attempts) == (StageRun.QUEUED, "rate", 0)
    assert run.error == "The font service's limit is reached."
    assert timedelta(seconds=least) < run.available_at - before
    assert run.available_at - timezone.now() < timedelta(seconds=most)
    monkeypatch.setitem(pipeline.PREPARE, Stage.INGESTION, allowed)
    StageRun.objects.update(available_at=Now())
    assert work_until_idle() == 2
    real_job.refresh_from_db()
    assert real_job.stage == Stage.MATCHING


def test_a_storage_that_wants_fewer_requests_costs_no_attempt_and_holds_up_nobody_else(real_job, s3, settings):
    for _ in range(7):  # more often than trouble is tried again
        with refusing(settings, 429, Retry_After="300"):
            if real_job.state == State.PENDING:
                move(real_job, "start")
            StageRun.objects.update(available_at=Now())
            assert work_until_idle() == 1
        run = real_job.runs.get()
        assert (run.state, run.error_class, run.attempts) == (StageRun.QUEUED, "rate", 0)
        assert "takes no more requests for the moment (429)" in run.error
        assert run.available_at - timezone.now() > timedelta(seconds=200)
    other = make_job(real_job.batch, psd_path="designs/a.psd", project_path="designs/a.aep", output_name="b.aep")
    move(other, "start")
    assert work_until_idle() == 2
    assert other.runs.filter(state=StageRun.DONE).count() == 2
    StageRun.objects.filter(state=StageRun.QUEUED).update(available_at=Now())
    assert work_until_idle() == 2
    real_job.refresh_from_db()
    assert (real_job.stage, real_job.state) == (Stage.MATCHING, State.IN_REVIEW)


def test_a_disk_that_fills_while_a_stage_works_is_no_fault_of_the_job(real_job, small_disk, monkeypatch):
    monkeypatch.setitem(pipeline.PREPARE, Stage.INGESTION, name_of(odd_stages.fill_the_disk))
    move(real_job, "start")
    assert pipeline.work_once()
    attempt = Attempt.objects.get()
    assert (attempt.outcome, attempt.error_class) == ("failed", "transient")
    assert real_job.runs.get().state == StageRun.QUEUED


def test_the_most_urgent_goes_first_and_the_oldest_inside_a_priority(batch):
    jobs = [queue(batch, priority=priority) for priority in (2, 3, 0, 2, 1)]
    order = []
    while lease := pipeline.claim("w"):
        order.append(StageRun.objects.get(pk=lease.run_id).job_id)
    assert order == [jobs[index].pk for index in (2, 4, 0, 3, 1)]


def test_work_that_is_not_due_is_not_claimed(batch):
    job = queue(batch)
    job.runs.update(available_at=timezone.now() + timedelta(minutes=1))
    assert pipeline.claim("w") is None


def test_a_claim_takes_from_its_queues_alone(batch):
    job = queue(batch)
    assert job.runs.get().queue == "light"
    assert pipeline.claim("w", queues=["heavy", "io"]) is None
    assert pipeline.claim("w", queues=["light"]) is not None


def test_video_is_work_of_the_heavy_queue(batch):
    job = make_job(batch, Stage.MATCHING, State.IN_REVIEW)
    move(job, "approve_matches", version=0)
    assert job.runs.get().queue == "heavy"


@pytest.mark.parametrize(
    ("limit", "waiting", "tickets"),
    [
        ({"BATCH_RUNNING_LIMIT": 1}, 1, 1),
        ({"TEAM_RUNNING_LIMIT": 1}, 1, 1),
        ({"TEAM_RUNNING_LIMIT": 1}, 0, 0),
        ({}, 1, 0),
    ],
    ids=["of the batch", "of the team", "nothing held back", "no limit"],
)
def test_a_run_that_ends_wakes_a_worker_for_what_a_limit_held_back(batch, settings, limit, waiting, tickets):
    for name, most in limit.items():
        setattr(settings, name, most)
    queue(batch)
    lease = pipeline.claim("w")
    for _ in range(waiting):
        queue(batch)
    OrmQ.objects.all().delete()  # whoever came with their tickets found the limit reached
    assert pipeline.is_claimable([Queue.LIGHT]) == (waiting > 0 and not limit)
    pipeline.perform(lease)  # whose files do not exist
    assert tickets_waiting(Queue.LIGHT) == tickets


def test_a_claim_counts_the_attempt_and_writes_history(batch):
    job = queue(batch)
    lease = pipeline.claim("worker-7")
    run = job.runs.get()
    assert (run.state, run.attempts, run.token, run.lease_owner) == ("running", 1, lease.token, "worker-7")
    assert job.events.last().verb == "claim"
    assert Attempt.objects.get().worker == "worker-7"


def beating(lease):
    """A heart whose first beat is due."""
    heart = pipeline.Heart(lease)
    heart._next = 0.0
    return heart


def test_a_beat_keeps_the_lease_and_tells_the_progress(batch):
    job = queue(batch)
    lease = pipeline.claim("w")
    job.runs.update(lease_expires_at=timezone.now())
    beating(lease).beat("drawing", 42)
    run = job.runs.get()
    assert (run.step, run.percent) == ("drawing", 42)
    assert run.lease_expires_at > timezone.now() + timedelta(seconds=1)


@contextmanager
def database_away(timeout_seconds: float = 0.0) -> Iterator[None]:
    """The next query fails for real: PostgreSQL hangs up; in SQLite somebody else writes."""
    other = connections.create_connection("default")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pid = cursor.fetchone()[0]
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        other.close()
        yield
        return
    connection.ensure_connection()
    connection.connection.execute(f"PRAGMA busy_timeout = {int(timeout_seconds * 1000)}")
    with other.cursor() as cursor:
        cursor.execute("BEGIN IMMEDIATE")
        yield
        cursor.execute("ROLLBACK")
    other.close()


@pytest.mark.django_db(transaction=True)
def test_a_beat_outlives_a_database_that_is_away_for_less_than_the_lease(batch):
    move(make_job(batch), "start")
    lease = pipeline.claim("w")
    heart = beating(lease)
    with database_away():
        heart.beat("decoding", 10)
    heart._next = 0.0
    heart.beat("drawing", 50)
    assert StageRun.objects.get().step == "drawing"


@pytest.mark.django_db(transaction=True)
def test_a_beat_gives_up_when_the_database_is_away_for_longer_than_the_lease(batch):
    move(make_job(batch), "start")
    heart = beating(pipeline.claim("w"))
    heart._holds_until = 0.0
    with database_away(), pytest.raises(OperationalError):
        heart.beat("decoding", 10)


@pytest.mark.django_db(transaction=True)
def test_a_ticket_is_let_go_while_the_database_is_away(batch, monkeypatch, caplog):
    """As django-q2 would otherwise fail one after the other, with a record of each."""
    monkeypatch.setattr(tasks, "PAUSE_SECONDS", 0.0)
    move(make_job(batch), "start")
    monkeypatch.setattr(pipeline, "perform", lambda lease: None)
    with database_away():
        tasks.work()
    assert "the database does not answer" in caplog.text
    assert not Attempt.objects.exists()
    tasks.work()
    assert Attempt.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_what_was_made_waits_for_a_database_that_restarts(real_job, monkeypatch):
    """The connection breaks while the stage works: its result is kept all the same, at the first attempt."""

    def run_stage(prepare, inputs, *, limits, beat):
        outcome = sandbox.run_stage(prepare, inputs, limits=limits, beat=beat)
        with database_away():
            return outcome

    monkeypatch.setattr(pipeline, "run_stage", run_stage)
    move(real_job, "start")
    assert pipeline.work_once()
    run = real_job.runs.get(stage=Stage.INGESTION)
    assert (run.state, run.attempts) == (StageRun.DONE, 1)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.django_db(transaction=True)
def test_what_was_made_is_kept_once_when_the_connection_breaks_around_the_commit(real_job, monkeypatch, when):
    breaks = [True]

    def finish(*given):
        last = breaks and breaks.pop()
        with transaction.atomic():
            really_finish(*given)
            if last and when == "before":
                raise OperationalError("the connection broke")
        if last:
            raise OperationalError("the connection broke")

    really_finish = pipeline._finish
    monkeypatch.setattr(pipeline, "_finish", finish)
    move(real_job, "start")
    assert pipeline.work_once()
    run = real_job.runs.get(stage=Stage.INGESTION)
    assert (run.state, run.attempts) == (StageRun.DONE, 1)
    assert [attempt.outcome for attempt in Attempt.objects.filter(run=run)] == ["done"]
    assert real_job.events.filter(verb="ingest").count() == 1
    kept = real_job.assets.filter(stage=Stage.INGESTION).values_list("name", flat=True)
    assert len(kept) == len(set(kept)) > 0


def test_a_cancelled_job_loses_its_lease(batch):
    job = queue(batch)
    lease = pipeline.claim("w")
    job.refresh_from_db()
    move(job, "cancel")
    with pytest.raises(pipeline.LeaseLost):
        beating(lease).beat("drawing", 42)


def test_a_late_result_is_discarded(real_job, monkeypatch, settings):
    """A worker that slept past its lease finds its token gone: nothing of what it made is kept."""
    move(real_job, "start")
    lease = pipeline.claim("sleeper")
    real_job.runs.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    sweeping.sweep()
    monkeypatch.setattr(pipeline, "run_stage", lambda *_, **__: Outcome(result={"matches": []}))
    pipeline.perform(lease)
    real_job.refresh_from_db()
    assert (real_job.stage, real_job.state) == (Stage.INGESTION, State.QUEUED)
    assert Attempt.objects.get(pk=lease.attempt_id).outcome == "discarded"


def test_what_a_late_worker_deployed_is_taken_back(batch, tmp_path):
    job = make_job(batch, Stage.DELIVERY, State.QUEUED)
    run = StageRun.objects.create(job=job, stage=Stage.DELIVERY, input_hash="x")
    lease = pipeline.claim("w")
    made = tmp_path / "final.aep"
    made.write_bytes(b"RIFX")
    from jobs import outcomes
    from jobs.stages.base import Produced

    outcome = Outcome(
        result={}, files=(Produced(kind="released_project", name="final.aep", path=made, media_type="x/y"),)
    )
    StageRun.objects.filter(pk=run.pk).update(token=uuid.uuid4())
    run.refresh_from_db()
    with pytest.raises(pipeline.LeaseLost), outcomes.stored(run, outcome) as stored:
        pipeline._finish(lease, stored, "")
    folders, files = storages["outputs"].listdir(f"blue/Spring-{batch.pk}/{Path(job.output_name).stem}")
    assert (folders, files) == ([], [])


def test_nothing_is_overwritten_in_the_output_storage(batch, tmp_path):
    from jobs import outcomes
    from jobs.stages.base import Produced

    names = []
    for content in (b"one", b"two"):
        job = make_job(
            batch, Stage.DELIVERY, State.RUNNING, output_name=f"final.{'aep' if content == b'one' else 'aepx'}"
        )
        run = StageRun.objects.create(job=job, stage=Stage.DELIVERY, input_hash="x")
        made = tmp_path / "final.aep"
        made.write_bytes(content)
        files = (Produced(kind="released_project", name="final.aep", path=made, media_type="x/y"),)
        with outcomes.stored(run, Outcome(result={}, files=files)) as stored:
            names.append(stored.assets[0].storage_name)
    assert len(set(names)) == 2
    assert [storages["outputs"].open(name).read() for name in names] == [b"one", b"two"]


@pytest.mark.parametrize(
    ("error_class", "attempts"),
    [("file", 1), ("transient", 5), ("worker", 5), ("crash", 3), ("bug", 2), ("memory", 2), ("time", 2)],
)
def test_failures_are_tried_again_as_often_as_their_class_allows(batch, error_class, attempts):
    job = queue(batch)
    for number in range(1, attempts + 1):
        job.runs.update(available_at=Now())
        lease = pipeline.claim("w")
        assert lease is not None
        pipeline.fail(lease, StageFailed("no", error_class=error_class))
        job.refresh_from_db()
        assert job.state == (State.FAILED if number == attempts else State.QUEUED)
    run = job.runs.get()
    assert (run.state, run.error, run.error_class) == ("failed", "no", error_class)
    assert Attempt.objects.filter(run=run, outcome="failed").count() == attempts
    assert replay(job) == (Stage.INGESTION, State.FAILED)


def test_a_retry_starts_counting_anew(batch):
    job = queue(batch)
    pipeline.fail(pipeline.claim("w"), StageFailed("no", error_class="file"))
    job.refresh_from_db()
    move(job, "retry")
    run = job.runs.get()
    assert (run.state, run.attempts, run.error) == ("queued", 0, "")


def test_the_sweep_takes_back_what_a_silent_worker_held(batch):
    job = queue(batch)
    pipeline.claim("dead-host:1")
    job.runs.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert sweeping.sweep() >= 1
    job.refresh_from_db()
    run = job.runs.get()
    assert (job.state, run.state, run.token, run.crashes) == (State.QUEUED, "queued", None, 1)
    assert "dead-host:1" in Attempt.objects.get().error


def test_the_sweep_leaves_living_leases_alone(batch):
    job = queue(batch)
    pipeline.claim("w")
    OrmQ.objects.all().delete()
    assert sweeping.sweep() == 0
    assert job.runs.get().state == "running"


def test_the_sweep_writes_tickets_for_due_work_that_lost_its_own(batch):
    queue(batch)
    OrmQ.objects.all().delete()
    assert sweeping.sweep() == 1
    assert OrmQ.objects.count() == 1
    assert sweeping.sweep() == 0


def test_work_directories_of_killed_workers_are_removed(batch, settings):
    queue(batch)
    lease = pipeline.claim("w")
    root = Path(settings.WORK_DIR)
    mine = root / f"run-{lease.run_id}-{lease.token.hex}"
    stray = root / f"run-99-{uuid.uuid4().hex}"
    for path in (mine, stray):
        path.mkdir(parents=True)
    assert sweeping.sweep_workdirs() == 1
    assert mine.exists()
    assert not stray.exists()


def test_a_persons_match_survives_a_second_ingestion(real_job, people):
    move(real_job, "start")
    work_until_idle()
    match = real_job.matches.filter(slot_kind="image").first()
    match.layer_id, match.layer_name, match.origin = None, "", "human"
    match.save()
    move(real_job, "requeue", target=Stage.INGESTION)
    work_until_idle()
    again = real_job.matches.get(slot_id=match.slot_id)
    assert (again.layer_id, again.origin) == (None, "human")


def test_a_resolved_warning_stays_resolved_when_it_is_found_again(real_job):
    move(real_job, "start")
    work_until_idle()
    warning = real_job.warnings.first()
    assert warning is not None
    warning.resolution, warning.note = "accepted", "known"
    warning.save()
    move(real_job, "requeue", target=Stage.INGESTION)
    work_until_idle()
    again = real_job.warnings.get(code=warning.code, object=warning.object, message=warning.message)
    assert (again.resolution, again.note) == ("accepted", "known")
    assert json.dumps(real_job.result_of(Stage.INGESTION))
