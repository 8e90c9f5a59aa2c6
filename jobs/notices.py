"""The outbox: what happens to jobs is told outside by webhook and e-mail, at least once.

``announce`` writes a row per receiver in the transaction of the change, so that neither exists without the other;
``deliver_due`` sends what is due, from any number of processes. An id stays with a row over all its attempts.
"""

from __future__ import annotations

import logging
import smtplib
import uuid
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Now

from jobs import clock, webhooks
from jobs.compiled import Objects, given
from jobs.encryption import WrongKey
from jobs.errors import Conflict
from jobs.log_context import bound, bound_request
from jobs.mails import message_of
from jobs.models import Delivery, Event, Job, Notice, WebhookEndpoint
from jobs.models.notice import TEST, new_encrypted_secret
from jobs.retries import Policy
from jobs.states import State
from jobs.telling import (
    MOST_REASON_CHARACTERS,
    Told,
    address_of,
    batch_facts,
    count_again,
    job_facts,
    tell_members,
)
from jobs.webhooks import Answer

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from jobs.models import Errand, Team

logger = logging.getLogger(__name__)

POLICY = Policy(attempts=12, first_seconds=1.0, factor=3.0, most_seconds=3600.0)
OLD_SECRET_HOURS = 24
OLD_NEWS = timedelta(days=1)
"""So long a receiver that takes nothing is told of once."""
UNTOLD = (TEST, "delivery.dead")
HOLD_SECONDS = 120
"""How long a row belongs to the one who sends it; then it is due again."""

BY_STATE = {
    "failed": "job.failed",
    "awaiting_review": "job.awaiting_review",
    "awaiting_approval": "job.awaiting_approval",
    "validation_failed": "job.validation_failed",
    "completed": "job.deployed",
}
"""The notice of each public state that somebody outside wants to hear of."""
SETTLED = frozenset({State.DONE, State.FAILED, State.CANCELLED})


# Writing ------------------------------------------------------------------------------------------------------------
_ENDPOINTS = Objects(lambda: WebhookEndpoint.objects.filter(team=given(WebhookEndpoint, "team"), active=True))


def announce(event: Event, job: Job) -> int:
    """Writes the deliveries that a move of a job leads to, in the caller's transaction. Returns how many."""
    if event.to_public == event.from_public:
        return 0
    settles = event.to_state in SETTLED
    name = BY_STATE.get(event.to_public)
    if name is None and not settles:
        return 0
    endpoints = _ENDPOINTS.all(team=job.team_id)
    # First, for it locks the batch: what two jobs of it tell the same person is counted by one after the other.
    ending = _batch_ending(job) if settles else None
    rows = _rows(name, event, job, endpoints, job_facts(event, job)) if name else []
    if ending is not None:
        batch_name, facts = ending
        rows += _rows(batch_name, event, job, endpoints, facts)
    Delivery.objects.bulk_create(rows)
    return len(rows)


def _rows(
    name: str, event: Event, job: Job | None, endpoints: list[WebhookEndpoint], facts: dict[str, Any]
) -> list[Delivery]:
    told = Told(name=name, event=event, job=job, facts=facts)
    posts = [
        told.delivery(channel=Delivery.WEBHOOK, endpoint=endpoint, lane=_lane(endpoint))
        for endpoint in endpoints
        if name in endpoint.events
    ]
    return posts + tell_members(told)


def _lane(endpoint: WebhookEndpoint) -> str:
    return f"{Delivery.WEBHOOK}-{endpoint.pk}"


