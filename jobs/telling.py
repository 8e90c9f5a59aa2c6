"""Who of a team is told of what, and how: by mail at once, in the daily digest, in the bell.

All is written in the caller's transaction.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now
from django.urls import reverse

from jobs import clock
from jobs.compiled import Objects, Rows, given
from jobs.models import Delivery, Event, Job, MailSwitch, Membership, Notice, NoticeChoice
from jobs.models.notice import COUNTED, DAILY_AT_FIRST, IN_BELL_AT_FIRST, MAILED_WHEREVER_ON
from jobs.states import Role, Stage, State, public_state

MOST_REASON_CHARACTERS = 2_000
TOLD_ROLES = {
    "job.awaiting_review": Role.REVIEWER,
    "job.awaiting_approval": Role.APPROVER,
    "job.failed": Role.OPERATOR,
    "batch.sheet_changed": Role.OPERATOR,
    "errand.failed": Role.OPERATOR,
    "delivery.dead": Role.OPERATOR,
}
"""Who decides next; everything else is told to everybody in the team."""
PAGES = {"errand.failed": ("admin:dead_letters", ""), "delivery.dead": ("admin:deliveries", "?state=dead")}
"""Where it is looked at, what is about no job and no batch."""
MENTION = re.compile(r"(?<![\w.+@-])@([\w.@+-]+)")

_MAIL = Objects(lambda: MailSwitch.objects.filter(team=given(MailSwitch, "team"), active=True)[:1])
_CHOICES = Rows(
    lambda: NoticeChoice.objects.filter(
        name=given(NoticeChoice, "name"), user__memberships__team=given(Membership, "team")
    ).values_list("user_id", "mail", "bell")
)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What is told: ``job`` is the one that it is about, or the one that ended the batch; None for what is no job's."""

    name: str
    event: Event
    job: Job | None
    facts: dict[str, Any]

    @property
    def team_id(self) -> int:
        return self.event.team_id

    @property
    def batch_id(self) -> int | None:
        return None if self.job is None else self.job.batch_id

    @property
    def about_job(self) -> Job | None:
        return None if self.name.startswith("batch.") else self.job

    def delivery(self, **receiver: Any) -> Delivery:
        """A row of the outbox, not saved."""
        return Delivery(
            team_id=self.team_id,
            name=self.name,
            event=self.event,
            job=self.about_job,
            batch_id=self.batch_id,
            payload={"type": self.name, "timestamp": self.event.at.isoformat(), "data": self.facts},
            available_at=Now(),
            **receiver,
        )


def tell_members(told: Told) -> list[Delivery]:
    """Tells the members whom it concerns. Writes their notices; the mails are returned, for the caller to write."""
    switch = _MAIL.first(team=told.team_id)
    choices = _choices(told)
    at_first = told.name in IN_BELL_AT_FIRST or (switch is not None and told.name in switch.events)
    if not at_first and not choices:
        return []
    members = Membership.objects.filter(team_id=told.team_id)
    if told.name in TOLD_ROLES:
        members = members.filter(role=TOLD_ROLES[told.name])
    return _tell(told, members, switch, choices)


def tell(told: Told, people: Collection[int]) -> None:
    """Tells those members of the team, by the keys of their users."""
    if not people:
        return
    members = Membership.objects.filter(team_id=told.team_id, user__in=people)
    switch = _MAIL.first(team=told.team_id)
    Delivery.objects.bulk_create(_tell(told, members, switch, _choices(told)))


def _choices(told: Told) -> dict[int, tuple[str, bool]]:
    return {user: (mail, bell) for user, mail, bell in _CHOICES.all(name=told.name, team=told.team_id)}


def _tell(told: Told, members: Any, switch: MailSwitch | None, choices: dict[int, tuple[str, bool]]) -> list[Delivery]:
    at_first = _mail_at_first(told.name, switch)
    people = members.filter(user__is_active=True, user__integration=None)
    addresses: set[str] = set()
    notices: dict[int, tuple[bool, bool]] = {}
    for user, address in people.values_list("user_id", "user__email").distinct().order_by("user_id"):
        mail, bell = choices.get(user, (NoticeChoice.AS_TEAM, told.name in IN_BELL_AT_FIRST))
        mail = mail or at_first
        reachable = bool(switch and address)
        if reachable and mail == NoticeChoice.NOW:
            addresses.add(address)
        digest = reachable and mail == NoticeChoice.DAILY
        if bell or digest:
            notices[user] = (bell, digest)
    _write_notices(told, notices)
    return [
        told.delivery(channel=Delivery.EMAIL, recipient=address, lane=Delivery.EMAIL) for address in sorted(addresses)
    ]


