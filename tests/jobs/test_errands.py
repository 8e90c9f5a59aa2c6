"""jobs.errands: work of a page that survives its worker"""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import IntegrityError
from django.db.models.functions import Now
from django.utils import timezone

from jobs import deadletters, errands, pauses, sweeping, tasks, workers
from jobs.clusters import GuardedCluster
from jobs.errors import Conflict, LeaseLost, RateLimited
from jobs.lifecycle import move
from jobs.log_context import bound, bound_ids
from jobs.models import PRIORITIES, Attempt, Delivery, Errand, Event, MailSwitch, Notice, WebhookEndpoint, Worker
from jobs.object_storage import Busy
from jobs.queue import QUEUE_VARIABLE, tickets_waiting
from jobs.retries import POLICIES
from jobs.states import Queue, Stage
from jobs.status import read_status
from tests.people import make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def told(monkeypatch):
    """What the kind ``count`` did and was told; ``told["raise"]`` is raised by its doer."""
    told = {"done": [], "given_up": [], "raise": None}

    def do(held):
        held.hold(done=1, total=2, step="counting")
        told["done"].append(held.subject)
        if told["raise"]:
            raise told["raise"]

    monkeypatch.setattr(errands, "_kinds", dict(errands._kinds))
    errands.register("count", do=do, give_up=lambda subject, error: told["given_up"].append((subject, error)))
    return told


def test_a_kind_that_another_version_knows_is_left_to_it(told, blue):
    """Machines are updated one after the other: the first to know a new kind may send it, and the others go on."""
    errand = errands.send("count", 7, blue)
    del errands._kinds["count"]
    assert not errands.is_due(Queue.LIGHT)
    assert errands.claim("old:1/2") is None
    tasks.work()
    lapsed = {"state": "running", "token": uuid.uuid4(), "lease_expires_at": Now() - timedelta(seconds=1)}
    Errand.objects.update(**lapsed, attempts=POLICIES["worker"].attempts)
    sweeping.sweep()
    errand.refresh_from_db()
    assert (errand.state, errand.attempts) == ("running", POLICIES["worker"].attempts)
    errands.register("count", do=lambda held: None, give_up=lambda subject, error: None)
    assert errands.take_back_lapsed() == 1


def make_due(errand):
    Errand.objects.filter(pk=errand.pk).update(available_at=Now() - timedelta(seconds=1))


def test_a_ticket_makes_a_worker_do_the_errand(told, blue):
    errand = errands.send("count", 7, blue, total=2)
    assert tickets_waiting(Queue.LIGHT) == 1
    tasks.work()
    errand.refresh_from_db()
    assert told["done"] == [7]
    assert (errand.state, errand.done, errand.token, errand.attempts) == ("done", 1, None, 1)
    assert errands.latest("count", 7) == errand


def test_an_errand_names_the_request_that_asked_for_it(told, blue, monkeypatch):
    named = []
    errands.register(
        "name", do=lambda held: named.append(bound_ids().get("request")), give_up=lambda subject, error: None
    )
    with bound(request="r9"):
        errands.send("name", 7, blue)
    errands.send("name", 8, blue)
    for _ in range(2):
        errands.perform(errands.claim("me"))
    assert named == ["r9", None]


def test_an_errand_whose_workers_are_killed_is_given_up_in_the_name_of_its_request(told, blue):
    named = []
    errands.register(
        "name", do=lambda held: None, give_up=lambda subject, error: named.append(bound_ids().get("request"))
    )
    with bound(request="r9"):
        errand = errands.send("name", 7, blue)
    for _ in range(POLICIES["worker"].attempts):
        make_due(errand)
        assert errands.claim("gone:1") is not None
        Errand.objects.update(lease_expires_at=Now() - timedelta(seconds=1))
        assert errands.take_back_lapsed() == 1
    assert named == ["r9"]


def test_an_errand_on_its_way_is_not_sent_twice_but_again_when_it_ended(told, blue):
    first = errands.send("count", 7, blue)
    assert errands.send("count", 7, blue) == first
    assert errands.send("count", 8, blue) != first
    errands.perform(errands.claim("me", only=first.pk))
    assert errands.send("count", 7, blue) != first


def test_an_errand_that_ends_while_it_is_asked_for_again_is_sent_anew(told, blue, monkeypatch):
    first = errands.send("count", 7, blue)
    create = Errand.objects.create

    def was_there(**values):
        monkeypatch.setattr(Errand.objects, "create", create)
        raise IntegrityError

    monkeypatch.setattr(Errand.objects, "create", was_there)
    Errand.objects.filter(pk=first.pk).update(state=Errand.DONE)
    assert errands.send("count", 7, blue).pk > first.pk