def _batch_ending(job: Job) -> tuple[str, dict[str, Any]] | None:
    """The notice about the job's batch when the job was its last one to settle.

    The batch's row is locked first: of two jobs that settle in the same moment, the second sees the first.
    """
    batches = type(job.batch)._default_manager
    batches.select_for_update(no_key=True).get(pk=job.batch_id)
    unsettled = [state for state in State if state not in SETTLED]
    if Job.objects.filter(batch_id=job.batch_id, state__in=unsettled).exists():
        return None
    by_state = Job.objects.filter(batch_id=job.batch_id).order_by().values("state")
    rows = list(by_state.annotate(jobs=Count("pk"), bytes_in=Sum("bytes_in"), bytes_out=Sum("bytes_out")))
    counts = Counter({row["state"]: row["jobs"] for row in rows})
    done, failed = counts[State.DONE], counts[State.FAILED]
    if not done and not failed:
        return None  # cancelled as a whole: whoever did it knows
    name = "batch.failed" if not done else "batch.completed_with_errors" if failed else "batch.completed"
    return name, {
        "team": job.team.slug,
        "batch": batch_facts(job),
        "jobs": {"completed": done, "failed": failed, "cancelled": counts[State.CANCELLED]},
        "bytes_in": sum(row["bytes_in"] for row in rows),
        "bytes_out": sum(row["bytes_out"] for row in rows),
    }


def announce_errand(errand: Errand, *, error: str, failed: int) -> None:
    """Tells that an errand was given up, in the caller's transaction. ``failed`` counts those of the team that wait."""
    event = Event.objects.create(
        team_id=errand.team_id, verb="fail_errand", reason=error[:MOST_REASON_CHARACTERS], data={"what": errand.label}
    )
    facts = {
        "team": errand.team.slug,
        "what": errand.label,
        "errand": {"id": errand.pk, "kind": errand.kind, "attempts": errand.attempts},
        "failed": failed,
        "reason": event.reason,
    }
    Delivery.objects.bulk_create(_rows("errand.failed", event, None, _ENDPOINTS.all(team=errand.team_id), facts))


def _announce_dead(delivery: Delivery, answer: Answer) -> None:
    """Tells people that a receiver did not take a delivery: once, until it takes another. Never by webhook.

    Of what tells of dead deliveries, and of tests, nobody is told: that would go round in circles.
    """
    if delivery.name in UNTOLD:
        return
    alike = Delivery.objects.filter(team=delivery.team_id, channel=delivery.channel, endpoint=delivery.endpoint)
    dead = alike.filter(state=Delivery.DEAD).exclude(name__in=UNTOLD)
    newest = dead.filter(last_at__gte=Now() - OLD_NEWS).exclude(pk=delivery.pk).order_by("-last_at").first()
    if newest is not None and not alike.filter(state=Delivery.DELIVERED, last_at__gt=newest.last_at).exists():
        count_again("delivery.dead", delivery.team_id)
        return
    at = "e-mail" if delivery.endpoint is None else delivery.endpoint.label
    reason = f"{delivery.name}: {answer.text}"[:MOST_REASON_CHARACTERS]
    event = Event.objects.create(team_id=delivery.team_id, verb="give_up_delivery", reason=reason, data={"what": at})
    facts = {
        "team": delivery.team.slug,
        "what": at,
        "delivery": {"id": delivery.pk, "name": delivery.name, "attempts": delivery.attempts},
        "failed": dead.count(),
        "waiting": alike.filter(state=Delivery.WAITING).count(),
        "reason": reason,
    }
    told = Told(name="delivery.dead", event=event, job=None, facts=facts)
    Delivery.objects.bulk_create(tell_members(told))


def announce_test(endpoint: WebhookEndpoint) -> Delivery:
    """A delivery that tells of nothing, to try an endpoint out. Raises Conflict when the endpoint is switched off."""
    if not endpoint.active:
        raise Conflict(f"{endpoint.url} is switched off. Switch it on to test it.")
    return Delivery.objects.create(
        team_id=endpoint.team_id,
        name=TEST,
        channel=Delivery.WEBHOOK,
        endpoint=endpoint,
        lane=_lane(endpoint),
        available_at=Now(),
        payload={"type": TEST, "timestamp": clock.now().isoformat(), "data": {"team": endpoint.team.slug}},
    )


