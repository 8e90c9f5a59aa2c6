"""Retention: files that a team's policy no longer keeps go, in two steps, so that nothing that is wanted goes.

First the records are marked: from then on nobody is given the file. ``GRACE`` later the content goes, when no record
that still stands names it (the same bytes are stored once for all). Records, decisions and history stay for ever.
Never touched: what jobs under way use, what is pinned, what the policy does not name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Case, CharField, Count, Exists, Max, OuterRef, Q, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce, Now

from jobs import clock
from jobs.errors import Invalid, NotAllowed
from jobs.models import Asset, Event, Job, Pin, RetentionPolicy, Team
from jobs.states import FINAL, Role, State
from jobs.storage import storage_named
from jobs.teams import is_lead, require_role

if TYPE_CHECKING:
    from django.contrib.auth.models import User

GRACE = timedelta(days=1)
"""Between the mark and the end of a content: long enough for whatever was reading it."""
AT_ONCE = 500
PREVIEWS = ("preview_video", "psd_video", "ae_video", "poster")
MOST_DAYS = 36_500


@dataclass(frozen=True, kw_only=True)
class Rule:
    """``of`` picks the files to which the days of ``policy.<days>`` apply; ``since`` is what the days count from.

    Empty for files that came with a sheet: they count from the end of the last job that used them. ``batch`` leads
    from a file to its batch, ``days`` is the rule's own name unless several rules share them.
    """

    name: str
    label: str
    of: Q
    since: str
    batch: str = "job__batch"
    days: str = ""

    def days_of(self, policy: RetentionPolicy) -> int | None:
        days: int | None = getattr(policy, self.days or self.name)
        return days


ENDED = Q(job__state__in=[state.value for state in sorted(FINAL)])
COMPLETED = Q(job__state=State.DONE.value)
MADE = Q(storage="default", job__isnull=False)
RULES = (
    Rule(
        name="preview_days",
        label="Previews of completed jobs",
        of=COMPLETED & MADE & Q(kind__in=PREVIEWS),
        since="job__finished_at",
    ),
    Rule(
        name="intermediate_days",
        label="Other intermediate files of completed jobs",
        of=COMPLETED & MADE & ~Q(kind__in=PREVIEWS),
        since="job__finished_at",
    ),
    Rule(
        name="input_days",
        label="Designs and templates that only ended jobs use",
        of=Q(storage="default", job__isnull=True, kind="upload"),
        since="",
    ),
    Rule(
        name="deployed_days",
        label="Deployed projects",
        of=Q(storage="outputs", job__state=State.DONE.value),
        since="job__finished_at",
    ),
    Rule(
        name="failed_days",
        label="Files of failed and cancelled jobs",
        of=MADE & Q(job__state__in=[State.FAILED.value, State.CANCELLED.value]),
        since="job__moved_at",
    ),
    Rule(
        name="archived_days",
        label="Files of archived batches, previews and intermediate files alike",
        of=ENDED & MADE,
        since="job__batch__archived_at",
    ),
    Rule(
        name="deleted_days",
        label="All files of deleted batches",
        of=Q(job__isnull=False, job__batch__deleted_at__isnull=False),
        since="job__batch__deleted_at",
    ),
    Rule(
        name="deleted_inputs",
        days="deleted_days",
        label="Files sent along with deleted batches",
        of=Q(job__isnull=True, uploaded_as__upload__batch__deleted_at__isnull=False),
        since="uploaded_as__upload__batch__deleted_at",
        batch="uploaded_as__upload__batch",
    ),
    Rule(
        name="deleted_sheets",
        days="deleted_days",
        label="Sheets of deleted batches",
        of=Q(job__isnull=True, sheet_of__batch__deleted_at__isnull=False),
        since="sheet_of__batch__deleted_at",
        batch="sheet_of__batch",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Due:
    """What a rule would remove now."""

    rule: Rule
    files: int
    size_bytes: int


def policy_of(team: Team) -> RetentionPolicy:
    """The team's policy; one that keeps everything, not saved, when it has none."""
    return RetentionPolicy.objects.filter(team=team).first() or RetentionPolicy(team=team)


