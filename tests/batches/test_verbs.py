"""batches.verbs: what people do with whole batches"""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth.models import Permission
from django.db import connection

from batches.models import Batch
from batches.verbs import BATCH_VERBS, act, act_on_many
from jobs import pauses
from jobs.errors import Conflict, Invalid, NotAllowed
from jobs.lifecycle import move
from jobs.models import Event, Job, Pause, StageRun, Team
from jobs.states import FINAL, Stage, State
from tests.people import make_job, make_person


@pytest.fixture
def lead(people):
    people.olga.user_permissions.add(Permission.objects.get(codename="lead_job"))
    return type(people.olga).objects.get(pk=people.olga.pk)


MAY = {
    "start": {"olga", "root"},
    "pause": {"olga", "root"},
    "resume": {"olga", "root"},
    "retry": {"olga", "root"},
    "archive": {"olga", "root"},
    "unarchive": {"olga", "root"},
    "cancel": {"olga", "rita", "root"},
    "delete": {"root"},
}


@pytest.mark.parametrize("name", ["olga", "rita", "adam", "vera", "oscar", "nobody", "root"])
@pytest.mark.parametrize("verb", BATCH_VERBS)
def test_every_verb_takes_its_role(people, batch, verb, name):
    make_job(batch)
    make_job(batch, state=State.FAILED)
    if verb == "resume":
        pauses.pause(people.root, pauses.of_batch(batch))
    if verb == "unarchive":
        act(people.root, batch, "archive")
    before = (list(Job.objects.order_by("pk").values()), Event.objects.count(), Batch.objects.values().get())
    if name in MAY[verb]:
        assert act(getattr(people, name), batch, verb)
        assert Event.objects.count() > before[1]
    else:
        with pytest.raises(NotAllowed):
            act(getattr(people, name), batch, verb)
        assert (
            list(Job.objects.order_by("pk").values()),
            Event.objects.count(),
            Batch.objects.values().get(),
        ) == before


@pytest.mark.parametrize("verb", ["start", "resume", "retry", "unarchive", "cancel"])
def test_what_changes_nothing_is_a_conflict(people, batch, verb):
    make_job(batch, Stage.DELIVERY, State.DONE)
    with pytest.raises(Conflict):
        act(people.root, batch, verb)
    assert not Event.objects.exists()


@pytest.mark.parametrize("verb", ["", "hold", "open_batch", "x" * 1000])
def test_an_unknown_verb_is_refused(people, batch, verb):
    with pytest.raises(Invalid):
        act(people.olga, batch, verb)


def test_cancel_takes_everything_that_is_not_over(people, batch):
    for state in State:
        make_job(batch, Stage.DELIVERY, state)
    assert act(people.olga, batch, "cancel", reason="Wrong client.") == "6 jobs cancelled"
    assert not batch.jobs.exclude(state__in=FINAL).exists()
    assert set(Event.objects.values_list("verb", "reason")) == {("cancel", "Wrong client.")}


def test_retry_takes_the_failed_alone(people, batch):
    failed, cancelled = make_job(batch, state=State.FAILED), make_job(batch, state=State.CANCELLED)
    assert act(people.olga, batch, "retry") == "1 job queued again"
    failed.refresh_from_db(), cancelled.refresh_from_db()
    assert (failed.state, cancelled.state) == ("queued", "cancelled")


@pytest.mark.parametrize("state", ["queued", "running"])
@pytest.mark.parametrize("verb", ["archive", "delete"])
def test_what_is_at_work_is_neither_archived_nor_deleted(people, batch, verb, state):
    make_job(batch, state=state)
    make_job(batch)
    with pytest.raises(Conflict, match="at work"):
        act(people.root, batch, verb)
    assert batch.jobs.filter(state="pending").count() == 1
    assert Batch.objects.get().deleted_at is None


def test_an_archived_batch_is_out_of_the_way_and_comes_back(people, batch):
    act(people.olga, batch, "archive")
    assert Batch.objects.get().archived_at is not None
    with pytest.raises(Conflict):
        act(people.olga, batch, "archive")
    act(people.olga, batch, "unarchive")
    assert Batch.objects.get().archived_at is None


