"""jobs.claims and jobs.turns: who is next, by index, and that limits and pauses hold."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from batches.models import Batch
from jobs import aging, claims, pauses, pipeline, sweeping, turns
from jobs.errors import Conflict, Invalid, NotAllowed
from jobs.lifecycle import move
from jobs.models import PRIORITIES, Event, StageRun, Team
from jobs.sandbox import StageFailed
from jobs.states import Queue, Stage
from tests.people import make_job


@pytest.fixture
def batches(blue, red, people):
    """Two batches of Blue and one of Red."""
    return [
        Batch.objects.create(team=team, name=name, created_by=people.root)
        for team, name in ((blue, "B1"), (blue, "B2"), (red, "R1"))
    ]


def queue(batch, **fields):
    job = make_job(batch, **fields)
    move(job, "start")
    return job


def claimed(**options) -> StageRun | None:
    lease = claims.claim("w", **options)
    return StageRun.objects.select_related("job").get(pk=lease.run_id) if lease else None


def all_claimed() -> list[StageRun]:
    found = []
    while run := claimed():
        found.append(run)
    return found


def wait(job, **ago):
    """Makes a queued job as old as that, by the database's clock."""
    job.runs.update(queued_at=aging.Now() - timedelta(**ago))


# Order ----------------------------------------------------------------------------------------------------------------
def test_first_come_first_served_inside_a_batch_and_rank(batch):
    jobs = [queue(batch) for _ in range(4)]
    assert [run.job for run in all_claimed()] == jobs


def test_a_large_batch_does_not_starve_a_small_one(batches):
    large, small, _ = batches
    for _ in range(12):
        queue(large)
    late = [queue(small) for _ in range(3)]
    order = [run.job for run in all_claimed()]
    assert all(job in order[:6] for job in late)


def test_teams_take_turns_however_many_batches_they_have(batches, people):
    blue_ones, red_one = batches[:2], batches[2]
    more = [Batch.objects.create(team=batches[0].team, name=f"M{n}", created_by=people.root) for n in range(4)]
    for batch in [*blue_ones, *more]:
        queue(batch), queue(batch)
    for _ in range(4):
        queue(red_one)
    assert [run.team_id == red_one.team_id for run in all_claimed()[:8]].count(True) == 4


def test_urgent_work_of_a_busy_team_goes_before_everything_else(batches):
    queue(batches[2])
    urgent = queue(batches[0], priority=PRIORITIES["urgent"])
    assert claimed().job == urgent


@pytest.mark.parametrize(
    ("priority", "minutes", "rank"),
    [
        *[("normal", 14, "normal"), ("normal", 15, "high"), ("normal", 600, "high")],
        *[
            ("low", 29, "low"),
            ("low", 30, "normal"),
            ("low", 119, "normal"),
            ("low", 120, "high"),
            ("low", 900, "high"),
        ],
        *[("high", 900, "high"), ("urgent", 900, "urgent")],
    ],
)
def test_what_waits_rises_by_the_table_and_never_to_urgent(batch, priority, minutes, rank):
    job = queue(batch, priority=PRIORITIES[priority])
    wait(job, minutes=minutes, seconds=1)
    sweeping.sweep()
    assert job.runs.get().rank == PRIORITIES[rank]


def test_aged_work_goes_before_fresh_work_of_its_old_rank_and_after_urgent_work(batch):
    old = queue(batch, priority=PRIORITIES["low"])
    wait(old, hours=3)
    normal, urgent = queue(batch), queue(batch, priority=PRIORITIES["urgent"])
    aging.raise_waiting()
    assert [run.job for run in all_claimed()] == [urgent, old, normal]


def test_many_rise_in_portions_the_oldest_first(batch):
    jobs = [queue(batch) for _ in range(3)]
    for minutes, job in zip((20, 40, 30), jobs, strict=True):
        wait(job, minutes=minutes)
    assert aging.raise_waiting(most=2) == 2
    assert [job.runs.get().rank for job in jobs] == [PRIORITIES["normal"], PRIORITIES["high"], PRIORITIES["high"]]


def test_work_that_backs_off_lets_the_rest_of_its_batch_pass(batch):
    first, second = queue(batch), queue(batch)
    claims_of_first = claims.claim("w")
    pipeline.fail(claims_of_first, StageFailed("no", error_class="transient", retry_after_seconds=3600.0))
    assert claimed().job == second
    assert claimed() is None
    assert first.runs.get().state == "queued"


