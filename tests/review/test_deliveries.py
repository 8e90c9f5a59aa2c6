"""review.deliveries: what was sent, for everybody in the team; sending again, for operators."""

from __future__ import annotations

import ipaddress
import uuid
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from jobs.lifecycle import move
from jobs.models import Delivery, MailSwitch, Membership, WebhookEndpoint
from jobs.notices import announce_test, deliver_due
from jobs.states import Role, Stage, State
from tests.jobs.receivers import hang_up, receiving, status
from tests.people import make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def endpoint(blue):
    return WebhookEndpoint.objects.create(team=blue, url="https://hooks.example/a?b=<c>")


@pytest.fixture
def dead(endpoint):
    delivery = announce_test(endpoint)
    Delivery.objects.update(state=Delivery.DEAD, attempts=12, last_status=500, last_answer="<b>broken</b>")
    delivery.refresh_from_db()
    return delivery


VERBS = [
    ("deliveries_replay", lambda delivery: delivery.pk),
    ("deliveries_replay_dead", lambda delivery: delivery.team_id),
    ("deliveries_test", lambda delivery: delivery.endpoint_id),
    ("deliveries_secret", lambda delivery: delivery.endpoint_id),
]


def test_members_see_what_was_sent_and_what_came_back(client, people, dead, batch):
    MailSwitch.objects.create(team=batch.team)
    move(make_job(batch, Stage.DELIVERY, State.RUNNING, job_id="PC-9"), "deploy")
    client.force_login(people.vera)
    html = client.get(reverse("admin:deliveries")).content.decode()
    assert "&lt;b&gt;broken&lt;/b&gt;" in html
    assert f"msg_{dead.message_id.hex}" in html
    assert "PC-9" in html
    assert "rita@example.com" in html
    assert "Send again" not in html  # Vera views


def test_an_operator_is_offered_what_can_be_done(client, people, dead):
    client.force_login(people.olga)
    html = client.get(reverse("admin:deliveries")).content.decode()
    for name, key in VERBS:
        assert reverse(f"admin:{name}", args=[key(dead)]) in html


@pytest.mark.parametrize(
    ("query", "shown"),
    [("state=dead", 1), ("state=waiting", 0), ("channel=email", 0), ("name=test", 1), ("state=x", 1)],
)
def test_deliveries_are_filtered(client, people, dead, query, shown):
    client.force_login(people.olga)
    assert len(client.get(f"{reverse('admin:deliveries')}?{query}").context["page"].object_list) == shown


def test_an_empty_page_says_how_to_begin(client, people):
    client.force_login(people.olga)
    html = client.get(reverse("admin:deliveries")).content.decode()
    assert "Nothing was sent yet" in html
    assert "Nobody is told yet" in html


def test_other_teams_deliveries_and_endpoints_are_not_shown(client, people, dead):
    client.force_login(people.oscar)
    assert "hooks.example" not in client.get(reverse("admin:deliveries")).content.decode()


def test_one_dead_delivery_is_sent_again(client, people, dead):
    client.force_login(people.olga)
    assert client.post(reverse("admin:deliveries_replay", args=[dead.pk])).status_code == 302
    dead.refresh_from_db()
    assert (dead.state, dead.attempts) == (Delivery.WAITING, 0)


def test_all_dead_deliveries_are_sent_again(client, people, dead):
    client.force_login(people.olga)
    assert client.post(reverse("admin:deliveries_replay_dead", args=[dead.team_id])).status_code == 302
    assert Delivery.objects.filter(state=Delivery.WAITING).count() == 1


