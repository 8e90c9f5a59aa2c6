"""jobs.mails: what arrives at a mail server, pictures included."""

from __future__ import annotations

import email
import io
from datetime import UTC, datetime
from email import policy

import pytest
from django.urls import reverse
from PIL import Image

from jobs import errands
from jobs.lifecycle import move
from jobs.models import Delivery, Errand, MailSwitch, Membership, NoticeChoice, WebhookEndpoint
from jobs.models.notice import PEOPLES_NAMES
from jobs.notices import POLICY, deliver_due
from jobs.overdue import tell_overdue
from jobs.states import Role, Stage, State
from jobs.store import put_content, record
from jobs.telling import address_of
from review import decisions
from tests.jobs.receivers import mail_server
from tests.people import make_job

pytestmark = pytest.mark.django_db


def add_poster(job, content: bytes | None = None, **fields):
    file = io.BytesIO(content or b"")
    if content is None:
        Image.new("RGB", (960, 540), (200, job.pk % 255, 30)).save(file, "JPEG")
    return _added(job, file, Stage.PREVIEW, "poster", "poster.jpg", **fields)


def add_design(job):
    """The design as matching draws it, before there is a film."""
    file = io.BytesIO()
    Image.new("RGB", (1280, 720), (30, 200, job.pk % 255)).save(file, "PNG")
    return _added(job, file, Stage.MATCHING, "composite_preview", "photoshop.png")


def _added(job, file, stage, kind, name, **fields):
    stored = put_content(file, suffix=f".{name.rpartition('.')[2]}")
    asset = record(stored, team=job.team, job=job, stage=stage, kind=kind, name=name)
    type(asset).objects.filter(pk=asset.pk).update(**fields)
    return asset


def arrived(settings):
    with mail_server(settings) as mailbox:
        assert deliver_due() == 1
    return email.message_from_bytes(mailbox.envelopes[0].content, policy=policy.default)


@pytest.fixture
def mailed(batch, people):
    """Rita hears of jobs to review alone."""
    people.rita.memberships.exclude(role="reviewer").delete()
    return MailSwitch.objects.create(team=batch.team, events=["job.awaiting_review"])


def pictures(message) -> list:
    return [part for part in message.walk() if part.get_content_maintype() == "image"]


def test_the_jobs_poster_is_part_of_the_html(batch, mailed, settings):
    job = make_job(batch, Stage.MATCHING, State.RUNNING)
    add_poster(job)
    poster = add_poster(job)
    add_design(job)
    add_poster(make_job(batch))
    move(job, "prepare")
    message = arrived(settings)
    assert message.get_content_type() == "multipart/related"
    (picture,) = pictures(message)
    assert picture["Content-ID"] == f"<picture-{poster.pk}@aeproject>"
    assert f"cid:picture-{poster.pk}@aeproject" in message.get_body(("html",)).get_content()
    assert "cid:" not in message.get_body(("plain",)).get_content()
    content = picture.get_content()
    assert len(content) < 20_000
    assert Image.open(io.BytesIO(content)).size == (240, 135)


def test_before_there_is_a_film_the_design_is_shown(batch, mailed, settings):
    job = make_job(batch, Stage.MATCHING, State.RUNNING)
    design = add_design(job)
    move(job, "prepare")
    (picture,) = pictures(arrived(settings))
    assert picture["Content-ID"] == f"<picture-{design.pk}@aeproject>"
    assert Image.open(io.BytesIO(picture.get_content())).size == (240, 135)


@pytest.mark.parametrize("broken", ["missing", "no picture", "removed"])
def test_a_mail_goes_without_a_picture_that_is_broken(batch, mailed, settings, broken, caplog):
    job = make_job(batch, Stage.MATCHING, State.RUNNING)
    if broken == "no picture":
        add_poster(job, b"%PDF")
    elif broken == "removed":
        add_poster(job, removed_at="2026-01-01T00:00:00Z")
    else:
        add_poster(job, storage_name="00/gone.jpg")
    move(job, "prepare")
    message = arrived(settings)
    assert not pictures(message)
    assert "cid:" not in message.get_body(("html",)).get_content()
    assert ("goes without its picture" in caplog.text) == (broken != "removed")
    assert Delivery.objects.get().state == Delivery.DELIVERED


def test_a_batch_shows_three(batch, people, mailed, settings):
    type(mailed).objects.update(events=["batch.completed"])
    people.olga.memberships.all().delete()
    people.adam.memberships.all().delete()
    people.vera.memberships.all().delete()
    job = make_job(batch, Stage.DELIVERY, State.RUNNING)
    drawn = [add_design(make_job(batch, Stage.MATCHING, State.CANCELLED)) for _ in range(3)]
    filmed = make_job(batch, Stage.DELIVERY, State.DONE)
    films = [add_poster(filmed) for _ in range(3)]
    move(job, "deploy")
    shown = [picture["Content-ID"] for picture in pictures(arrived(settings))]
    assert shown == [f"<picture-{asset.pk}@aeproject>" for asset in (films[-1], drawn[2], drawn[1])]


