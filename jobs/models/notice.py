"""Events that leave the house: who is told by webhook or e-mail, and every single delivery."""

from __future__ import annotations

import base64
import secrets
import uuid
from contextlib import suppress
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from jobs import clock
from jobs.encryption import WrongKey, decrypt, encrypt
from jobs.log_context import bound_request
from jobs.models.event import Event
from jobs.models.job import Job
from jobs.models.team import Team
from jobs.outbound import Refused, check_url
from jobs.teams import MachineQuerySet, TeamQuerySet

NOTICE_NAMES = {
    "batch.completed": "A batch is complete",
    "batch.completed_with_errors": "A batch is complete with errors",
    "batch.failed": "A batch failed",
    "job.failed": "A job failed",
    "job.awaiting_review": "A job awaits review",
    "job.awaiting_approval": "A job awaits approval",
    "job.validation_failed": "A job failed validation",
    "job.deployed": "A job was deployed",
    "errand.failed": "An errand failed",
}
PERSONAL_NAMES = {
    "job.assigned": "A job was assigned to you",
    "job.mentioned": "You were mentioned in a comment",
    "job.waiting": "A job has waited too long",
}
"""What one person is told because it concerns them."""
INNER_NAMES = {"batch.sheet_changed": "A linked sheet has changed", "delivery.dead": "A delivery was given up"}
"""What members are told, and no webhook is: it waits for somebody to look."""
PEOPLES_NAMES = {**NOTICE_NAMES, **PERSONAL_NAMES, **INNER_NAMES}
TEST, DIGEST = "test", "digest"
IN_BELL_AT_FIRST = frozenset(
    {
        *("batch.completed", "batch.completed_with_errors", "batch.failed", "job.failed", "errand.failed"),
        *PERSONAL_NAMES,
        *INNER_NAMES,
    }
)
COUNTED = {
    "job.failed": "jobs failed",
    "job.assigned": "jobs were assigned to you",
    "job.waiting": "jobs have waited too long",
    "errand.failed": "errands failed",
    "delivery.dead": "deliveries were given up",
}
"""Told once a batch (or a team, of what is no batch's), with a number, until read: nobody reads a thousand notices."""
DAILY_AT_FIRST = frozenset({"job.waiting"})
"""Mailed once a day where the team's mail is on: many jobs become overdue together."""
MAILED_AT_FIRST = ["batch.completed", "batch.completed_with_errors", "batch.failed", "errand.failed"]
MAILED_WHEREVER_ON = frozenset({*PERSONAL_NAMES, "delivery.dead"})
"""Mailed where the team's mail is on, whatever it names: no switch names them."""


def all_names() -> list[str]:
    return list(NOTICE_NAMES)


def names_mailed_at_first() -> list[str]:
    """Mails about every single job of a large batch are what nobody reads: they are chosen, not given."""
    return list(MAILED_AT_FIRST)