def test_an_errand_is_claimed_once(told, blue):
    errands.send("count", 7, blue)
    assert errands.claim("one") is not None
    assert errands.claim("two") is None
    assert errands.claim("three", queues=[Queue.HEAVY]) is None


def test_a_worker_that_went_silent_loses_its_errand_and_cannot_write_any_more(told, blue):
    errand = errands.send("count", 7, blue)
    held = errands.claim("ghost")
    Errand.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    sweeping.sweep()
    errand.refresh_from_db()
    assert (errand.state, errand.token) == ("queued", None)
    assert "ghost went silent" in errand.error
    with pytest.raises(LeaseLost):
        held.hold(done=1)
    errands.perform(held)
    errand.refresh_from_db()
    assert errand.state == "queued"
    make_due(errand)
    errands.perform(errands.claim("other"))
    errand.refresh_from_db()
    assert (errand.state, errand.attempts) == ("done", 2)


def test_what_may_pass_is_tried_again_and_what_does_not_is_given_up(told, blue):
    errand = errands.send("count", 7, blue)
    told["raise"] = OSError("the disk is away")
    for attempt in range(1, 6):
        make_due(errand)
        errands.perform(errands.claim("me"))
        errand.refresh_from_db()
        assert errand.state == ("queued" if attempt < 5 else "failed")
    assert told["given_up"] == [(7, "OSError: the disk is away")]
    assert errands.claim("me") is None


@pytest.mark.parametrize("limit", [RateLimited, Busy])
@pytest.mark.parametrize(("asked", "least", "most"), [(300.0, 299, 301), (None, 47, 73), (10**6, 3599, 3601)])
def test_anothers_limit_is_waited_for_as_they_say_and_costs_no_attempt(told, blue, limit, asked, least, most):
    errand = errands.send("count", 7, blue)
    told["raise"] = limit("Google's limit is reached.", retry_after_seconds=asked)
    for _ in range(7):
        make_due(errand)
        before = timezone.now()
        errands.perform(errands.claim("me"))
    errand.refresh_from_db()
    assert (errand.state, errand.attempts, errand.error) == ("queued", 0, "Google's limit is reached.")
    assert least < (errand.available_at - before).total_seconds()
    assert (errand.available_at - timezone.now()).total_seconds() < most
    told["raise"] = None
    make_due(errand)
    errands.perform(errands.claim("me"))
    assert (told["given_up"], errands.latest("count", 7).state) == ([], "done")


def test_a_fault_of_ours_is_tried_once_more(told, blue):
    errand = errands.send("count", 7, blue)
    told["raise"] = ZeroDivisionError("oh")
    for _ in range(2):
        make_due(errand)
        errands.perform(errands.claim("me"))
    assert told["given_up"] == [(7, "ZeroDivisionError: oh")]


def test_the_sweep_makes_up_for_a_lost_ticket_once(told, blue):
    Errand.objects.create(kind="count", subject=7, team=blue)
    sweeping.sweep()
    sweeping.sweep()
    assert tickets_waiting(Queue.LIGHT) == 1


def test_a_cluster_whose_only_worker_does_an_errand_is_not_stuck(told, blue, settings):
    settings.QUEUE_WORKERS = {**settings.QUEUE_WORKERS, "light": 1}
    cluster = GuardedCluster(Queue.LIGHT, "m:1")
    errands.send("count", 7, blue)
    assert cluster._neglects_work(set(Stage))
    errands.claim("m:1/99")
    errands.send("count", 8, blue)
    assert not cluster._neglects_work(set(Stage))
    assert cluster._began_something(0)


def test_old_records_are_forgotten(told, blue):
    errand = errands.send("count", 7, blue)
    errands.perform(errands.claim("me"))
    assert errands.forget_old() == 0
    Errand.objects.filter(pk=errand.pk).update(ended_at=timezone.now() - timedelta(days=8))
    assert errands.forget_old() == 1


# Beside each other and beside stages ----------------------------------------------------------------------------------
def test_errands_of_teams_take_turns_and_those_of_a_team_keep_their_order(told, blue, red):
    for subject in range(4):
        errands.send("count", subject, blue)
    late = [errands.send("count", subject, red).subject for subject in (10, 11)]
    order = []
    while held := errands.claim("me"):
        order.append(held.subject)
    assert order == [0, late[0], 1, late[1], 2, 3]


@pytest.fixture
def light(monkeypatch, settings):
    """This process is a worker of the machine ``m:1``; gives how to say how many of ``light`` it has."""
    worker = Worker.objects.create(name="m:1", machine="m", pid=1, capacity={"light": 2})
    monkeypatch.setenv(workers.NAME_VARIABLE, worker.name)
    monkeypatch.setenv(QUEUE_VARIABLE, Queue.LIGHT)
    monkeypatch.setattr(tasks, "_did_errand", False)

    def have(workers):
        settings.QUEUE_WORKERS = {**settings.QUEUE_WORKERS, "light": workers}

    return have