WAYS = {
    "batch.completed": lambda job, people: move(job, "deploy"),
    "batch.completed_with_errors": lambda job, people: (make_job(job.batch, state=State.FAILED), move(job, "deploy")),
    "batch.failed": lambda job, people: move(job, "fail", reason="The file ends early."),
    "job.failed": lambda job, people: move(job, "fail", reason="The file ends early."),
    "job.deployed": lambda job, people: move(job, "deploy"),
    "job.validation_failed": lambda job, people: move(job, "find_faults"),
    "job.awaiting_approval": lambda job, people: move(at(job, Stage.PREVIEW), "prepare"),
    "job.awaiting_review": lambda job, people: move(at(job, Stage.MATCHING), "prepare"),
    "job.assigned": lambda job, people: decisions.assign(
        people.olga, at(job, state=State.IN_REVIEW), assignee=people.rita
    ),
    "job.mentioned": lambda job, people: decisions.comment(people.olga, job, text="@rita: look, please."),
    "job.waiting": lambda job, people: (at(job, state=State.IN_REVIEW, moved_at=LONG_AGO), tell_overdue()),
    "errand.failed": lambda job, people: give_up_an_errand(job.team),
    "delivery.dead": lambda job, people: give_up_a_delivery(job),
}
"""How each kind of notice comes about, of a job whose delivery runs. Those of linked sheets: links/test_polling.py."""
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def give_up_an_errand(team):
    """All whose workers begin to read a linked sheet go silent."""
    errand = errands.send("read_linked_sheet", 4711, team)
    while errand.state != Errand.FAILED:
        Errand.objects.update(available_at=LONG_AGO)
        assert errands.claim("me") is not None
        Errand.objects.update(lease_expires_at=LONG_AGO)
        assert errands.take_back_lapsed() == 1
        errand.refresh_from_db()


def give_up_a_delivery(job):
    endpoint = WebhookEndpoint.objects.create(team=job.team, url="https://127.0.0.1/?key=Kestrel", events=[])
    Delivery.objects.create(
        team=job.team, name="job.deployed", channel="webhook", endpoint=endpoint, lane="webhook-1",
        attempts=POLICY.attempts - 1, payload={"type": "job.deployed", "data": {"reason": ""}},
    )  # fmt: skip
    assert deliver_due(1) == 1


PAGES = {
    "errand.failed": ("admin:dead_letters", "", "Read linked sheet"),
    "delivery.dead": ("admin:deliveries", "?state=dead", "webhook endpoint"),
}
"""What is about no job and no batch: the page that it leads to, and what it names."""


def at(job, stage=Stage.DELIVERY, state=State.RUNNING, **fields):
    type(job).objects.filter(pk=job.pk).update(stage=stage, state=state, **fields)
    job.refresh_from_db()
    return job


def test_there_is_a_way_to_every_kind_of_notice():
    assert set(WAYS) == set(PEOPLES_NAMES) - {"batch.sheet_changed"}


@pytest.mark.parametrize("name", WAYS)
def test_every_kind_of_notice_arrives_with_text_html_a_link_and_a_picture(batch, people, settings, name):
    """At Rita's, who has every role and wants this kind alone, at once."""
    MailSwitch.objects.create(team=batch.team, events=[])
    NoticeChoice.objects.create(user=people.rita, name=name, mail=NoticeChoice.NOW)
    for role in Role:
        Membership.objects.get_or_create(team=batch.team, user=people.rita, role=role)
    for other in Membership.objects.exclude(user=people.rita).values_list("user", flat=True):
        NoticeChoice.objects.get_or_create(user_id=other, name=name, defaults={"mail": NoticeChoice.NEVER})
    job = make_job(batch, Stage.DELIVERY, State.RUNNING, job_id="PC-7")
    poster = add_poster(job)
    WAYS[name](job, people)
    message = arrived(settings)
    assert message["To"] == "rita@example.com"
    plain, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert "Kestrel" not in plain + html
    if name in PAGES:
        page, query, about = PAGES[name]
        assert message["Subject"].startswith(f"{PEOPLES_NAMES[name]}: {about}")
        link = f"{settings.SITE_URL}{reverse(page)}{query}"
        assert link in plain.splitlines()
        assert f'href="{link}"' in html
        assert all("Failed for good" in body for body in (plain, html))
        return
    about = batch.name if name.startswith("batch.") else "PC-7"
    assert message["Subject"] == f"{PEOPLES_NAMES[name]}: {about}"
    link = address_of(None if name.startswith("batch.") else job.pk, batch.pk)
    assert link in plain.splitlines()
    assert f'href="{link}"' in html
    assert all(PEOPLES_NAMES[name] in body and batch.name in body for body in (plain, html))
    assert [picture["Content-ID"] for picture in pictures(message)] == [f"<picture-{poster.pk}@aeproject>"]