def set_policy(user: User, team: Team, days: dict[str, int | None]) -> RetentionPolicy:
    """Changes how long files are kept; leads only. Raises NotAllowed, Invalid with the field."""
    if not is_lead(user):
        raise NotAllowed("How long files are kept is for leads to say.")
    for name, value in days.items():
        if name not in RetentionPolicy.DAYS:
            raise Invalid(f"There is no rule {name!r}.", field=name)
        if value is not None and not 1 <= value <= MOST_DAYS:
            raise Invalid(f"A number of days from 1 to {MOST_DAYS:,}, or nothing to keep the files.", field=name)
    with transaction.atomic():
        policy, _ = RetentionPolicy.objects.update_or_create(
            team=team, defaults={**days, "changed_by": user, "changed_at": clock.now()}
        )
        Event.objects.create(team=team, verb="set_retention", actor=user, data=dict(days))
    return policy


def pin(user: User, batch: Any) -> None:
    """Keeps a batch's files whatever the policy says. Raises NotAllowed for those who are not operators of the team."""
    require_role(user, batch.team, Role.OPERATOR)
    _, created = Pin.objects.get_or_create(batch=batch, defaults={"by": user})
    if created:
        Event.objects.create(team=batch.team, batch=batch, verb="pin", actor=user)


def unpin(user: User, batch: Any) -> None:
    require_role(user, batch.team, Role.OPERATOR)
    removed, _ = Pin.objects.filter(batch=batch).delete()
    if removed:
        Event.objects.create(team=batch.team, batch=batch, verb="unpin", actor=user)


# What is due ----------------------------------------------------------------------------------------------------------
def due_files(policy: RetentionPolicy, rule: Rule) -> QuerySet[Asset]:
    """The files that the rule removes now, the oldest first; none when the policy keeps them."""
    days = rule.days_of(policy)
    files = Asset.objects.filter(team=policy.team, removed_at=None).order_by("pk")
    if days is None:
        return files.none()
    before = Now() - timedelta(days=days)
    users = Job.objects.filter(Q(psd=OuterRef("pk")) | Q(project=OuterRef("pk")))
    if not rule.since:
        lately = Q(finished_at__isnull=True) | Q(finished_at__gte=before) | Q(batch__pin__isnull=False)
        return files.filter(rule.of).filter(Exists(users)).exclude(Exists(users.filter(lately)))
    old = files.filter(rule.of, **{f"{rule.since}__lt": before, f"{rule.batch}__pin__isnull": True})
    return old.exclude(Exists(users.exclude(state__in=[state.value for state in sorted(FINAL)])))


def due(team: Team, policy: RetentionPolicy | None = None) -> list[Due]:
    """What would go now, by rule: the dry run. A file that two rules name counts for both."""
    found = []
    for rule in RULES:
        # By number: a file that was sent in several uploads is one file.
        files = Asset.objects.filter(pk__in=due_files(policy or policy_of(team), rule).values("pk")).order_by()
        figures = files.aggregate(files=Count("pk"), size=Sum("size_bytes"))
        found.append(Due(rule=rule, files=figures["files"], size_bytes=figures["size"] or 0))
    return found


def due_list(policy: RetentionPolicy, *, rule: str = "") -> QuerySet[Asset]:
    """The files that would go now, each once, the oldest first; with ``rule`` those that this one names.

    Each tells the ``rule`` that takes it, and of its batch ``batch``, ``batch_name`` and ``batch_deleted``: None where
    it belongs to no single one. ``policy`` need not be the one that is kept, so that others can be tried.
    """
    named = {one.name: due_files(policy, one).values("pk") for one in RULES if one.days_of(policy) is not None}
    if rule:
        named = {name: keys for name, keys in named.items() if name == rule}
    if not named:
        return Asset.objects.none()
    takes = [When(pk__in=keys, then=Value(name)) for name, keys in named.items()]
    this = Asset.objects.filter(pk=OuterRef("pk"))
    paths = sorted({one.batch for one in RULES} - {"job__batch"})
    of_deleted = [Subquery(this.filter(**{f"{path}__deleted_at__isnull": False}).values(path)[:1]) for path in paths]
    batch = Job._meta.get_field("batch").related_model._base_manager.filter(pk=OuterRef("batch"))
    files: Any = Asset.objects.filter(team=policy.team).annotate(rule=Case(*takes, output_field=CharField()))
    files = files.filter(rule__isnull=False).annotate(batch=Coalesce("job__batch", *of_deleted))
    files = files.annotate(
        batch_name=Subquery(batch.values("name")[:1]), batch_deleted=Exists(batch.filter(deleted_at__isnull=False))
    )
    listed: QuerySet[Asset] = files.select_related("job").order_by("pk")
    return listed


# Removal --------------------------------------------------------------------------------------------------------------
def apply_policies() -> int:
    """Marks what is due in every team that has a policy, and lets go of contents marked long ago. Returns how many.

    A bounded piece of work: what is left is done the next time.
    """
    return sum(mark_due(policy) for policy in RetentionPolicy.objects.select_related("team")) + forget_contents()