# By index -------------------------------------------------------------------------------------------------------------
def plan_of(rows) -> str:
    if connection.vendor == "postgresql":
        # An empty table is read whole and sorted whatever its indexes are; what counts is that the index can do it all.
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_bitmapscan = off")
            cursor.execute("SET LOCAL enable_sort = off")
    return rows.explain()


@pytest.mark.parametrize(
    ("column", "narrow"),
    [
        ("team_id", {"after": 0}),
        ("team_id", {"after": 0, "up_to": 9}),
        ("batch_id", {"team": 1, "after": 0}),
        ("batch_id", {"team": 1, "after": 0, "up_to": 9}),
    ],
    ids=["next team", "first team", "next batch", "first batch"],
)
def test_every_step_of_a_claim_is_a_seek_in_one_index_without_sorting(column, narrow, db):
    plan = plan_of(turns.head_of_line(column, queue="light", rank=2, **narrow))
    assert "run_to_claim" in plan
    assert "SEARCH" in plan or "Index Cond" in plan
    for name in ("rank", column, *(["team_id"] if "team" in narrow else [])):
        assert name in plan
    assert not any(word in plan.upper() for word in ("SORT", "TEMP B-TREE", "SEQ SCAN", "SCAN JOBS_STAGERUN\n"))


@pytest.mark.parametrize(("column", "team"), [("team_id", None), ("batch_id", 1)])
def test_who_is_next_in_turn_is_found_by_two_such_seeks_in_one_statement(column, team, db):
    plan = plan_of(turns.next_of_line(column, turn="light", queue="light", rank=2, team=team))
    assert plan.count("run_to_claim") == 2
    assert not any(word in plan.upper() for word in ("SORT", "TEMP B-TREE", "SEQ SCAN", "SCAN JOBS_STAGERUN\n"))


def test_the_most_urgent_rank_is_found_by_a_seek_in_the_same_index(db):
    plan = plan_of(turns.line_of("light", turn="light:aged"))
    assert "run_to_claim" in plan
    assert not any(word in plan.upper() for word in ("SORT", "TEMP B-TREE", "SEQ SCAN", "SCAN JOBS_STAGERUN\n"))


@pytest.mark.parametrize("rise", aging.AGING, ids=lambda rise: f"{rise.priority} to {rise.to}")
def test_what_rises_is_found_by_an_index_without_sorting(rise, db):
    plan = plan_of(aging.waiting_to_rise(rise)[:10])
    assert "run_to_raise" in plan
    assert not any(word in plan.upper() for word in ("SORT", "TEMP B-TREE", "SEQ SCAN"))


def count_of_queries(django_assert_max_num_queries, most):
    with django_assert_max_num_queries(most) as found:
        claims.claim("w")
    return len(found)


def test_a_claim_asks_no_more_of_a_long_queue_than_of_a_short_one(batch, django_assert_max_num_queries):
    for _ in range(3):
        queue(batch)
    claims.claim("w")  # from now on the batch is the one that was served last
    short = count_of_queries(django_assert_max_num_queries, 40)
    for _ in range(60):
        queue(batch)
    assert count_of_queries(django_assert_max_num_queries, 40) <= short


# Aged and fresh work --------------------------------------------------------------------------------------------------
def order_of(**named) -> str:
    """The order of all claims, by the one-letter names of lists of jobs."""
    names = {job.pk: name for name, jobs in named.items() for job in jobs}
    return "".join(names[run.job_id] for run in all_claimed())


def queue_aged(count, batch, *, minutes, priority="normal"):
    jobs = [queue(batch, priority=PRIORITIES[priority]) for _ in range(count)]
    for job in jobs:
        wait(job, minutes=minutes)
    for _ in aging.AGING:
        sweeping.sweep()
    return jobs


def test_one_old_run_goes_before_fresh_work_of_others_each_time(batches):
    fresh = [queue(batches[0]) for _ in range(4)]
    for place in range(2):
        (old,) = queue_aged(1, batches[2], minutes=16)
        assert [claimed().job, claimed().job] == [old, fresh[place]]


@pytest.mark.parametrize("small", [1, 2], ids=["of the same team", "of another team"])
@pytest.mark.parametrize(("priority", "minutes"), [("normal", 16), ("low", 31), ("low", 121)])
def test_a_large_batch_that_waited_long_shares_with_a_fresh_small_one(batches, small, priority, minutes):
    aged = queue_aged(8, batches[0], minutes=minutes, priority=priority)
    fresh = [queue(batches[small], priority=PRIORITIES[priority]) for _ in range(3)]
    urgent = [queue(batches[small], priority=PRIORITIES["urgent"]) for _ in range(2)]
    assert order_of(a=aged, f=fresh, u=urgent) == "uuafafafaaaaa"