def _mail_at_first(name: str, switch: MailSwitch | None) -> str:
    if switch is None or name not in (*switch.events, *MAILED_WHEREVER_ON):
        return NoticeChoice.NEVER
    return NoticeChoice.DAILY if name in DAILY_AT_FIRST else NoticeChoice.NOW


def _write_notices(told: Told, wanted: dict[int, tuple[bool, bool]]) -> None:
    """``wanted``: by the keys of users, whether it goes into the bell and into the digest."""
    changes: dict[str, Any] = {
        "event": told.event,
        "job": told.about_job,
        "facts": told.facts,
        "told_at": clock.now(),
    }
    left = dict(wanted)
    if told.name in COUNTED:
        unread = Notice.objects.filter(
            user__in=wanted, team=told.team_id, name=told.name, batch=told.batch_id, read_at=None
        ).select_for_update(no_key=True)
        for notice in unread.order_by("pk"):
            if left.get(notice.user_id) == (notice.in_bell, notice.for_digest):
                Notice.objects.filter(pk=notice.pk).update(times=F("times") + 1, **changes)
                del left[notice.user_id]
    Notice.objects.bulk_create(
        Notice(
            user_id=user,
            team_id=told.team_id,
            name=told.name,
            batch_id=told.batch_id,
            in_bell=bell,
            for_digest=digest,
            **changes,
        )
        for user, (bell, digest) in left.items()
    )


def count_again(name: str, team_id: int) -> None:
    """Adds one to what the team's members were told of the kind and have not read. Nobody is told anew."""
    Notice.objects.filter(team=team_id, name=name, batch=None, read_at=None).update(times=F("times") + 1)


def tell_assigned(event: Event, job: Job) -> None:
    """Tells the person whom a job was given to by somebody else."""
    if job.assignee_id is not None and job.assignee_id != event.actor_id:
        tell(Told(name="job.assigned", event=event, job=job, facts=job_facts(event, job)), [job.assignee_id])


def tell_mentioned(event: Event, job: Job) -> None:
    """Tells the members of the team whom the words of an event name as @username."""
    names: set[str] = set()
    for found in MENTION.findall(event.reason):
        names |= {found, found.rstrip(".@+-")}  # a name may end in a dot, as a sentence does
    if not names:
        return
    members = Membership.objects.filter(team_id=job.team_id, user__username__in=names).exclude(user=event.actor_id)
    people = sorted(set(members.values_list("user_id", flat=True)))
    tell(Told(name="job.mentioned", event=event, job=job, facts=job_facts(event, job)), people)


def job_facts(event: Event, job: Job) -> dict[str, Any]:
    facts = {
        "team": job.team.slug,
        "batch": batch_facts(job),
        "job": {
            "id": job.pk,
            "job_id": job.job_id,
            "output_name": job.output_name,
            "client_name": job.client_name,
            "project_name": job.project_name,
            "stage": Stage(job.stage).name.lower(),
            "state": public_state(Stage(job.stage), State(job.state)),
            "version": job.version,
            "bytes_in": job.bytes_in,
            "bytes_out": job.bytes_out,
        },
        "reason": event.reason[:MOST_REASON_CHARACTERS],
    }
    if event.version is None and event.actor is not None:
        facts["by"] = event.actor.get_short_name() or event.actor.get_username()
    return facts


def batch_facts(job: Job) -> dict[str, Any]:
    batch = job.batch
    return {
        "id": batch.pk,
        "name": batch.name,
        "directory_name": batch.directory_name,
        "external_ids": dict(batch.external_ids.values_list("key", "value")),
    }


def address_of(job_id: int | None, batch_id: int | None, name: str = "") -> str:
    """Where a notice of that name is looked at, or a job, or else a batch, or else the dashboard: an absolute URL."""
    return f"{settings.SITE_URL.rstrip('/')}{path_of(job_id, batch_id, name)}"


def path_of(job_id: int | None, batch_id: int | None, name: str = "") -> str:
    if name in PAGES:
        page, query = PAGES[name]
        return f"{reverse(page)}{query}"
    if job_id is not None:
        return reverse("admin:job", args=[job_id])
    return reverse("admin:index") if batch_id is None else reverse("admin:batch", args=[batch_id])