def mark_due(policy: RetentionPolicy) -> int:
    """Marks at most AT_ONCE files by each rule, told in the history of their batches. Returns how many."""
    return sum(_mark(policy, rule) for rule in RULES)


def _mark(policy: RetentionPolicy, rule: Rule) -> int:
    with transaction.atomic():
        keys = list(due_files(policy, rule).values_list("pk", flat=True)[:AT_ONCE])
        chosen = Asset.objects.filter(pk__in=keys, removed_at=None)
        batches = chosen.order_by().values(rule.batch).annotate(files=Count("pk"), size=Sum("size_bytes"))
        told = [(row[rule.batch], row["files"], row["size"]) for row in batches]
        marked = chosen.update(removed_at=Now(), wanted_at=None)
        for batch_id, files, size_bytes in told:
            data = {"rule": rule.name, "days": rule.days_of(policy), "files": files, "bytes": size_bytes}
            Event.objects.create(
                team=policy.team, batch_id=batch_id, verb="remove_files", data=data
            )  # None: shared inputs
    return marked


def forget_contents(*, grace: timedelta = GRACE) -> int:
    """Deletes contents all of whose records were marked before the grace. Returns how many."""
    return sum(_forget(alias, name) for alias, name in dict.fromkeys(_forgettable(grace)))


def _forgettable(grace: timedelta) -> Iterator[tuple[str, str]]:
    """Contents with a marked record that is old enough."""
    marked = Asset.objects.filter(removed_at__lt=Now() - grace, gone_at=None)
    standing = Asset.objects.filter(storage=OuterRef("storage"), storage_name=OuterRef("storage_name"), removed_at=None)
    alone = marked.exclude(Exists(standing)).exclude(wanted_at__gt=Now() - GRACE)
    yield from alone.order_by("removed_at").values_list("storage", "storage_name")[:AT_ONCE]


def _forget(alias: str, name: str) -> int:
    """Under the locks that ``jobs.store`` takes when it stores the same bytes again."""
    with transaction.atomic():
        records = Asset.objects.filter(storage=alias, storage_name=name)
        list(records.select_for_update().values_list("pk", flat=True))
        if records.filter(Q(removed_at=None) | Q(wanted_at__gt=Now() - GRACE)).exists():
            return 0
        storage_named(alias).delete(name)
        records.update(gone_at=Now())
    return 1


# Space ----------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class Use:
    """Stored bytes. ``stored_bytes`` counts the same content once, ``named_bytes`` once for each record."""

    files: int
    named_bytes: int
    stored_bytes: int


def use_of(team: Team) -> Use:
    files = Asset.objects.filter(team=team, removed_at=None).order_by()
    figures = files.aggregate(files=Count("pk"), size=Sum("size_bytes"))
    contents = files.values("storage", "storage_name").annotate(size=Max("size_bytes"))
    stored = contents.aggregate(total=Sum("size"))["total"] or 0
    return Use(files=figures["files"], named_bytes=figures["size"] or 0, stored_bytes=stored)


def shared_bytes(team: Team) -> int:
    """What came with sheets: designs, templates and sheets, which belong to no single job or batch."""
    shared = Asset.objects.filter(team=team, removed_at=None, job__isnull=True)
    return shared.aggregate(size=Sum("size_bytes"))["size"] or 0


def use_by_batch(team: Team) -> QuerySet[Asset, Any]:
    """A row for every batch with files, deleted ones included, the largest first; ``shown`` says what is in it."""
    files = Asset.objects.filter(team=team, removed_at=None, job__isnull=False).order_by()
    groups = files.values("job__batch", "job__batch__name", "job__batch__pin", "job__batch__deleted_at")
    return groups.annotate(files=Count("pk"), size_bytes=Sum("size_bytes")).order_by("-size_bytes", "job__batch")


def shown(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """{"batch", "name", "pinned", "deleted", "files", "size_bytes"} of rows of ``use_by_batch``."""
    return [
        {
            "batch": row["job__batch"],
            "name": row["job__batch__name"],
            "pinned": row["job__batch__pin"] is not None,
            "deleted": row["job__batch__deleted_at"] is not None,
            "files": row["files"],
            "size_bytes": row["size_bytes"],
        }
        for row in rows
    ]


def largest_batches(team: Team, most: int = 20) -> list[dict[str, Any]]:
    """As ``shown``, of the batches that take most."""
    return shown(use_by_batch(team)[:most])
