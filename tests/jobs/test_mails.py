"""jobs.mails: what arrives at a mail server, pictures included."""

from __future__ import annotations

import email
import io
from email import policy

import pytest
from PIL import Image

from jobs.lifecycle import move
from jobs.models import Delivery, MailSwitch
from jobs.notices import deliver_due
from jobs.states import Stage, State
from jobs.store import put_content, record
from tests.jobs.receivers import mail_server
from tests.people import make_job

pytestmark = pytest.mark.django_db


def add_poster(job, content: bytes | None = None, **fields):
    file = io.BytesIO(content or b"")
    if content is None:
        Image.new("RGB", (960, 540), (200, job.pk % 255, 30)).save(file, "JPEG")
    stored = put_content(file, suffix=".jpg")
    asset = record(stored, team=job.team, job=job, stage=Stage.PREVIEW, kind="poster", name="poster.jpg")
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
    add_poster(make_job(batch))
    move(job, "prepare")
    message = arrived(settings)
    assert message.get_content_type() == "multipart/related"
    (picture,) = pictures(message)
    assert picture["Content-ID"] == f"<poster-{poster.pk}@aeproject>"
    assert f"cid:poster-{poster.pk}@aeproject" in message.get_body(("html",)).get_content()
    assert "cid:" not in message.get_body(("plain",)).get_content()
    content = picture.get_content()
    assert len(content) < 20_000
    assert Image.open(io.BytesIO(content)).size == (240, 135)


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
    for _ in range(4):
        add_poster(make_job(batch, Stage.DELIVERY, State.DONE))
    move(job, "deploy")
    assert len(pictures(arrived(settings))) == 3