def newest_test(endpoint: WebhookEndpoint) -> Delivery | None:
    """The last test of an endpoint, whatever became of it."""
    return Delivery.objects.filter(endpoint=endpoint, name=TEST).order_by("-id").first()


def rotate_secret(user: User, endpoint: WebhookEndpoint) -> None:
    """Gives an endpoint a new secret. For a day everything is signed with the old one too, so that no message is lost.

    Written into the history, without the secret. Raises Conflict while the day of an earlier rotation lasts: a second
    one would make the secret invalid that the receiver may still know alone.
    """
    fresh = {
        "encrypted_old_secret": F("encrypted_secret"),
        "old_secret_until": Now() + timedelta(hours=OLD_SECRET_HOURS),
        "encrypted_secret": new_encrypted_secret(),
    }
    over = Q(old_secret_until=None) | Q(old_secret_until__lte=Now())
    with transaction.atomic():
        if not WebhookEndpoint.objects.filter(over, pk=endpoint.pk).update(**fresh):
            raise Conflict(f"The secret of {endpoint.url} was changed within the last {OLD_SECRET_HOURS} h.")
        Event.objects.create(
            team_id=endpoint.team_id,
            verb="rotate_secret",
            actor=user,
            data={"what": endpoint.label},
        )
    endpoint.refresh_from_db()


def announce_test_mail(team: Team, address: str) -> Delivery:
    """An e-mail that tells of nothing. Raises Conflict when one is on its way there already."""
    if Delivery.objects.filter(name=TEST, recipient=address, state=Delivery.WAITING).exists():
        raise Conflict(f"A test is on its way to {address} already.")
    return Delivery.objects.create(
        team=team,
        name=TEST,
        channel=Delivery.EMAIL,
        recipient=address,
        lane=Delivery.EMAIL,
        available_at=Now(),
        payload={"type": TEST, "timestamp": clock.now().isoformat(), "data": {"team": team.slug}},
    )


def replay(delivery: Delivery) -> None:
    """Sends a delivery again, under its id. Raises Conflict when it is waiting to be sent anyway."""
    if not _queue_again(Delivery.objects.filter(pk=delivery.pk).exclude(state=Delivery.WAITING)):
        raise Conflict("This delivery is waiting to be sent already.", state=Delivery.WAITING)


def replay_dead(team: Team) -> int:
    """Sends all dead deliveries of a team again. Returns how many."""
    return _queue_again(Delivery.objects.filter(team=team, state=Delivery.DEAD))


def _queue_again(deliveries: Any) -> int:
    return int(
        deliveries.update(
            state=Delivery.WAITING, attempts=0, available_at=Now(), token=None, request_id=bound_request()
        )
    )


# Sending ------------------------------------------------------------------------------------------------------------
def deliver_due(limit: int = 50) -> int:
    """Sends up to ``limit`` due deliveries, oldest first. Returns how many attempts were made.

    Never two at a time to one receiver, whoever else sends: a receiver that hangs holds up its own lane alone.
    """
    for done in range(limit):
        delivery = _claim()
        if delivery is None:
            return done
        with bound(**_named(delivery)):
            _settle(delivery, _send(delivery))
    return limit


def _named(delivery: Delivery) -> dict[str, str]:
    """What the log lines of a delivery name: the request that led to it, and the job, where it is about one."""
    return {"request": delivery.request_id, "job": delivery.job.job_id if delivery.job is not None else ""}


def _claim() -> Delivery | None:
    """Takes the oldest due row. The attempt is counted before it is made; a sender that dies leaves the row due."""
    for _ in range(10):
        waiting = Delivery.objects.filter(state=Delivery.WAITING)
        under_way = waiting.filter(token__isnull=False, available_at__gt=Now()).values("lane")
        due = waiting.filter(available_at__lte=Now()).exclude(lane__in=under_way)
        due = due.filter(Q(endpoint__isnull=True) | Q(endpoint__active=True))
        delivery = due.select_related("endpoint", "team", "job").order_by("available_at", "id").first()
        if delivery is None:
            return None
        token = uuid.uuid4()
        taken = Delivery.objects.filter(
            pk=delivery.pk, state=Delivery.WAITING, available_at__lte=Now(), attempts=delivery.attempts
        ).update(
            token=token,
            attempts=F("attempts") + 1,
            available_at=Now() + timedelta(seconds=HOLD_SECONDS),
            last_at=Now(),
        )
        if taken:
            delivery.token = token
            delivery.attempts += 1
            return delivery
    return None