def stages_begun():
    return Attempt.objects.count()


def queue_stages(batch, count):
    for _ in range(count):
        move(make_job(batch, priority=PRIORITIES["urgent"]), "start")


def test_errands_leave_one_worker_of_a_machine_to_the_stages_that_wait(told, blue, batch, light):
    light(2)
    queue_stages(batch, 2)
    for subject in (7, 8, 9, 10):
        errands.send("count", subject, blue)
    errands.claim("other:1/5")  # 7, by a machine that has workers of its own
    tasks.work()
    assert (told["done"], stages_begun()) == ([8], 0)
    errands.claim("m:1/5")  # 9
    for _ in range(2):
        tasks.work()
    assert (told["done"], stages_begun()) == ([8], 2)
    tasks.work()
    assert (told["done"], stages_begun()) == ([8, 10], 2)


def test_stages_that_may_not_be_claimed_keep_no_worker_from_errands(told, people, blue, batch, light):
    light(2)
    queue_stages(batch, 1)
    pauses.pause(people.root, pauses.of_batch(batch))
    for subject in (7, 8):
        errands.send("count", subject, blue)
    errands.claim("m:1/5")
    tasks.work()
    assert (told["done"], stages_begun()) == ([8], 0)


def test_the_only_worker_of_a_machine_does_errands_and_stages_in_turn(told, blue, batch, light):
    light(1)
    queue_stages(batch, 2)
    for subject in (7, 8, 9):
        errands.send("count", subject, blue)
    seen = []
    for _ in range(5):
        tasks.work()
        seen.append((len(told["done"]), stages_begun()))
    assert seen == [(1, 0), (1, 1), (2, 1), (2, 2), (3, 2)]


# Pauses, and where errands are seen -----------------------------------------------------------------------------------
@pytest.fixture(params=["queue", "team"])
def paused(request, people, blue):
    """What the errands of Blue wait for."""
    scope = pauses.of_queue("light") if request.param == "queue" else pauses.of_team(blue)
    pauses.pause(people.root, scope, reason="new disks")
    return scope


def test_nothing_paused_is_begun_and_it_goes_on_when_resumed(told, people, blue, paused):
    errand = errands.send("count", 7, blue)
    assert (errands.claim("me"), errands.claim("me", only=errand.pk)) == (None, None)
    tasks.work()
    assert told["done"] == []
    assert not errands.is_due(Queue.LIGHT)
    what = "queue light" if paused.team is None else "team Blue"
    assert errands.why_paused(errand) == f"The {what} is paused by root (new disks). This goes on when it is resumed."
    pauses.resume(people.root, paused)
    assert errands.why_paused(errand) == ""
    tasks.work()
    assert told["done"] == [7]


def test_what_runs_when_it_is_paused_is_finished(told, people, blue):
    errand = errands.send("count", 7, blue)
    held = errands.claim("me")
    pauses.pause(people.root, pauses.of_queue("light"))
    errands.perform(held)
    errand.refresh_from_db()
    assert errand.state == "done"


def test_other_queues_teams_and_batches_go_on(told, people, blue, red, batch):
    pauses.pause(people.root, pauses.of_queue("heavy"))
    pauses.pause(people.root, pauses.of_team(red))
    pauses.pause(people.root, pauses.of_batch(batch))
    errand = errands.send("count", 7, blue)
    assert errands.why_paused(errand) == ""
    assert errands.claim("me") is not None


def test_a_paused_errand_wakes_nobody(told, people, blue):
    pauses.pause(people.root, pauses.of_team(blue))
    Errand.objects.create(kind="count", subject=7, team=blue)
    sweeping.sweep()
    assert tickets_waiting(Queue.LIGHT) == 0
    pauses.resume(people.root, pauses.of_team(blue))
    sweeping.sweep()
    assert tickets_waiting(Queue.LIGHT) == 1


def test_the_status_counts_what_waits_and_names_what_runs(told, people, blue, red, capsys):
    errands.send("count", 7, blue, total=2)
    errands.claim("m:1/9").hold(done=1, step="counting")
    errands.send("count", 8, blue)
    later = errands.send("count", 9, blue)
    Errand.objects.filter(pk=later.pk).update(available_at=Now() + timedelta(hours=1))
    errands.send("count", 10, red)
    pauses.pause(people.root, pauses.of_team(red))
    status = read_status()
    (waiting,) = status.errands
    assert (waiting.queue, waiting.kind, waiting.due, waiting.later, waiting.paused) == ("light", "count", 1, 1, 1)
    (running,) = status.running_errands
    assert (running.subject, running.team, running.worker, running.done, running.total) == (7, "blue", "m:1/9", 1, 2)
    assert status.neglected == ("light",)
    with pytest.raises(SystemExit):
        call_command("status")
    shown = capsys.readouterr().out
    assert "count 7" in shown
    assert "Errands" in shown


