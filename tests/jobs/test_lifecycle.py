"""jobs.lifecycle"""
from jobs.lifecycle import move
from jobs.models import StageRun


def test_start_queues_a_run_with_a_ticket(job, people):
    move(job, "start", actor=people.olga)
    assert (job.state, job.version) == ("queued", 1)
    assert job.runs.get().state == StageRun.QUEUED
    from django_q.models import OrmQ
    assert OrmQ.objects.count() == 1
