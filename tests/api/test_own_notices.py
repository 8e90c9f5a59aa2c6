"""/api/notices/: one's own bell, and how one wants to be told."""

from __future__ import annotations

import pytest

from jobs.lifecycle import move
from jobs.models import Delivery, Notice, NoticeChoice
from jobs.models.notice import IN_BELL_AT_FIRST, PEOPLES_NAMES
from jobs.states import Stage, State
from tests.people import make_job

pytestmark = pytest.mark.django_db
NOTICES = "/api/notices/"
CHOICES = f"{NOTICES}choices/"


@pytest.fixture
def notice(batch, people):
    """Olga's, of a batch that ended; the others of the team have theirs."""
    move(make_job(batch, Stage.DELIVERY, State.RUNNING), "deploy")
    return Notice.objects.get(user=people.olga)


def test_the_bell_holds_ones_own_until_they_are_read(api, people, notice, batch):
    client = api(people.olga)
    (row,) = client.get(f"{NOTICES}?unread=true").json()["results"]
    assert (row["id"], row["name"], row["batch"]) == (notice.pk, "batch.completed", batch.pk)
    assert row["title"] == "A batch is complete"
    assert client.post(f"{NOTICES}{notice.pk}/read/").json()["read_at"]
    assert client.get(f"{NOTICES}?unread=true").json()["results"] == []
    assert len(client.get(f"{NOTICES}?unread=false").json()["results"]) == 1


def test_all_are_read_at_once_and_nobody_elses(api, people, notice):
    others = Notice.objects.exclude(user=people.olga).filter(read_at=None).count()
    assert others
    assert api(people.olga).post(f"{NOTICES}read/").json() == {"read": 1}
    assert api(people.olga).post(f"{NOTICES}read/").json() == {"read": 0}
    assert Notice.objects.filter(read_at=None).count() == others


@pytest.mark.parametrize("who", ["rita", "oscar", "root", "nobody"])
def test_nobody_sees_or_reads_anothers(api, people, notice, who):
    client = api(getattr(people, who))
    assert notice.pk not in [row["id"] for row in client.get(NOTICES).json()["results"]]
    assert client.post(f"{NOTICES}{notice.pk}/read/").status_code == 404
    notice.refresh_from_db()
    assert notice.read_at is None


def test_choices_are_as_at_first_until_they_are_changed(api, people):
    client = api(people.vera)
    shown = {row["name"]: row for row in client.get(CHOICES).json()["choices"]}
    assert list(shown) == list(PEOPLES_NAMES)
    assert {name for name, row in shown.items() if row["bell"]} == IN_BELL_AT_FIRST
    assert {row["mail"] for row in shown.values()} == {"team"}
    one = {"name": "job.deployed", "mail": "digest", "bell": True}
    answer = client.patch(CHOICES, {"choices": [one]})
    assert one in answer.json()["choices"]
    assert [(row.name, row.mail) for row in NoticeChoice.objects.filter(user=people.vera)] == [
        ("job.deployed", "digest")
    ]
    back = client.patch(CHOICES, {"choices": [{**one, "mail": "team"}]}).json()["choices"]
    assert {row["mail"] for row in back} == {"team"}


@pytest.mark.parametrize(
    "choice",
    [
        {"name": "job.exploded", "mail": "now", "bell": True},
        {"name": "job.deployed", "mail": "", "bell": True},
        {"name": "job.deployed", "mail": "now", "bell": "yes"},
        {"name": "job.deployed", "mail": "now"},
    ],
)
def test_a_choice_that_there_is_not_changes_nothing(api, people, choice):
    right = {"name": "job.failed", "mail": "never", "bell": False}
    assert api(people.vera).patch(CHOICES, {"choices": [right, choice]}).status_code == 400
    assert not NoticeChoice.objects.exists()


def test_a_test_mail_goes_to_oneself_once(api, people):
    client = api(people.vera)
    assert client.post(f"{NOTICES}test/").json() == {"to": "vera@example.com"}
    assert Delivery.objects.get().recipient == "vera@example.com"
    assert client.post(f"{NOTICES}test/").status_code == 409
    assert api(people.nobody).post(f"{NOTICES}test/").status_code == 409
