"""The demo: a team with one account per role, sample files made by our own code, and a batch of twelve jobs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command

from batches.actions import start
from batches.intake.opening import commit_all, preview_upload
from batches.models import Batch
from jobs.models import Job, Membership, Team
from jobs.sources import roots_of
from jobs.states import Role, Stage, State
from rendering.samples import Samples, build_samples
from review.decisions import decide

TEAM = "Demo Studio"
PASSWORD = "aeproject-demo"  # noqa: S105 - printed on purpose; the demo listens on this machine only
ACCOUNTS = {
    "olivia": Role.OPERATOR,
    "rita": Role.REVIEWER,
    "adam": Role.APPROVER,
    "vera": Role.VIEWER,
}
ADMINISTRATOR = "admin"


@dataclass(frozen=True)
class Demo:
    team: Team
    people: dict[str, User]
    batch: Batch


def prepare_database() -> None:
    call_command("migrate", verbosity=0)
    call_command("createcachetable", verbosity=0)


def prepare_team() -> tuple[Team, dict[str, User]]:
    """The demo team with its people, as they were or new."""
    team, _ = Team.objects.get_or_create(slug="demo-studio", defaults={"name": TEAM})
    people = {}
    for name, role in ACCOUNTS.items():
        people[name] = _account(name)
        Membership.objects.get_or_create(team=team, user=people[name], role=role)
    people[ADMINISTRATOR] = _account(ADMINISTRATOR, is_superuser=True, is_staff=True)
    return team, people


def _account(name: str, **flags: bool) -> User:
    user, created = User.objects.get_or_create(
        username=name, defaults={"email": f"{name}@example.com", "first_name": name.title(), **flags}
    )
    if created:
        user.set_password(PASSWORD)
        user.save()
    return user


def prepare_samples(team: Team) -> Samples:
    """Sample files in the team's first asset root, their fonts where FONT_DIRS looks."""
    samples = build_samples(roots_of(team)[0])
    fonts = Path(settings.FONT_DIRS[0])
    fonts.mkdir(parents=True, exist_ok=True)
    for font in samples.fonts.glob("*.ttf"):
        (fonts / font.name).write_bytes(font.read_bytes())
    return samples


def open_batch(team: Team, people: dict[str, User], samples: Samples) -> Batch:
    """The demo's batch: the one that is there, or a new one, started."""
    batch = Batch.objects.filter(team=team).order_by("-id").first()
    if batch is None:
        operator = people["olivia"]
        with samples.sheet.open("rb") as sheet:
            upload = preview_upload(operator, team, sheet_name=samples.sheet.name, sheet_file=sheet)
        batch = commit_all(operator, upload, name="Spring campaign")
        start(operator, batch)
    return batch


def decide_what_waits(demo: Demo) -> int:
    """The demo people approve everything that waits for them, by the verbs the pages use. Returns how many."""
    waiting = Job.objects.filter(batch=demo.batch, state=State.IN_REVIEW, stage__in=(Stage.MATCHING, Stage.PREVIEW))
    decided = 0
    for job in waiting:
        if job.stage == Stage.MATCHING:
            decide(demo.people["rita"], job, "approve_matches", version=job.version)
        else:
            decide(demo.people["adam"], job, "approve_preview", version=job.version)
        decided += 1
    return decided


def is_over(demo: Demo) -> bool:
    """True when neither machines nor the demo people have anything left to do."""
    busy = Job.objects.filter(batch=demo.batch, state__in=(State.PENDING, State.QUEUED, State.RUNNING)).exists()
    waiting = Job.objects.filter(
        batch=demo.batch, state=State.IN_REVIEW, stage__in=(Stage.MATCHING, Stage.PREVIEW)
    ).exists()
    return not busy and not waiting
