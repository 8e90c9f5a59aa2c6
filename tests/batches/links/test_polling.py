"""batches.links.polling: sheets are looked at by the clock, and people are told; nothing is applied"""

from __future__ import annotations

import pytest
from django.urls import reverse

from batches.links import linking, polling
from batches.models import Batch
from jobs import chores
from jobs.models import Errand, Event, Notice
from tests.batches.google.fake import ID, NO_PERMISSION
from tests.batches.links.conftest import cells, pass_minutes, work

pytestmark = pytest.mark.django_db


@pytest.fixture
def polled(people, linked):
    return linking.amend(people.olga, linked, is_polling=True, poll_minutes=5)


def told():
    return [(notice.user.username, notice.facts["reason"]) for notice in Notice.objects.order_by("pk")]


def test_a_sheet_is_looked_at_when_it_is_due_and_not_before(sheet, polled):
    asked = len(sheet.requests)
    pass_minutes(4)
    assert len(sheet.requests) == asked
    pass_minutes(1)
    assert len(sheet.requests) > asked
    asked = len(sheet.requests)
    chores.do_all()
    work()
    assert len(sheet.requests) == asked


def test_operators_are_told_once_of_what_differs_and_nothing_is_applied(client, people, sheet, polled):
    sheet.tabs[0].rows[1:] = [cells(1, "blue"), cells(2), cells(4), cells(5)]
    pass_minutes(5)
    assert told() == [("olga", "Spring: 2 new, 1 changed, 1 gone")]
    pass_minutes(5)
    assert len(told()) == 1
    assert dict(polled.batch.jobs.values_list("job_id", "state")) == dict.fromkeys(["J-1", "J-2", "J-3"], "pending")
    assert Event.objects.get(verb="read_sheet").data["differs"] == "2 new, 1 changed, 1 gone"
    client.force_login(people.olga)
    answer = client.post(reverse("admin:notice_open", args=[Notice.objects.get().pk]))
    assert answer["Location"] == reverse("admin:linked_sheet", args=[polled.pk])


@pytest.mark.parametrize("again", [False, True])
def test_a_notice_of_a_sheet_that_was_unlinked_leads_to_the_batch(client, people, sheet, polled, again):
    sheet.tabs[0].rows[1:] = [cells(1, "blue"), cells(2), cells(3)]
    pass_minutes(5)
    batch = polled.batch
    linking.remove(people.olga, polled)
    if again:
        linking.link(people.olga, batch.team, url=ID, batch=batch)
    client.force_login(people.olga)
    answer = client.post(reverse("admin:notice_open", args=[Notice.objects.get().pk]), follow=True)
    assert answer.redirect_chain == [(reverse("admin:batch", args=[batch.pk]), 302)]
    assert "linked no more" in answer.content.decode()


def test_a_sheet_that_says_the_same_or_the_same_in_another_order_tells_nothing(sheet, polled):
    before = linking.newest(polled)
    pass_minutes(5)
    assert linking.newest(polled) == before
    sheet.tabs[0].rows[1:] = reversed(sheet.tabs[0].rows[1:])
    pass_minutes(5)
    assert linking.newest(polled) != before
    assert told() == []


def test_what_a_person_looks_at_by_hand_is_not_told_again(people, sheet, polled):
    sheet.tabs[0].rows.append(cells(4))
    linking.sync(people.olga, polled)
    work()
    chores.do_all()
    assert told() == []


def test_a_header_that_is_gone_is_told(sheet, polled):
    del sheet.tabs[0].rows[0]
    pass_minutes(5)
    assert told()[0][1].startswith("Spring: Say which column is")


def test_after_five_failures_that_only_people_can_mend_it_is_polled_no_more(people, sheet, polled):
    sheet.faults_at[""] = [NO_PERMISSION] * 6
    for number in range(1, 5):
        pass_minutes(24 * 60)
        polled.refresh_from_db()
        assert (polled.failures, polled.is_polling) == (number, True)
    pass_minutes(24 * 60)
    polled.refresh_from_db()
    assert (polled.failures, polled.is_polling) == (5, False)
    assert "polled no more" in polled.error
    asked = len(sheet.requests)
    pass_minutes(24 * 60)
    assert len(sheet.requests) == asked
    sheet.faults_at.clear()
    linking.amend(people.olga, polled, is_polling=True)
    pass_minutes(24 * 60)
    polled.refresh_from_db()
    assert (polled.failures, polled.error) == (0, "")


def test_failures_are_waited_out_longer_and_longer(sheet, polled):
    sheet.faults_at[""] = [NO_PERMISSION] * 2
    pass_minutes(5)
    asked = len(sheet.requests)
    pass_minutes(9)
    assert len(sheet.requests) == asked
    pass_minutes(1)
    assert len(sheet.requests) > asked


def test_two_machines_send_one_errand(sheet, polled):
    type(polled).objects.update(poll_after=polled.created_at)
    assert (polling.poll_due(), polling.poll_due()) == (1, 0)
    assert Errand.objects.filter(kind=linking.READ_ERRAND, state="queued").count() == 1


def test_archived_and_deleted_batches_are_not_polled(sheet, polled):
    asked = len(sheet.requests)
    Batch.objects.update(archived_at=polled.created_at)
    pass_minutes(10)
    Batch.objects.update(archived_at=None, deleted_at=polled.created_at)
    pass_minutes(10)
    assert len(sheet.requests) == asked


def test_a_link_without_polling_is_left_alone(sheet, linked):
    asked = len(sheet.requests)
    pass_minutes(10_000)
    assert len(sheet.requests) == asked
