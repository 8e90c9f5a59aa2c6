"""How a run ends badly: queued again after a delay, or given up, as the policy of its error's class says."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from jobs.attempt_log import MOST_BYTES
from jobs.claims import Lease
from jobs.compiled import Update, given
from jobs.errors import LeaseLost
from jobs.fingerprints import fingerprint
from jobs.lifecycle import move
from jobs.log_context import bound
from jobs.models import Attempt, StageRun
from jobs.retries import POLICIES, Policy
from jobs.sandbox import StageFailed

logger = logging.getLogger(__name__)


def fail(lease: Lease, error: StageFailed) -> bool:
    """Queues the run again with a delay, or gives it up. Does nothing when the lease is gone, and returns False."""
    run = StageRun.objects.select_related("job").get(pk=lease.run_id)
    # Who takes back the work of others, such as the sweep, has none of its ids.
    with bound(request=run.request_id, job=run.job.job_id, run=run.pk, attempt=lease.attempt_id):
        try:
            with transaction.atomic():
                _settle(run, lease, error)
        except LeaseLost:
            logger.info("run %s: failed after its lease was gone: %s", lease.run_id, error)
            return False
    return True


def _settle(run: StageRun, lease: Lease, error: StageFailed) -> None:
    policy = POLICIES[error.error_class]
    again = policy.tries_again(_times(run, policy))
    changes = _again(run, policy, error) if again else _given_up(run, error)
    settled = StageRun.objects.filter(pk=run.pk, token=lease.token, state=StageRun.RUNNING).update(
        token=None,
        lease_owner="",
        lease_expires_at=None,
        crashes=F("crashes") + (1 if error.error_class in {"crash", "worker"} else 0),
        error=str(error),
        error_class=error.error_class,
        **changes,
    )
    if not settled:
        raise LeaseLost
    logger.warning("attempt %d failed (%s): %s", run.attempts, error.error_class, error)
    close_attempt(lease, outcome="failed", error=error)
    data = {"error_class": error.error_class, "attempt": run.attempts}
    if not again:
        # What failed before with other inputs is history: a job is among the dead letters once.
        older = StageRun.objects.filter(job_id=run.job_id, state=StageRun.FAILED).exclude(pk=run.pk)
        older.update(state=StageRun.DROPPED)
    move(run.job, "give_back" if again else "fail", reason=str(error)[:2000], data=data)


def _times(run: StageRun, policy: Policy) -> int:
    """Which failure of its kind this is, from 1. What wants the heavy queue has its attempt there also when something
    else failed before; everything else counts all attempts."""
    if policy.queue is None:
        return run.attempts
    uncounted = [name for name, other in POLICIES.items() if not other.counted]
    # This attempt, which has no class yet, and those before it since a person last began the count anew.
    counted = run.tries.exclude(error_class__in=uncounted).order_by("-pk")[: run.attempts]
    classes = counted.values_list("error_class", flat=True)
    return 1 + sum(POLICIES[one].queue == policy.queue for one in classes if one)


def _again(run: StageRun, policy: Policy, error: StageFailed) -> dict[str, Any]:
    delay = policy.wait_seconds(max(run.attempts, 1), asked=error.retry_after_seconds)
    return {
        "state": StageRun.QUEUED,
        "available_at": Now() + timedelta(seconds=delay),
        "attempts": F("attempts") if policy.counted else F("attempts") - 1,
        "queue": policy.queue or run.queue,
        "step": "waiting for the next attempt",
    }


def _given_up(run: StageRun, error: StageFailed) -> dict[str, Any]:
    return {
        "state": StageRun.FAILED,
        "ended_at": Now(),
        "fingerprint": fingerprint(run.stage, error.error_class, str(error)),
        "step": "failed",
    }


_CLOSED = Update(
    lambda: Attempt.objects.filter(pk=given(Attempt, "id")),
    lambda: {
        "ended_at": Now(),
        **{column: given(Attempt, column) for column in ("outcome", "error_class", "error", "log")},
    },
)


def close_attempt(lease: Lease, *, outcome: str, error: StageFailed | None = None, log: str = "") -> None:
    _CLOSED(
        id=lease.attempt_id,
        outcome=outcome,
        error_class=error.error_class if error else "",
        error=str(error) if error else "",
        log=error.log[-MOST_BYTES:] if error else log,
    )