def test_aged_work_advances_under_a_stream_of_fresh_work_and_all_of_that_too(batches):
    aged = queue_aged(4, batches[0], minutes=16)
    order = []
    for _ in range(8):
        queue(batches[1]), queue(batches[2])
        order.append(claimed().job)
    assert [job in aged for job in order] == [True, False] * 4
    assert {job.batch for job in order[1::2]} == set(batches[1:])


def test_aged_work_takes_turns_with_high_work_and_fresh_work_comes_after_both(batches):
    aged, fresh = queue_aged(4, batches[0], minutes=16), [queue(batches[1]) for _ in range(4)]
    high = [queue(batches[2], priority=PRIORITIES["high"]) for _ in range(4)]
    assert order_of(a=aged, f=fresh, h=high) == "ahf" * 4


def test_low_work_that_waited_long_starves_no_fresh_work_of_any_rank(batches):
    older = queue_aged(6, batches[0], minutes=121, priority="low")
    old = queue_aged(6, batches[1], minutes=31, priority="low")
    normal = [queue(batches[2]) for _ in range(2)]
    fresh = [queue(batches[2], priority=PRIORITIES["low"]) for _ in range(2)]
    assert order_of(O=older, o=old, n=normal, f=fresh) == "OoOnOfOoOnOfoooo"


def test_a_claim_of_fresh_work_beside_aged_work_asks_no_more_of_a_long_queue(batches, django_assert_max_num_queries):
    def claim_two():
        return [count_of_queries(django_assert_max_num_queries, 40) for _ in range(2)]

    def queue_both(count):
        queue_aged(count, batches[0], minutes=16)
        for _ in range(count):
            queue(batches[1])

    queue_both(3)
    claim_two()
    short = claim_two()
    queue_both(30)
    assert claim_two() <= short


# The database's clock -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_machine_whose_clock_is_wrong_changes_nothing(batch, monkeypatch, minutes):
    here = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: here() + timedelta(minutes=minutes))
    job = queue(batch)
    lease = claims.claim("w")
    assert lease is not None
    pipeline.Heart(lease).beat("half", 50)
    sweeping.take_back_lapsed()
    assert job.runs.get().state == "running"
    before = here()
    pipeline.fail(lease, StageFailed("no", error_class="transient", retry_after_seconds=300.0))
    run = job.runs.get()
    assert run.available_at - before > timedelta(seconds=299)
    assert run.available_at - here() < timedelta(seconds=301)
    assert aging.raise_waiting() == 0
    assert claims.claim("w") is None


# Limits ---------------------------------------------------------------------------------------------------------------
def test_a_team_runs_no_more_than_it_may_and_others_go_on(batches, settings):
    settings.TEAM_RUNNING_LIMIT = 2
    for _ in range(4):
        queue(batches[0]), queue(batches[2])
    assert sorted(run.team_id for run in all_claimed()) == sorted([batches[0].team_id] * 2 + [batches[2].team_id] * 2)


def test_a_teams_own_limit_goes_before_the_settings(batches, settings):
    settings.TEAM_RUNNING_LIMIT = 1
    Team.objects.filter(pk=batches[0].team_id).update(running_limit=0)
    for _ in range(3):
        queue(batches[0])
    assert len(all_claimed()) == 3


def test_a_batch_runs_no_more_than_it_may(batches, settings):
    settings.BATCH_RUNNING_LIMIT = 1
    for _ in range(3):
        queue(batches[0]), queue(batches[1])
    assert sorted(run.batch_id for run in all_claimed()) == [batches[0].pk, batches[1].pk]


def test_held_work_goes_on_when_there_is_room_again(batch, settings):
    settings.BATCH_RUNNING_LIMIT = 1
    _first, second = queue(batch), queue(batch)
    lease = claims.claim("w")
    assert claims.claim("w") is None
    assert not claims.is_claimable()
    pipeline.fail(lease, StageFailed("no", error_class="file"))
    assert claimed().job == second


@pytest.mark.django_db(transaction=True)
def test_racing_claims_never_pass_a_limit_and_never_take_a_run_twice(batch, settings):
    settings.TEAM_RUNNING_LIMIT = 3
    for _ in range(8):
        queue(batch)
    leases: list[claims.Lease | None] = []
    barrier = threading.Barrier(6)

    def work() -> None:
        try:
            barrier.wait()
            leases.append(claims.claim("w"))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [lease.run_id for lease in leases if lease]
    assert len(won) == len(set(won)) == 3
    assert StageRun.objects.filter(state="running").count() == 3


