"""Keeps a machine away from a stage that it failed three times in a row for its own reasons.

Its own reasons are a crash, memory, time and I/O, on three different jobs: one job that fails everywhere accuses
itself. A file that is wrong, and a worker that was killed from outside, say nothing about the machine.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now

from jobs import workers
from jobs.errors import Conflict
from jobs.lifecycle import annotate
from jobs.log_context import bound
from jobs.models import Attempt, Event, StageBlock, Worker
from jobs.states import Stage, queue_of

logger = logging.getLogger(__name__)

IN_A_ROW = 3
OWN_REASONS = frozenset({"crash", "memory", "time", "transient"})
NEUTRAL_REASONS = frozenset({"worker"})
RECENT_ATTEMPTS = 5_000
"""Attempts that are looked through, so that a judgement costs as much with a million attempts as with thousands."""


def judge(machine: str, stage: Stage) -> StageBlock | None:
    """Blocks a machine from a stage when its last attempts say so; called after a failure.

    The last machine that serves a stage is not blocked, since then nobody would work; that is told all the same.
    """
    row = _failures_in_a_row(machine, stage)
    if len({attempt.run_id for attempt in row}) < IN_A_ROW:
        return None
    others = _others_serve(machine, stage)
    words = f"{machine} failed {stage.label.lower()} for {IN_A_ROW} jobs in a row, last: {row[0].error}"[:2000]
    words += "" if others else " It goes on, as nobody else serves the stage."
    # Not Now() + 0 s: SQLite writes a sum with more digits, which in the same millisecond is later, as text.
    until = Now() + timedelta(seconds=settings.STAGE_BLOCK_SECONDS) if others else Now()
    with transaction.atomic():
        block, _ = StageBlock.objects.update_or_create(
            machine=machine,
            stage=stage,
            defaults={
                "reason": words,
                "blocked_at": Now(),
                "until": until,
                "after_attempt_id": row[0].pk,
                "lifted_by": None,
            },
        )
        verb = "block_machine" if others else "suspect_machine"
        annotate(row[0].run.job, verb, reason=words, data={"machine": machine, "stage": stage.label})
    last = row[0].run
    with bound(request=last.request_id, job=last.job.job_id, run=last.pk, attempt=row[0].pk):
        logger.error(words)
    return block


def lift(user: User, block: StageBlock) -> None:
    """Lets the machine work on the stage again, as the history of every team says.

    Raises NotAllowed for others than leads, Conflict when it may.
    """
    workers.require_lead(user)
    stage = block.get_stage_display().lower()
    with transaction.atomic():
        if not workers.blocks().filter(pk=block.pk).update(until=Now(), lifted_by=user):
            raise Conflict(f"{block.machine} may work on {stage} already.", state="lifted")
        Event.tell_every_team("lift_block", actor=user, what=f"{block.machine}: {stage}")


def _failures_in_a_row(machine: str, stage: Stage) -> list[Attempt]:
    """The machine's newest attempts at the stage up to the first that was no failure of its own; newest first."""
    newest = Attempt.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    forgiven = StageBlock.objects.filter(machine=machine, stage=stage).values_list("after_attempt_id", flat=True)
    since = max(newest - RECENT_ATTEMPTS, *forgiven, 0)
    ended = Attempt.objects.filter(
        pk__gt=since, worker__startswith=f"{machine}:", run__stage=stage, outcome__in=("done", "failed")
    ).exclude(error_class__in=NEUTRAL_REASONS)
    row = []
    for attempt in ended.select_related("run__job").defer("log", "run__result", "run__metrics").order_by("-pk"):
        if attempt.error_class not in OWN_REASONS:
            break
        row.append(attempt)
        if len({attempt.run_id for attempt in row}) == IN_A_ROW:
            break
    return row


def _others_serve(machine: str, stage: Stage) -> bool:
    """Whether another machine is there that may work on the stage."""
    blocked = workers.blocks().filter(stage=stage).values("machine")
    others = workers.present().filter(state=Worker.ACTIVE, is_silent=False)
    others = others.exclude(machine=machine).exclude(machine__in=blocked)
    return any(queue_of(stage) in worker.capacity for worker in others)