def new_secret() -> str:
    """A signing secret in the form of Standard Webhooks: 32 random bytes in Base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def new_encrypted_secret() -> str:
    return encrypt(new_secret())


def check_secret(secret: str) -> None:
    """Raises ValidationError unless the secret is 24 to 64 bytes in Base64, with or without ``whsec_``."""
    try:
        size = len(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
    except ValueError:
        size = 0
    if not 24 <= size <= 64:
        raise ValidationError("A secret is whsec_ and 24 to 64 random bytes in Base64.")


def check_names(names: object) -> None:
    """Raises ValidationError unless it is a list of names of notices."""
    if not isinstance(names, list) or not set(names) <= set(NOTICE_NAMES):
        raise ValidationError(f"Choose from: {', '.join(NOTICE_NAMES)}.")


class WebhookEndpoint(models.Model):
    """An address outside that a team's events are sent to, signed with its secret. ``events`` are names of notices.

    The secrets are in the database in encrypted form alone (``jobs.encryption``).
    """

    TEAM_FIELD = "team"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="webhook_endpoints")
    url = models.URLField(max_length=500)
    encrypted_secret = models.TextField(default=new_encrypted_secret, editable=False)
    encrypted_old_secret = models.TextField(blank=True, editable=False)
    old_secret_until = models.DateTimeField(null=True, editable=False)
    events = models.JSONField(default=all_names, validators=[check_names])
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    objects = TeamQuerySet["WebhookEndpoint"].as_manager()

    class Meta:
        ordering = ["team_id", "id"]
        constraints = [models.UniqueConstraint(fields=["team", "url"], name="one_endpoint_per_team_and_url")]

    def __str__(self) -> str:
        return self.url

    @property
    def label(self) -> str:
        """For people and the history, with the host alone: addresses of receivers carry keys at times."""
        return f"webhook endpoint {self.pk} at {urlsplit(self.url).hostname}"

    @property
    def secret(self) -> str:
        """Raises WrongKey when the keys that are set do not decrypt it."""
        return decrypt(self.encrypted_secret, what="The secret of this endpoint")

    @secret.setter
    def secret(self, secret: str) -> None:
        """The secret that holds alone from now on."""
        self.encrypted_secret = encrypt(secret)
        self.encrypted_old_secret, self.old_secret_until = "", None

    @property
    def wrong_key(self) -> str:
        """Why the secret cannot be read; empty when it can."""
        try:
            _ = self.secret
        except WrongKey as error:
            return str(error)
        return ""

    @property
    def secrets(self) -> list[str]:
        """What a message is signed with: the secret, and for a while after a rotation the one before.

        Raises WrongKey for the secret; one before it that cannot be read is left out.
        """
        found = [self.secret]
        if self.old_secret_until is not None and clock.now() < self.old_secret_until:
            with suppress(WrongKey):
                found.append(decrypt(self.encrypted_old_secret))
        return found

    def clean(self) -> None:
        try:
            check_url(self.url)
        except Refused as error:
            raise ValidationError({"url": str(error)}) from None


class MailSwitch(models.Model):
    """Whether a team's members get e-mail, and about what. A team without one gets none."""

    TEAM_FIELD = "team"

    team = models.OneToOneField(Team, on_delete=models.CASCADE, related_name="mail_switch")
    events = models.JSONField(default=names_mailed_at_first, validators=[check_names])
    active = models.BooleanField(default=True)

    objects = TeamQuerySet["MailSwitch"].as_manager()

    class Meta:
        verbose_name_plural = "mail switches"

    def __str__(self) -> str:
        return f"e-mail of {self.team}"