@pytest.mark.django_db(transaction=True)
def test_racing_claims_take_different_runs(batch):
    for _ in range(6):
        queue(batch)
    leases: list[claims.Lease | None] = []

    def work() -> None:
        try:
            leases.append(claims.claim("w"))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({lease.run_id for lease in leases if lease}) == 6


# Pauses ---------------------------------------------------------------------------------------------------------------
def test_a_paused_batch_is_not_claimed_until_it_is_resumed(batches, people):
    paused, other = queue(batches[0]), queue(batches[1])
    pauses.pause(people.olga, pauses.of_batch(batches[0]), reason="fonts are missing")
    assert [run.job for run in all_claimed()] == [other]
    pauses.resume(people.olga, pauses.of_batch(batches[0]))
    assert claimed().job == paused
    assert list(Event.objects.filter(batch=batches[0], job=None).values_list("verb", flat=True)) == ["pause", "resume"]


def test_a_paused_team_is_not_claimed_and_others_go_on(batches, people):
    queue(batches[0])
    other = queue(batches[2])
    pauses.pause(people.olga, pauses.of_team(batches[0].team))
    assert [run.job for run in all_claimed()] == [other]


def test_a_paused_queue_is_not_claimed(batch, people):
    queue(batch)
    pauses.pause(people.root, pauses.of_queue("light"))
    assert claimed() is None
    assert sweeping.send_missing_tickets(Queue.LIGHT) == 0
    pauses.resume(people.root, pauses.of_queue("light"))
    assert claimed() is not None


def test_only_operators_pause_their_teams_and_leads_the_queues(batch, people):
    for user in (people.rita, people.vera, people.oscar):
        with pytest.raises(NotAllowed):
            pauses.pause(user, pauses.of_batch(batch))
    with pytest.raises(NotAllowed):
        pauses.pause(people.olga, pauses.of_queue("heavy"))
    with pytest.raises(Invalid):
        pauses.of_queue("nonsense")


def test_a_second_pause_and_a_second_resume_are_conflicts(batch, people):
    scope = pauses.of_batch(batch)
    pauses.pause(people.olga, scope)
    with pytest.raises(Conflict, match="already"):
        pauses.pause(people.olga, scope)
    pauses.resume(people.olga, scope)
    with pytest.raises(Conflict, match="not paused"):
        pauses.resume(people.olga, scope)


# Classes of failure ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("error_class", ["memory", "time"])
def test_work_that_wants_too_much_is_tried_once_more_by_heavy_workers(batch, error_class):
    job = queue(batch)
    pipeline.fail(claims.claim("w"), StageFailed("no", error_class=error_class))
    run = job.runs.get()
    assert (run.state, run.queue) == ("queued", "heavy")
    job.runs.update(available_at=aging.Now())
    assert claims.claim("w", queues=["light"]) is None
    pipeline.fail(claims.claim("w", queues=["heavy"]), StageFailed("no", error_class=error_class))
    assert job.runs.get().state == "failed"
    job.refresh_from_db()
    move(job, "retry")
    assert job.runs.get().queue == "light"


@pytest.mark.parametrize("before", ["transient", "worker"])
def test_what_failed_otherwise_before_still_has_its_attempt_by_heavy_workers(batch, before):
    job = queue(batch)

    def fail(error_class):
        job.runs.update(available_at=aging.Now())
        pipeline.fail(claims.claim("w"), StageFailed("no", error_class=error_class))
        return job.runs.values_list("state", "queue").get()

    for _ in range(3):
        assert fail(before) == ("queued", "light")
    assert fail("memory") == ("queued", "heavy")
    assert fail("time") == ("failed", "heavy")
    job.refresh_from_db()
    move(job, "retry")
    assert fail("time") == ("queued", "heavy")


def test_a_rate_limit_costs_no_attempt_and_is_kept_to(batch):
    job = queue(batch)
    for _ in range(7):
        lease = claims.claim("w")
        before = timezone.now()
        pipeline.fail(lease, StageFailed("later", error_class="rate", retry_after_seconds=300))
        run = job.runs.get()
        assert (run.state, run.attempts) == ("queued", 0)
        assert run.available_at - before > timedelta(seconds=290)
        job.runs.update(available_at=aging.Now())


def test_work_of_a_stage_is_queued_with_its_team_and_batch(batch):
    run = StageRun.objects.create(job=make_job(batch), stage=Stage.PREVIEW, input_hash="x", priority=1)
    assert (run.team_id, run.batch_id, run.rank) == (batch.team_id, batch.pk, 1)
