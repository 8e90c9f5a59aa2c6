"""review.my_queue: what waits for me, filtered, and handed out."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from batches.models import Batch
from jobs.models import Event, Membership
from jobs.states import Role, Stage, State
from tests.people import make_job

pytestmark = pytest.mark.django_db
REVIEW = (Stage.MATCHING, State.IN_REVIEW)


def listed(browser, user, **parameters):
    browser.force_login(user)
    response = browser.get(reverse("admin:my_queue"), parameters)
    assert response.status_code == 200
    return list(response.context["page"])


def assign(client, user, jobs, assignee, **more):
    client.force_login(user)
    data = {"jobs": [getattr(job, "pk", job) for job in jobs], "assignee": getattr(assignee, "pk", assignee), **more}
    return client.post(reverse("admin:my_queue_assign"), data)


def test_the_queue_lists_what_my_role_decides(client, people, batch):
    job = make_job(batch, *REVIEW)
    make_job(batch, Stage.PREVIEW, State.IN_REVIEW)
    assert listed(client, people.rita) == [job]
    assert listed(client, people.oscar) == []
    assert listed(client, people.vera) == []


def test_the_queue_is_closed_to_strangers_and_to_other_methods(client, people):
    assert client.get(reverse("admin:my_queue")).status_code == 302
    client.force_login(people.rita)
    assert client.post(reverse("admin:my_queue")).status_code == 405
    assert client.get(reverse("admin:my_queue_assign")).status_code == 405


def test_filters_narrow_the_queue(client, people, batch):
    mine = make_job(batch, *REVIEW, assignee=people.rita, client_name="Café")
    free = make_job(batch, *REVIEW, priority=0)
    others = make_job(batch, *REVIEW, assignee=people.adam)
    assert listed(client, people.rita) == [mine, free]
    assert listed(client, people.rita, assigned="mine") == [mine]
    assert listed(client, people.rita, assigned="free") == [free]
    assert listed(client, people.rita, assigned="all") == [mine, free, others]
    assert listed(client, people.rita, client="Café") == [mine]
    assert listed(client, people.rita, priority="0") == [free]
    assert listed(client, people.rita, stage="2") == [mine, free]
    assert listed(client, people.rita, stage="3") == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"stage": "x"},
        {"priority": "99"},
        {"client": "nobody's"},
        {"assigned": "'; --"},
        {"page": "many"},
        {"page": "9"},
    ],
)
def test_filters_that_make_no_sense_filter_nothing(client, people, batch, parameters):
    job = make_job(batch, *REVIEW)
    assert listed(client, people.rita, **parameters) == [job]


def test_the_clients_to_choose_from_are_those_of_my_queue(client, people, batch, red):
    make_job(batch, *REVIEW, client_name="Ours")
    theirs = Batch.objects.create(team=red, name="Theirs", created_by=people.oscar)
    make_job(theirs, *REVIEW, client_name="Secret client")
    client.force_login(people.rita)
    html = client.get(reverse("admin:my_queue")).content.decode()
    assert "Ours" in html
    assert "Secret client" not in html
    assert "oscar" not in html


def test_ticked_jobs_are_assigned_and_written_down(client, people, batch):
    jobs = [make_job(batch, *REVIEW), make_job(batch, *REVIEW)]
    response = assign(client, people.rita, jobs, people.adam, address="priority=2&next=https://evil.example&stage=2")
    assert (response.status_code, response.url) == (302, reverse("admin:my_queue") + "?stage=2&priority=2")
    for job in jobs:
        job.refresh_from_db()
        assert job.assignee == people.adam
    assert Event.objects.filter(verb="assign", actor=people.rita).count() == 2
    assert "2 jobs are assigned to adam." in client.get(reverse("admin:my_queue")).content.decode()


def test_jobs_are_given_back_to_nobody(client, people, batch):
    job = make_job(batch, *REVIEW, assignee=people.rita)
    assert assign(client, people.rita, [job], "nobody").status_code == 302
    job.refresh_from_db()
    assert job.assignee is None


def test_a_job_of_another_team_is_not_there_and_nothing_is_assigned(client, people, batch, red):
    ours = make_job(batch, *REVIEW)
    theirs = make_job(Batch.objects.create(team=red, name="Theirs", created_by=people.oscar), *REVIEW)
    assert assign(client, people.rita, [ours, theirs], people.rita).status_code == 404
    ours.refresh_from_db()
    assert ours.assignee is None


@pytest.mark.parametrize("value", ["x", "-1", "99999999999999999999999", "1 OR 1=1"])
def test_a_job_that_is_no_job_is_not_there(client, people, batch, value):
    assert assign(client, people.rita, [value], people.rita).status_code == 404


def test_a_job_is_named_in_ascii_digits(client, people, batch):
    job = make_job(batch, *REVIEW)
    elsewhere = "".join(chr(0x0660 + int(digit)) for digit in str(job.pk))
    assert assign(client, people.rita, [elsewhere], people.rita).status_code == 404


def test_viewers_may_not_assign(client, people, batch):
    job = make_job(batch, *REVIEW)
    response = assign(client, people.vera, [job], people.rita)
    assert response.status_code == 403
    assert "This takes the role" in response.content.decode()
    job.refresh_from_db()
    assert job.assignee is None


@pytest.mark.parametrize("who", ["", "0", "vera", "oscar", "nobody-there"])
def test_only_people_who_decide_in_my_team_can_be_asked(client, people, batch, who):
    job = make_job(batch, *REVIEW)
    assignee = getattr(people, who, who)
    response = assign(client, people.rita, [job], assignee)
    assert response.status_code == 422
    assert "Choose the person" in response.content.decode()
    job.refresh_from_db()
    assert job.assignee is None


def test_assigning_nothing_says_what_to_do(client, people):
    response = assign(client, people.rita, [], people.rita)
    assert response.status_code == 422
    assert "Tick the jobs" in response.content.decode()


def test_all_or_nothing_when_one_job_cannot_be_given(client, people, batch, red):
    """Oscar joins Blue as well: a Blue reviewer cannot be asked for Oscar's Red job."""
    Membership.objects.create(team=batch.team, user=people.oscar, role=Role.REVIEWER)
    ours = make_job(batch, *REVIEW)
    theirs = make_job(Batch.objects.create(team=red, name="Theirs", created_by=people.oscar), *REVIEW)
    response = assign(client, people.oscar, [ours, theirs], people.rita)
    assert response.status_code == 422
    assert "neither reviewer nor approver in Red" in response.content.decode()
    ours.refresh_from_db()
    assert ours.assignee is None
    assert not Event.objects.filter(verb="assign").exists()


@pytest.mark.parametrize("jobs", [2, 55])
def test_the_queries_do_not_grow_with_the_jobs(client, people, batch, jobs):
    for _ in range(jobs):
        make_job(batch, *REVIEW, assignee=people.rita)
    client.force_login(people.rita)
    with CaptureQueriesContext(connection) as queries:
        client.get(reverse("admin:my_queue"))
    # session, person, membership, two for Django's permissions; roles, clients, how many, jobs, pictures, people
    assert len(queries) <= 11, [query["sql"][:120] for query in queries]


def test_a_long_queue_has_pages_that_keep_the_filters(client, people, batch):
    for _ in range(51):
        make_job(batch, *REVIEW)
    client.force_login(people.rita)
    html = client.get(reverse("admin:my_queue"), {"stage": "2"}).content.decode()
    assert "Page 1 of 2" in html
    assert "stage=2&amp;page=2" in html
    assert len(listed(client, people.rita, stage="2", page="2")) == 1