class Delivery(models.Model):
    """One notice to one receiver, written with the change that it tells of. ``message_id`` stays over all attempts.

    A row that is being sent has a ``token`` and is due again at ``available_at``, should its sender die.
    """

    TEAM_FIELD = "team"
    BATCH_FIELD = ""  # what was told outside is history too
    WEBHOOK, EMAIL = "webhook", "email"
    CHANNELS = (WEBHOOK, EMAIL)
    WAITING, DELIVERED, DEAD = "waiting", "delivered", "dead"
    STATES = (WAITING, DELIVERED, DEAD)

    message_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="deliveries")
    name = models.CharField(max_length=40)
    event = models.ForeignKey(Event, on_delete=models.PROTECT, null=True, blank=True, related_name="deliveries")
    job = models.ForeignKey(Job, on_delete=models.PROTECT, null=True, blank=True, related_name="deliveries")
    batch = models.ForeignKey(
        "batches.Batch", on_delete=models.PROTECT, null=True, blank=True, related_name="deliveries"
    )
    channel = models.CharField(max_length=10, choices=[(name, name) for name in CHANNELS])
    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.CASCADE, null=True, blank=True, related_name="deliveries"
    )
    recipient = models.EmailField(blank=True)
    lane = models.CharField(max_length=40)
    payload = models.JSONField()
    state = models.CharField(max_length=10, choices=[(name, name) for name in STATES], default=WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    available_at = models.DateTimeField(default=clock.now)
    token = models.UUIDField(null=True, blank=True)
    last_status = models.PositiveSmallIntegerField(null=True, blank=True)
    last_answer = models.TextField(blank=True)
    last_at = models.DateTimeField(null=True, blank=True)
    request_id = models.CharField(max_length=64, blank=True, default=bound_request, editable=False)
    """Of the request that led to it, for the log lines of whoever does it; empty when a clock did."""
    created_at = models.DateTimeField(default=clock.now, editable=False)

    objects = TeamQuerySet["Delivery"].as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["event", "name", "lane", "recipient"],
                condition=Q(event__isnull=False),
                name="one_delivery_per_event_and_receiver",
            )
        ]
        indexes = [
            models.Index(fields=["available_at", "id"], condition=Q(state="waiting"), name="delivery_to_send"),
            models.Index(fields=["lane"], condition=Q(token__isnull=False), name="delivery_under_way"),
            models.Index(fields=["team", "-id"], name="delivery_by_team"),
        ]

    def __str__(self) -> str:
        return f"{self.name} to {self.receiver}"

    @property
    def is_under_way(self) -> bool:
        """Whether its first answer is still to come."""
        return self.state == self.WAITING and (self.attempts == 0 or self.token is not None)

    @property
    def receiver(self) -> str:
        return self.recipient if self.endpoint is None else self.endpoint.url


class NoticeChoice(models.Model):
    """How a person wants to be told of one kind of notice. Without a row it is as the team and we have it at first."""

    AS_TEAM, NOW, DAILY, NEVER = "", "now", "digest", "never"
    MAIL = ((AS_TEAM, "As the team has it"), (NOW, "At once"), (DAILY, "In the daily digest"), (NEVER, "Never"))

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notice_choices")
    name = models.CharField(max_length=40)
    mail = models.CharField(max_length=10, choices=MAIL, default=AS_TEAM, blank=True)
    bell = models.BooleanField(default=True)

    objects = MachineQuerySet["NoticeChoice"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="one_choice_per_person_and_notice")]

    def __str__(self) -> str:
        return f"{self.name} for {self.user}"


class Notice(models.Model):
    """What one person is told inside: in the bell, in the next digest (while ``for_digest``), or both.

    ``times`` counts the jobs of a batch that one unread notice stands for; ``event`` and ``job`` are the newest. What
    is no batch's, such as dead letters that are no jobs, is counted for the team.
    """

    TEAM_FIELD = "team"
    BATCH_FIELD = "batch"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notices")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="notices")
    name = models.CharField(max_length=40)
    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="notices")
    job = models.ForeignKey(Job, on_delete=models.CASCADE, null=True, blank=True, related_name="notices")
    batch = models.ForeignKey("batches.Batch", on_delete=models.CASCADE, null=True, blank=True, related_name="notices")
    facts = models.JSONField()
    times = models.PositiveIntegerField(default=1)
    in_bell = models.BooleanField()
    for_digest = models.BooleanField()
    told_at = models.DateTimeField(default=clock.now)
    read_at = models.DateTimeField(null=True, blank=True)

    objects = TeamQuerySet["Notice"].as_manager()

    class Meta:
        ordering = ["-told_at", "-id"]
        indexes = [
            models.Index(fields=["user"], condition=Q(in_bell=True, read_at=None), name="notice_unread"),
            models.Index(fields=["user", "-told_at", "-id"], condition=Q(in_bell=True), name="notice_in_bell"),
            models.Index(fields=["team"], condition=Q(for_digest=True), name="notice_for_digest"),
        ]

    def __str__(self) -> str:
        return f"{self.name} for {self.user}"

    @property
    def title(self) -> str:
        return f"{self.times} {COUNTED[self.name]}" if self.times > 1 else PEOPLES_NAMES[self.name]
