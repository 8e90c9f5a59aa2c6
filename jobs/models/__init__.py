"""The records of the core: teams, jobs, their preparations, matches, warnings, files and history."""

from jobs.models.allowance import RequestWindow, TokenBucket
from jobs.models.asset import Asset
from jobs.models.choices import (
    PRIORITIES,
    PRIORITY_NAMES,
    priority_choices,
    queue_choices,
    role_choices,
    stage_choices,
    state_choices,
)
from jobs.models.deployment import Deployment
from jobs.models.errand import Errand
from jobs.models.event import Event
from jobs.models.idempotency import IdempotentRequest
from jobs.models.job import Job, JobQuerySet
from jobs.models.leftover import Leftover
from jobs.models.match import Match
from jobs.models.notice import Delivery, MailSwitch, Notice, NoticeChoice, WebhookEndpoint
from jobs.models.page_wait import PageWait
from jobs.models.retention import Pin, RetentionPolicy
from jobs.models.run import Attempt, StageRun
from jobs.models.scheduling import Pause, Turn
from jobs.models.seal import Seal, Unsealed
from jobs.models.sent_file import SentFile
from jobs.models.team import Membership, Team
from jobs.models.token import AccessToken, Integration
from jobs.models.warning import Warning
from jobs.models.worker import StageBlock, Worker

__all__ = [
    "PRIORITIES",
    "PRIORITY_NAMES",
    "AccessToken",
    "Asset",
    "Attempt",
    "Delivery",
    "Deployment",
    "Errand",
    "Event",
    "IdempotentRequest",
    "Integration",
    "Job",
    "JobQuerySet",
    "Leftover",
    "MailSwitch",
    "Match",
    "Membership",
    "Notice",
    "NoticeChoice",
    "PageWait",
    "Pause",
    "Pin",
    "RequestWindow",
    "RetentionPolicy",
    "Seal",
    "SentFile",
    "StageBlock",
    "StageRun",
    "Team",
    "TokenBucket",
    "Turn",
    "Unsealed",
    "Warning",
    "WebhookEndpoint",
    "Worker",
    "priority_choices",
    "queue_choices",
    "role_choices",
    "stage_choices",
    "state_choices",
]
