"""review.bell and review.notice_choices: one's own notices, and how one wants to be told."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from jobs.lifecycle import move
from jobs.models import Delivery, Membership, Notice, NoticeChoice
from jobs.models.notice import PEOPLES_NAMES
from jobs.notices import deliver_due
from jobs.states import Stage, State
from tests.jobs.receivers import mail_server
from tests.people import make_job

pytestmark = pytest.mark.django_db
CHOICES = "admin:notice_choices"


@pytest.fixture
def notice(batch, people):
    """Olga's, of a batch that ended."""
    move(make_job(batch, Stage.DELIVERY, State.RUNNING), "deploy")
    return Notice.objects.get(user=people.olga)


def count(client) -> str:
    return client.get(reverse("admin:notices_count")).content.decode()


def test_the_bell_counts_what_is_not_read_until_it_is_opened(client, people, notice, batch):
    client.force_login(people.olga)
    assert ">1</span>" in count(client)
    html = client.get(reverse("admin:notices")).content.decode()
    assert "A batch is complete" in html
    assert "Spring" in html
    response = client.post(reverse("admin:notice_open", args=[notice.pk]))
    assert response["Location"] == reverse("admin:batch", args=[batch.pk])
    assert "unread" not in count(client)


def test_everything_is_read_at_once_but_nobody_elses(client, people, notice):
    client.force_login(people.olga)
    assert client.post(reverse("admin:notices_read")).status_code == 302
    assert Notice.objects.filter(read_at=None).exists()
    assert not Notice.objects.filter(read_at=None, user=people.olga).exists()


def test_the_count_ends_at_99(client, people, notice):
    rows = [Notice(**{**_values(notice), "pk": None}) for _ in range(120)]
    Notice.objects.bulk_create(rows)
    client.force_login(people.olga)
    assert "99+" in count(client)


def _values(notice) -> dict:
    return {field.attname: getattr(notice, field.attname) for field in Notice._meta.concrete_fields}


def test_the_count_is_cheap(client, people, notice, django_assert_max_num_queries):
    client.force_login(people.olga)
    count(client)
    with django_assert_max_num_queries(5):  # session, user, may enter, count
        count(client)


@pytest.mark.parametrize("person", ["rita", "vera", "oscar", "root"])
def test_others_notices_are_not_there(client, people, notice, person):
    client.force_login(getattr(people, person))
    assert client.post(reverse("admin:notice_open", args=[notice.pk])).status_code == 404
    notice.refresh_from_db()
    assert notice.read_at is None


def test_what_one_may_not_see_any_more_is_gone(client, people, notice, batch, red):
    client.force_login(people.olga)
    type(batch).objects.update(deleted_at=timezone.now())
    assert "unread" not in count(client)
    type(batch).objects.update(deleted_at=None)
    Membership.objects.filter(user=people.olga).update(team=red)
    assert "unread" not in count(client)
    assert client.post(reverse("admin:notice_open", args=[notice.pk])).status_code == 404


@pytest.mark.parametrize(
    ("name", "verb"),
    [
        ("notices", "get"),
        ("notices_count", "get"),
        ("notices_read", "post"),
        (CHOICES[6:], "get"),
        ("notice_test", "post"),
    ],
)
def test_the_ladder(client, people, name, verb):
    address = reverse(f"admin:{name}")
    assert reverse("admin:login") in getattr(client, verb)(address)["Location"]
    client.force_login(people.nobody)
    assert getattr(client, verb)(address).status_code in (302, 403)
    client.force_login(people.vera)
    assert getattr(client, verb)(address).status_code in (200, 302)
    if name != CHOICES[6:]:
        assert getattr(client, "post" if verb == "get" else "get")(address).status_code == 405


def test_choices_are_kept_and_shown(client, people):
    client.force_login(people.olga)
    assert client.get(reverse(CHOICES)).status_code == 200
    sent = {f"{name}-mail": "" for name in PEOPLES_NAMES}
    sent |= {"job.failed-mail": "digest", "job.mentioned-bell": "on"}
    assert client.post(reverse(CHOICES), sent).status_code == 302
    chosen = NoticeChoice.objects.get(user=people.olga, name="job.failed")
    assert (chosen.mail, chosen.bell) == ("digest", False)
    assert NoticeChoice.objects.get(user=people.olga, name="job.mentioned").bell
    rows = dict(client.get(reverse(CHOICES)).context["rows"])
    assert rows["A job failed"].initial == {"mail": "digest", "bell": False}
    assert not NoticeChoice.objects.exclude(user=people.olga).exists()


def test_a_way_that_does_not_exist_is_refused_and_nothing_kept(client, people):
    client.force_login(people.olga)
    response = client.post(reverse(CHOICES), {"job.failed-mail": "pigeon"})
    assert response.status_code == 422
    assert "pigeon" in response.content.decode()
    assert not NoticeChoice.objects.exists()


def test_mail_can_be_ended_altogether(client, people):
    client.force_login(people.olga)
    assert client.post(reverse(CHOICES), {"no_mail": "1", "job.failed-bell": "on"}).status_code == 302
    assert set(NoticeChoice.objects.values_list("mail", flat=True)) == {NoticeChoice.NEVER}
    assert list(NoticeChoice.objects.filter(bell=True).values_list("name", flat=True)) == ["job.failed"]


def test_a_test_mail_arrives(client, people, settings):
    client.force_login(people.olga)
    with mail_server(settings) as mailbox:
        assert client.post(reverse("admin:notice_test")).status_code == 302
        assert client.post(reverse("admin:notice_test")).status_code == 409
        assert deliver_due() == 1
    assert "Subject: E-mail reaches you: Blue" in mailbox.envelopes[0].content.decode()
    people.olga.email = ""
    people.olga.save()
    assert client.post(reverse("admin:notice_test")).status_code == 409
    assert Delivery.objects.count() == 1


@pytest.mark.parametrize("name", [name for name in PEOPLES_NAMES if name != "batch.sheet_changed"])
def test_every_kind_of_notice_leads_to_a_page_that_is_there(client, people, notice, batch, name):
    """Those of linked sheets: tests/batches/links/test_polling.py."""
    job = batch.jobs.get() if name.startswith("job.") else None
    for times in (1, 2):
        Notice.objects.filter(pk=notice.pk).update(name=name, job=job, times=times)
        client.force_login(people.olga)
        answer = client.post(reverse("admin:notice_open", args=[notice.pk]), follow=True)
        about_job = job is not None and times == 1
        elsewhere = {
            "errand.failed": reverse("admin:dead_letters"),
            "delivery.dead": f"{reverse('admin:deliveries')}?state=dead",
        }
        page = reverse("admin:job", args=[job.pk]) if about_job else reverse("admin:batch", args=[batch.pk])
        assert answer.redirect_chain[0][0] == elsewhere.get(name, page)
        assert answer.status_code == 200