def test_a_test_is_written_to_the_outbox(client, people, endpoint):
    client.force_login(people.olga)
    answer = client.post(reverse("admin:deliveries_test", args=[endpoint.pk]))
    assert answer["Location"] == reverse("admin:jobs_webhookendpoint_change", args=[endpoint.pk])
    assert Delivery.objects.get().name == "test"


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (status(200, "<b>thanks</b>"), ["took it: it answered 200", "&lt;b&gt;thanks"]),
        (status(500, "out of order"), ["did not take it: it answered 500", "out of order", "tried again at"]),
        (status(410, "moved"), ["did not take it: it answered 410", "moved", "not tried again"]),
        (hang_up, ["There was no answer", "tried again at"]),
    ],
    ids=["200", "500", "410", "none"],
)
def test_the_endpoints_page_asks_until_its_test_is_answered(client, people, endpoint, settings, reply, words):
    settings.WEBHOOK_ALLOWED_NETWORKS = [ipaddress.ip_network("127.0.0.0/8")]
    page, result = (
        reverse(f"admin:{name}", args=[endpoint.pk]) for name in ("jobs_webhookendpoint_change", "deliveries_result")
    )
    with receiving() as receiver:
        receiver.replies = [reply]
        WebhookEndpoint.objects.update(url=receiver.url)
        client.force_login(people.olga)
        assert "No test was sent yet" in client.get(page).content.decode()
        shown = client.post(reverse("admin:deliveries_test", args=[endpoint.pk]), follow=True).content.decode()
        assert f'hx-get="{result}"' in shown
        assert f'hx-get="{result}"' in client.get(result).content.decode()
        deliver_due()
    for address in (page, result):
        shown = client.get(address).content.decode()
        assert f'hx-get="{result}"' not in shown
        assert all(word in shown for word in words), shown
    client.force_login(people.vera)
    assert words[0] in client.get(page).content.decode()
    assert "Send a test" not in client.get(result).content.decode()
    client.force_login(people.oscar)
    assert client.get(result).status_code == 404


def test_what_is_being_sent_has_no_result_yet(client, people, endpoint):
    announce_test(endpoint)
    Delivery.objects.update(attempts=1, token=uuid.uuid4(), last_status=500, last_answer="before")
    client.force_login(people.olga)
    shown = client.get(reverse("admin:deliveries_result", args=[endpoint.pk])).content.decode()
    assert "hx-get" in shown
    assert "before" not in shown


@pytest.mark.parametrize(("name", "key"), VERBS)
def test_the_ladder(client, people, dead, name, key):
    address = reverse(f"admin:{name}", args=[key(dead)])
    assert client.post(address).status_code == 302
    assert reverse("admin:login") in client.post(address)["Location"]
    client.force_login(people.olga)
    assert client.get(address).status_code == 405
    client.force_login(people.oscar)
    assert client.post(address).status_code == 404
    for person in (people.vera, people.rita, people.adam):
        client.force_login(person)
        assert client.post(address).status_code == 403
    assert Delivery.objects.get().state == Delivery.DEAD


def test_what_is_over_already_is_a_conflict(client, people, dead, endpoint):
    client.force_login(people.olga)
    Delivery.objects.update(state=Delivery.WAITING)
    tomorrow = timezone.now() + timedelta(hours=24)
    WebhookEndpoint.objects.update(active=False, old_secret_until=tomorrow)
    for name, key in VERBS:
        response = client.post(reverse(f"admin:{name}", args=[key(dead)]))
        assert response.status_code == 409, name
        assert 'role="alert"' in response.content.decode()
    assert Delivery.objects.count() == 1


# The receivers, among the records -------------------------------------------------------------------------------------


def form(team, **values):
    return {"team": team.pk, "url": "https://hooks.example/b", "events": ["job.failed"], "active": "on", **values}