def test_only_paused_errands_leave_no_queue_neglected(told, people, blue):
    errands.send("count", 7, blue)
    assert read_status().neglected == ("light",)
    pauses.pause(people.root, pauses.of_queue("light"))
    assert read_status().neglected == ()


def give_up(told, team, subject=7):
    told["raise"] = ZeroDivisionError("oh")
    errand = errands.send("count", subject, team)
    for _ in range(2):
        make_due(errand)
        errands.perform(errands.claim("me", only=errand.pk))
    told["raise"] = None
    return errand


def test_what_was_given_up_is_a_dead_letter_of_its_team_until_it_is_sent_again(told, people, blue):
    errand = give_up(told, blue)
    assert list(deadletters.dead_errands(people.vera)) == [errand]
    assert list(deadletters.dead_errands(people.oscar)) == []
    assert read_status().dead_errands == 1
    errands.send("count", 7, blue)
    assert list(deadletters.dead_errands(people.vera)) == []
    assert read_status().dead_errands == 0


def outbox():
    return list(Delivery.objects.order_by("id").values_list("channel", "recipient", "payload__data__failed"))


def bell():
    return list(Notice.objects.order_by("id").values_list("user__username", "times", "facts__what"))


def test_operators_and_webhooks_are_told_once_while_the_same_trouble_lasts(told, people, blue, red):
    MailSwitch.objects.create(team=blue)
    WebhookEndpoint.objects.create(team=blue, url="https://hooks.example/")
    WebhookEndpoint.objects.create(team=red, url="https://red.example/")
    first = give_up(told, blue)
    both = [("webhook", "", 1), ("email", "olga@example.com", 1)]
    assert outbox() == both
    assert bell() == [("olga", 1, "Count")]
    event = Event.objects.get(verb="fail_errand")
    assert (event.team, event.data) == (blue, {"what": "Count"})
    assert "ZeroDivisionError" in event.reason
    assert Delivery.objects.first().payload["data"]["errand"] == {"id": first.pk, "kind": "count", "attempts": 2}
    for subject in (8, 9, 7):
        give_up(told, blue, subject)
    assert outbox() == both
    assert bell() == [("olga", 4, "Count")]


def test_new_trouble_is_told_when_work_of_the_kind_was_done_since_but_not_of_the_same_subject(told, people, blue):
    give_up(told, blue)
    Notice.objects.update(read_at=timezone.now())
    errands.send("count", 8, blue)
    errands.perform(errands.claim("me"))
    give_up(told, blue)  # again
    assert bell() == [("olga", 1, "Count")]
    errands.send("count", 8, blue)
    errands.perform(errands.claim("me"))
    give_up(told, blue, 9)
    assert bell() == [("olga", 1, "Count")] * 2
    Errand.objects.update(ended_at=Now() - timedelta(days=2))
    give_up(told, blue, 10)
    assert [times for _, times, _ in bell()] == [1, 2]


@pytest.mark.parametrize(("days", "age", "kept"), [(30, 29, True), (30, 31, False), (0, 5000, True)])
def test_dead_errands_are_kept_as_other_dead_letters(told, blue, settings, days, age, kept):
    settings.DEAD_LETTER_DAYS = days
    errand = give_up(told, blue)
    Errand.objects.filter(pk=errand.pk).update(ended_at=timezone.now() - timedelta(days=age))
    errands.forget_old()
    assert Errand.objects.exists() is kept


def test_what_was_given_up_is_tried_again_once_and_only_then(told, people, blue):
    errand = give_up(told, blue)
    again = errands.send_again(people.olga, errand)
    assert (again.state, again.subject, again.total) == ("queued", 7, 2)
    assert list(deadletters.dead_errands(people.olga)) == []
    for one, why in ((errand, "sent again already"), (again, "did not fail")):
        with pytest.raises(Conflict, match=why):
            errands.send_again(people.olga, one)
    tasks.work()
    assert told["done"][-1] == 7
    with pytest.raises(Conflict, match="sent again already"):
        errands.send_again(people.olga, errand)
    assert Errand.objects.count() == 2


def test_a_kind_that_nobody_does_any_more_is_not_sent(told, people, blue):
    old = Errand.objects.create(kind="gone", subject=1, team=blue, state="failed")
    with pytest.raises(Conflict, match="kind gone"):
        errands.send_again(people.olga, old)