def _send(delivery: Delivery) -> Answer:
    if delivery.endpoint is None:
        return _send_mail(delivery)
    payload = {
        **delivery.payload,
        "data": {**delivery.payload["data"], "url": address_of(delivery.job_id, delivery.batch_id, delivery.name)},
    }
    endpoint = delivery.endpoint
    try:
        secrets = endpoint.secrets
    except WrongKey as error:
        return Answer(status=None, text=f"not sent: {error}")
    return webhooks.send(endpoint.url, secrets, message_id=delivery.message_id, sent_at=clock.now(), payload=payload)


def _send_mail(delivery: Delivery) -> Answer:
    try:
        message_of(delivery).send()
    except (OSError, smtplib.SMTPException, ValueError) as error:
        return Answer(status=getattr(error, "smtp_code", None), text=f"{type(error).__name__}: {error}")
    return Answer(status=250, text="accepted")


def _settle(delivery: Delivery, answer: Answer) -> None:
    changes: dict[str, Any] = {"token": None, "last_status": answer.status, "last_answer": answer.text[:2_000]}
    if answer.is_accepted:
        changes["state"] = Delivery.DELIVERED
    elif delivery.attempts >= POLICY.attempts or answer.is_gone:
        changes["state"] = Delivery.DEAD
    else:
        wait = POLICY.delay_seconds(delivery.attempts)
        asked = min(answer.retry_after_seconds or 0.0, POLICY.most_seconds)
        changes["available_at"] = Now() + timedelta(seconds=max(wait, asked))
    with transaction.atomic():
        kept = Delivery.objects.filter(pk=delivery.pk, token=delivery.token).update(**changes)
        if kept and changes.get("state") == Delivery.DEAD:
            _announce_dead(delivery, answer)
        if kept and answer.is_gone and delivery.endpoint is not None:
            _switch_off(delivery.endpoint)
    if not kept:
        return  # it took so long that somebody else sends it now
    level = logging.INFO if answer.is_accepted else logging.WARNING
    words = "delivered" if answer.is_accepted else "dead" if "state" in changes else "will be tried again"
    # Addresses of receivers carry keys of theirs at times: the lane names the endpoint well enough.
    logger.log(
        level,
        "%s msg_%s by %s: %s, attempt %d: %s",
        delivery.name,
        delivery.message_id.hex,
        delivery.lane,
        words,
        delivery.attempts,
        f"{answer.status or ''} {answer.text[:200]}".strip(),
    )


def _switch_off(endpoint: WebhookEndpoint) -> None:
    """A receiver that is gone is asked no more; what waits for it waits until somebody switches it on. In the history.

    Its address is not named: it may carry a key.
    """
    if WebhookEndpoint.objects.filter(pk=endpoint.pk, active=True).update(active=False):
        Event.objects.create(
            team_id=endpoint.team_id,
            verb="switch_off_endpoint",
            reason=f"It answered {webhooks.GONE} Gone. Switch it on under Manage when it is back.",
            data={"what": endpoint.label},
        )


def forget_old() -> int:
    """Deletes deliveries that ended and notices that were told more than NOTICE_DAYS ago. Returns how many."""
    long_ago = clock.now() - timedelta(days=settings.NOTICE_DAYS)
    ended = Delivery.objects.filter(created_at__lt=long_ago).exclude(state=Delivery.WAITING)
    told = Notice.objects.filter(told_at__lt=long_ago, for_digest=False)
    return ended.delete()[0] + told.delete()[0]