def test_operators_add_endpoints_with_a_secret_of_their_own(client, people, blue, red):
    client.force_login(people.olga)
    page = client.get(reverse("admin:jobs_webhookendpoint_add"))
    assert ">Red<" not in page.content.decode()
    secret = page.context["adminform"].form["secret"].value()
    response = client.post(reverse("admin:jobs_webhookendpoint_add"), form(blue, secret=secret))
    assert response.status_code == 302
    endpoint = WebhookEndpoint.objects.get()
    assert (endpoint.secret, endpoint.events) == (secret, ["job.failed"])


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"url": "https://127.0.0.1/"}, "url"),
        ({"url": "http://hooks.example/"}, "url"),
        ({"url": "https://u:p@hooks.example/"}, "url"),
        ({"url": "x"}, "url"),
        ({"events": ["job.born"]}, "events"),
        ({"events": []}, "events"),
        ({"secret": "short"}, "secret"),
        ({"secret": "whsec_ü"}, "secret"),
    ],
)
def test_an_endpoint_that_cannot_work_is_refused_with_the_reason(client, people, blue, values, field):
    client.force_login(people.olga)
    secret = WebhookEndpoint(team=blue).secret
    response = client.post(reverse("admin:jobs_webhookendpoint_add"), {**form(blue, secret=secret), **values})
    assert field in response.context["adminform"].form.errors
    assert not WebhookEndpoint.objects.exists()


def test_another_teams_endpoint_cannot_be_made_or_changed(client, people, blue, endpoint):
    client.force_login(people.oscar)
    response = client.post(reverse("admin:jobs_webhookendpoint_add"), form(blue, secret=endpoint.secret))
    assert "team" in response.context["adminform"].form.errors
    address = reverse("admin:jobs_webhookendpoint_change", args=[endpoint.pk])
    assert client.post(address, form(blue, secret=endpoint.secret, url="https://evil.example/")).status_code == 302
    endpoint.refresh_from_db()
    assert "hooks.example" in endpoint.url


def test_an_endpoint_stays_with_its_team(client, people, blue, red, endpoint):
    """What was sent to it, and the history, are its team's."""
    Membership.objects.create(team=red, user=people.olga, role=Role.OPERATOR)
    client.force_login(people.olga)
    address = reverse("admin:jobs_webhookendpoint_change", args=[endpoint.pk])
    moved = form(red, secret=endpoint.secret, url="https://hooks.example/c")
    assert client.post(address, moved).status_code == 302
    endpoint.refresh_from_db()
    assert (endpoint.team, endpoint.url) == (blue, "https://hooks.example/c")


def test_others_of_the_team_see_endpoints_without_their_secret(client, people, endpoint):
    client.force_login(people.vera)
    address = reverse("admin:jobs_webhookendpoint_change", args=[endpoint.pk])
    html = client.get(address).content.decode()
    assert "hooks.example" in html
    assert endpoint.secret not in html
    assert client.post(address, {}).status_code == 403
    assert client.get(reverse("admin:jobs_webhookendpoint_add")).status_code == 403
    client.force_login(people.olga)
    assert endpoint.secret in client.get(address).content.decode().replace("&#x2B;", "+")


def test_a_secret_that_is_typed_in_ends_the_old_one_at_once(client, people, blue, endpoint):
    client.force_login(people.olga)
    client.post(reverse("admin:deliveries_secret", args=[endpoint.pk]))
    fresh = WebhookEndpoint(team=blue).secret
    address = reverse("admin:jobs_webhookendpoint_change", args=[endpoint.pk])
    endpoint.refresh_from_db()
    assert len(endpoint.secrets) == 2
    assert client.post(address, form(blue, secret=endpoint.secret)).status_code == 302
    endpoint.refresh_from_db()
    assert len(endpoint.secrets) == 2  # only something else was changed
    assert client.post(address, form(blue, secret=fresh)).status_code == 302
    endpoint.refresh_from_db()
    assert endpoint.secrets == [fresh]


def test_operators_switch_mail_on(client, people, blue):
    client.force_login(people.olga)
    data = {"team": blue.pk, "events": ["batch.completed"], "active": "on"}
    assert client.post(reverse("admin:jobs_mailswitch_add"), data).status_code == 302
    assert MailSwitch.objects.get().events == ["batch.completed"]
