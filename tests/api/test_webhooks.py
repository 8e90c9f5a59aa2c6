"""/api/webhooks/ and /api/deliveries/: who may do what, and that secrets are shown once."""

from __future__ import annotations

import pytest

from jobs.models import Delivery, Event, WebhookEndpoint
from jobs.models.notice import NOTICE_NAMES
from jobs.notices import announce_test
from jobs.tokens import Scope, issue

pytestmark = pytest.mark.django_db
WEBHOOKS, DELIVERIES = "/api/webhooks/", "/api/deliveries/"
NEW = {"team": "blue", "url": "https://hooks.example/a"}


@pytest.fixture
def endpoint(blue):
    return WebhookEndpoint.objects.create(team=blue, url="https://hooks.example/b")


@pytest.fixture
def dead(endpoint):
    delivery = announce_test(endpoint)
    Delivery.objects.update(state=Delivery.DEAD, attempts=12, last_status=500, last_answer="broken")
    return delivery


def test_a_new_endpoint_shows_its_secret_once(api, people):
    client = api(people.olga)
    answer = client.post(WEBHOOKS, NEW, headers={"Idempotency-Key": "one"})
    assert answer.status_code == 201
    assert answer["Cache-Control"] == "no-store"
    made = answer.json()
    assert made["secret"] == WebhookEndpoint.objects.get().secret
    assert (made["events"], made["active"]) == (list(NOTICE_NAMES), True)
    again = client.post(WEBHOOKS, NEW, headers={"Idempotency-Key": "one"})
    assert again.json() == made
    for shown in (client.get(WEBHOOKS), client.get(f"{WEBHOOKS}{made['id']}/"), client.get("/api/events/")):
        assert made["secret"] not in shown.content.decode()
    assert Event.objects.get(verb="add_endpoint").actor == people.olga


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "https://127.0.0.1/x"}, "url"), ({"url": "http://hooks.example/x"}, "url"), ({"url": "x"}, "url"),
        ({"url": "https://a:b@hooks.example/"}, "url"), ({"url": "ftp://hooks.example/"}, "url"),
        ({"events": ["job.exploded"]}, "events"), ({"secret": "whsec_x"}, "secret"), ({"active": "yes"}, "active"),
        ({"url": "https://hooks.example/" + "a" * 500}, "url"),
    ],
)  # fmt: skip
def test_what_cannot_be_an_endpoint_is_400_by_name(api, people, endpoint, body, field):
    client = api(people.olga)
    assert list(client.post(WEBHOOKS, {**NEW, **body}).json()) == [field]
    answer = client.patch(f"{WEBHOOKS}{endpoint.pk}/", body)
    assert (answer.status_code, list(answer.json())) == (400, [field])
    assert list(WebhookEndpoint.objects.values_list("url", "active")) == [(endpoint.url, True)]


def test_the_same_address_twice_is_400(api, people, endpoint):
    assert api(people.olga).post(WEBHOOKS, {**NEW, "url": endpoint.url}).status_code == 400


def test_an_operator_changes_rotates_tests_and_removes(api, people, endpoint):
    client, address = api(people.olga), f"{WEBHOOKS}{endpoint.pk}/"
    before = endpoint.secret
    changed = client.patch(address, {"events": ["job.failed"]}).json()
    assert (changed["events"], changed["url"]) == (["job.failed"], endpoint.url)
    rotated = client.post(f"{address}rotate/")
    endpoint.refresh_from_db()
    assert rotated.json()["secret"] == endpoint.secret != before
    assert client.post(f"{address}rotate/").status_code == 409
    test = client.post(f"{address}test/")
    assert (test.status_code, test.json()["state"], test.json()["receiver"]) == (201, "waiting", endpoint.url)
    client.patch(address, {"active": False})
    assert client.post(f"{address}test/").status_code == 409
    assert client.delete(address).status_code == 204
    assert not WebhookEndpoint.objects.exists()
    verbs = list(Event.objects.order_by("id").values_list("verb", flat=True))
    assert verbs == ["change_endpoint", "rotate_secret", "change_endpoint", "remove_endpoint"]


@pytest.mark.parametrize("who", ["rita", "adam", "vera"])
def test_others_of_the_team_look_and_change_nothing(api, people, endpoint, dead, who):
    client = api(getattr(people, who))
    assert [row["id"] for row in client.get(WEBHOOKS).json()["results"]] == [endpoint.pk]
    address = f"{WEBHOOKS}{endpoint.pk}/"
    refused = [
        client.post(WEBHOOKS, NEW), client.patch(address, {"active": False}), client.delete(address),
        client.post(f"{address}rotate/"), client.post(f"{address}test/"), client.post(f"{DELIVERIES}{dead.pk}/replay/"),
        client.post(f"{DELIVERIES}replay-dead/", {"team": "blue"}),
    ]  # fmt: skip
    assert {answer.status_code for answer in refused} == {403}


def test_a_token_needs_the_scope_submit(api, people, endpoint):
    for scopes, status in (((Scope.READ,), 403), ((Scope.REVIEW,), 403), ((Scope.SUBMIT,), 201)):
        client = api()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue(people.olga, name='x', scopes=scopes)[1]}")
        assert client.post(WEBHOOKS, NEW).status_code == status


def test_deliveries_are_filtered_and_sent_again(api, people, endpoint, dead):
    client = api(people.olga)
    waiting = announce_test(endpoint)
    rows = client.get(f"{DELIVERIES}?state=dead&channel=webhook&endpoint={endpoint.pk}&name=test").json()["results"]
    assert [(row["id"], row["last_status"], row["attempts"]) for row in rows] == [(dead.pk, 500, 12)]
    assert rows[0]["message_id"] == f"msg_{dead.message_id.hex}"
    assert client.post(f"{DELIVERIES}{dead.pk}/replay/").json()["state"] == "waiting"
    assert client.post(f"{DELIVERIES}{waiting.pk}/replay/").status_code == 409
    Delivery.objects.update(state=Delivery.DEAD)
    assert client.post(f"{DELIVERIES}replay-dead/", {"team": "blue"}).json() == {"replayed": 2}
    assert client.post(f"{DELIVERIES}replay-dead/", {"team": "blue"}).status_code == 409
    assert client.post(f"{DELIVERIES}replay-dead/", {"team": "red"}).status_code == 404