def test_a_lead_deletes_in_the_own_teams_alone(people, lead, batch, red):
    theirs = Batch.objects.create(team=red, name="Theirs", created_by=people.oscar)
    with pytest.raises(NotAllowed):
        act(lead, theirs, "delete")
    assert act(lead, batch, "delete")


def test_deleting_ends_all_work_for_good_and_keeps_rows_and_history(people, lead, batch):
    jobs = [make_job(batch, Stage.MATCHING, state) for state in State if state not in {State.QUEUED, State.RUNNING}]
    pauses.pause(people.olga, pauses.of_batch(batch))
    act(lead, batch, "delete", reason="Test data.")
    assert batch.jobs.count() == len(jobs)
    assert set(batch.jobs.values_list("state", flat=True)) == {"cancelled", "done"}
    assert not Pause.objects.exists()
    assert not Job.objects.visible_to(people.root).exists()
    told = Event.objects.visible_to(people.vera).get(verb="delete_batch")
    assert (told.batch, told.actor, told.reason, told.data["jobs"]) == (batch, lead, "Test data.", len(jobs))
    for job in Job.objects.all():
        for verb in ("retry", "requeue"):
            with pytest.raises(Conflict):
                move(job, verb, actor=people.root, target=Stage.INGESTION if verb == "requeue" else None)
    for verb in ("delete", "archive"):
        with pytest.raises(Conflict, match="deleted"):
            act(people.root, batch, verb)


def test_the_ids_of_a_deleted_batch_are_free_again(people, batch, blue):
    make_job(batch, job_id="PC-1")
    act(people.root, batch, "delete")
    make_job(Batch.objects.create(team=blue, name="Again", created_by=people.olga), job_id="PC-1")


@pytest.mark.django_db(transaction=True)
def test_whoever_deletes_while_others_start_and_retry_leaves_no_work_behind():
    team = Team.objects.create(name="Racers", slug="racers")
    root = make_person("boss")
    root.is_superuser = True
    root.save()
    for _ in range(6):
        batch = Batch.objects.create(team=team, created_by=root)
        jobs = [make_job(batch), make_job(batch, state=State.CANCELLED), make_job(batch, state=State.FAILED)]
        start = threading.Barrier(4)

        def run(*calls, start=start):
            try:
                start.wait(timeout=30)
                for call in calls:
                    try:
                        call()
                    except Conflict:
                        continue
            finally:
                connection.close()

        doers = [
            [lambda batch=batch: act(root, batch, "delete")],
            [lambda batch=batch: act(root, batch, "start")],
            [lambda job=jobs[1]: move(job, "retry", actor=root)],
            [lambda batch=batch: act(root, batch, "retry")],
        ]
        threads = [threading.Thread(target=run, args=calls) for calls in doers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        batch.refresh_from_db()
        live = StageRun.objects.filter(batch=batch, state="queued").exists()
        at_work = batch.jobs.filter(state__in=["queued", "running"]).exists()
        assert not (batch.deleted_at and (live or at_work))


def test_many_batches_each_by_itself(people, blue, batch):
    other = Batch.objects.create(team=blue, name="Over", created_by=people.olga)
    make_job(batch)
    done = act_on_many(people.olga, [batch, other], "cancel")
    assert [one for one, _ in done.done] == [batch]
    assert (
        done.text
        == "Spring: 1 job cancelled. Not possible for 1: Over: every job is over already, there is nothing to cancel."
    )
    with pytest.raises(Conflict):
        act_on_many(people.olga, [other], "cancel")
    with pytest.raises(Invalid, match="Tick"):
        act_on_many(people.olga, [], "cancel")
    with pytest.raises(NotAllowed):
        act_on_many(people.vera, [batch, other], "cancel")


def test_too_many_at_once_are_refused_before_any_is_touched(people, batch, monkeypatch):
    monkeypatch.setattr("batches.verbs.MOST_BATCHES", 1)
    make_job(batch)
    with pytest.raises(Invalid, match="at most 1"):
        act_on_many(people.olga, [batch, batch], "start")
    assert batch.jobs.get().state == "pending"
