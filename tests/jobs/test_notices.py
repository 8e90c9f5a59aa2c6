"""jobs.notices: what happens is told outside, at least once, and never instead of happening."""

from __future__ import annotations

import email
import ipaddress
import json
import logging
import re
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from jobs import clock, notices, webhooks
from jobs.errors import Conflict
from jobs.lifecycle import move
from jobs.log_context import bound, bound_ids
from jobs.models import Delivery, Errand, Event, MailSwitch, Notice, Seal, WebhookEndpoint
from jobs.models.notice import NOTICE_NAMES
from jobs.notices import (
    POLICY,
    announce_errand,
    announce_test,
    deliver_due,
    forget_old,
    replay,
    replay_dead,
    rotate_secret,
)
from jobs.states import Stage, State
from tests.jobs.receivers import PATIENCE_SECONDS, mail_server, nobody, receiving, status
from tests.people import make_job

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def _loopback(settings, monkeypatch):
    settings.WEBHOOK_ALLOWED_NETWORKS = [ipaddress.ip_network("127.0.0.0/8")]
    monkeypatch.setattr(webhooks, "SECONDS", PATIENCE_SECONDS)  # no answer is late because this machine is slow


@pytest.fixture
def endpoint(blue):
    return WebhookEndpoint.objects.create(team=blue, url="http://127.0.0.1:9/hook")


def sent_to(receiver) -> list[dict]:
    return [json.loads(request["body"]) for request in receiver.requests]


def make_due() -> None:
    Delivery.objects.filter(state=Delivery.WAITING).update(available_at=timezone.now() - timedelta(seconds=1))


def names() -> list[str]:
    return list(Delivery.objects.order_by("id").values_list("name", flat=True))


@pytest.mark.parametrize(
    ("verb", "stage", "state", "expected"),
    [
        ("prepare", Stage.MATCHING, State.RUNNING, ["job.awaiting_review"]),
        ("prepare", Stage.PREVIEW, State.RUNNING, ["job.awaiting_approval"]),
        ("find_faults", Stage.DELIVERY, State.RUNNING, ["job.validation_failed"]),
        ("deploy", Stage.DELIVERY, State.RUNNING, ["job.deployed", "batch.completed"]),
        ("fail", Stage.MATCHING, State.RUNNING, ["job.failed", "batch.failed"]),
        ("cancel", Stage.MATCHING, State.IN_REVIEW, []),
        ("claim", Stage.MATCHING, State.QUEUED, []),
        ("start", Stage.INGESTION, State.PENDING, []),
    ],
)
def test_a_move_tells_what_it_leads_to(batch, endpoint, verb, stage, state, expected):
    move(make_job(batch, stage, state), verb)
    assert names() == expected


def test_an_endpoint_that_is_gone_is_switched_off_and_the_history_says_so(batch, endpoint):
    with receiving() as receiver:
        receiver.replies = [status(410, "moved away")]
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(url=receiver.url)
        move(make_job(batch, Stage.MATCHING, State.RUNNING), "prepare")
        move(make_job(batch, Stage.MATCHING, State.RUNNING), "prepare")
        assert deliver_due() == 1
        make_due()
        assert deliver_due() == 0
    endpoint.refresh_from_db()
    assert not endpoint.active
    gone, waiting = Delivery.objects.order_by("id")
    assert (gone.state, gone.attempts, gone.last_status) == (Delivery.DEAD, 1, 410)
    assert (waiting.state, waiting.attempts) == (Delivery.WAITING, 0)
    told = Event.objects.get(verb="switch_off_endpoint")
    assert told.team == batch.team
    assert "410 Gone" in told.reason
    assert told.data == {"what": f"webhook endpoint {endpoint.pk} at 127.0.0.1"}


def test_nothing_is_written_for_a_team_that_listens_to_nothing(batch, red):
    WebhookEndpoint.objects.create(team=red, url="https://red.example/")
    WebhookEndpoint.objects.create(team=batch.team, url="https://off.example/", active=False)
    WebhookEndpoint.objects.create(team=batch.team, url="https://few.example/", events=["job.failed"])
    MailSwitch.objects.create(team=batch.team, active=False)
    move(make_job(batch, Stage.DELIVERY, State.RUNNING), "deploy")
    assert names() == []


def shape(value):
    """The names in a JSON, at every depth but in what people name themselves."""
    if not isinstance(value, dict):
        return type(value).__name__
    return {name: "dict" if name == "external_ids" else shape(inner) for name, inner in value.items()}


def test_the_guide_shows_what_webhooks_carry(batch, endpoint):
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    shown = {one["type"]: one for one in shown if one.get("type") in NOTICE_NAMES}
    failed = make_job(batch, Stage.MATCHING, State.FAILED, bytes_in=5)
    last = make_job(batch, Stage.DELIVERY, State.RUNNING, bytes_in=20, bytes_out=3)
    known = {"dropbox": "/Clients/PL", "monday": "4711"}
    for key, value in known.items():
        batch.external_ids.create(key=key, value=value)
    with receiving() as receiver:
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(url=receiver.url)
        move(last, "deploy")
        announce_errand(Errand.objects.create(kind="judge_sheet", subject=1, team=batch.team), error="Oh", failed=3)
        assert deliver_due() == 3
    assert len(sent_to(receiver)) == 3
    sent = {one["type"]: one for one in sent_to(receiver)}
    assert sorted(sent) == sorted(shown) == ["batch.completed_with_errors", "errand.failed", "job.deployed"]
    for name, one in sent.items():
        assert shape(one) == shape(shown[name]), name
        assert "batch" not in one["data"] or one["data"]["batch"]["external_ids"] == known, name
    assert sent["errand.failed"]["data"]["url"].endswith(reverse("admin:dead_letters"))
    told = sent["batch.completed_with_errors"]["data"]
    assert (told["bytes_in"], told["bytes_out"]) == (failed.bytes_in + 20, 3)
    told = sent["job.deployed"]["data"]["job"]
    assert (told["bytes_in"], told["bytes_out"]) == (20, 3)


def test_a_batch_is_over_when_its_last_job_settles(batch, endpoint):
    endpoint.events = [name for name in NOTICE_NAMES if name.startswith("batch.")]
    endpoint.save()
    first, second, third = (make_job(batch, Stage.DELIVERY, State.RUNNING) for _ in range(3))
    move(first, "deploy")
    move(second, "cancel")
    assert names() == []
    move(third, "fail", reason="the file ends early")
    assert names() == ["batch.completed_with_errors"]
    assert Delivery.objects.get().payload["data"]["jobs"] == {"completed": 1, "failed": 1, "cancelled": 1}
    move(third, "retry")
    move(third, "claim")
    move(third, "deploy")
    assert names() == ["batch.completed_with_errors", "batch.completed"]


def test_a_batch_that_was_cancelled_as_a_whole_is_not_told(batch, endpoint):
    for job in [make_job(batch), make_job(batch)]:
        move(job, "cancel")
    assert names() == []


def test_the_row_comes_and_goes_with_the_change(batch, endpoint):
    job = make_job(batch, Stage.DELIVERY, State.RUNNING)
    with transaction.atomic():
        move(job, "deploy")
        assert Delivery.objects.count() == 2
        transaction.set_rollback(True)
    assert Delivery.objects.count() == 0


def test_a_delivery_says_what_happened_and_where_to_look(batch, endpoint, settings):
    settings.SITE_URL = "https://jobs.example.com"
    job = make_job(batch, Stage.MATCHING, State.RUNNING, job_id="PC-1", client_name="Ölmühle")
    with receiving() as receiver:
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(url=receiver.url, events=["job.failed"])
        move(job, "fail", reason="a.psd: ends early")
        assert deliver_due() == 1
    (request,) = receiver.requests
    told = Webhook(endpoint.secret).verify(request["body"], request["headers"])
    assert told["type"] == "job.failed"
    assert told["data"]["job"]["job_id"] == "PC-1"
    assert told["data"]["job"]["client_name"] == "Ölmühle"
    assert told["data"]["reason"] == "a.psd: ends early"
    assert told["data"]["url"] == f"https://jobs.example.com/admin/jobs/{job.pk}/"
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("delivered", 1, 204)


def test_a_receiver_that_is_down_for_a_while_gets_everything_once_under_the_same_ids(blue, endpoint, monkeypatch):
    monkeypatch.setattr(notices, "POLICY", replace(POLICY, first_seconds=3600.0))
    with nobody() as port:
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(url=f"http://127.0.0.1:{port}/hook")
        endpoint.refresh_from_db()
        ids = {f"msg_{announce_test(endpoint).message_id.hex}" for _ in range(3)}
        for _ in range(2):
            make_due()
            assert deliver_due() == 3
            assert deliver_due() == 0  # each waits for its time
        assert set(Delivery.objects.values_list("state", "attempts", "last_status")) == {("waiting", 2, None)}
        with receiving(port) as receiver:
            receiver.replies = [status(500, "still coming up")]
            for _ in range(2):
                make_due()
                deliver_due()
    arrived = [request["headers"]["webhook-id"] for request in receiver.requests]
    assert set(arrived) == ids
    assert len(arrived) == 4  # the one that was answered by 500 came again
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}


def test_the_line_of_a_delivery_names_its_request_and_job_and_says_what_was_answered(batch, endpoint, caplog):
    named: list[dict[str, str]] = []

    class Recorder(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            named.append(dict(bound_ids()))

    with bound(request="r9"):
        move(make_job(batch, stage=Stage.MATCHING, state=State.RUNNING, job_id="PC-7"), "prepare")
    recorder = Recorder()
    caplog.set_level(logging.INFO)
    logging.getLogger("jobs.notices").addHandler(recorder)
    with receiving() as receiver:
        WebhookEndpoint.objects.update(url=receiver.url)
        receiver.replies = [status(503, "")]
        assert deliver_due() == 1
    logging.getLogger("jobs.notices").removeHandler(recorder)
    assert named == [{"request": "r9", "job": "PC-7"}]
    assert caplog.messages[-1].endswith("will be tried again, attempt 1: 503")


def test_the_waits_grow_from_a_second_to_an_hour_and_then_it_is_dead(endpoint):
    delivery = announce_test(endpoint)
    waits = []
    for _ in range(POLICY.attempts):
        make_due()
        before = timezone.now()
        assert deliver_due(1) == 1
        delivery.refresh_from_db()
        # At least, and at most.
        waits.append([(delivery.available_at - moment).total_seconds() for moment in (before, timezone.now())])
    assert (delivery.state, delivery.attempts) == (Delivery.DEAD, 12)
    assert 0.5 < waits[0][0] >= waits[0][1] < 1.3
    assert 2 < waits[1][0] >= waits[1][1] < 3.7
    assert all(2_800 < least >= most < 4_400 for least, most in waits[8:11])
    make_due()
    assert deliver_due() == 0


def dies(delivery) -> None:
    """The last attempt of a delivery fails; so that it is the only one that is due, the others wait."""
    Delivery.objects.filter(state=Delivery.WAITING).update(available_at=timezone.now() + timedelta(hours=1))
    due = timezone.now() - timedelta(seconds=1)
    Delivery.objects.filter(pk=delivery.pk).update(available_at=due, attempts=POLICY.attempts - 1)
    assert deliver_due(1) == 1
    delivery.refresh_from_db()
    assert delivery.state == Delivery.DEAD


@pytest.fixture
def _no_mail_server(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9


def written(endpoint, name="job.deployed", **receiver):
    receiver = receiver or {"channel": "webhook", "endpoint": endpoint, "lane": f"webhook-{endpoint.pk}"}
    payload = {"type": name, "timestamp": "", "data": {"reason": ""}}
    return Delivery.objects.create(team=endpoint.team, name=name, payload=payload, **receiver)


def rung() -> list[tuple[str, int]]:
    return list(Notice.objects.filter(name="delivery.dead").order_by("id").values_list("user__username", "times"))


def test_an_endpoint_that_is_down_is_told_of_once_until_it_takes_something(people, endpoint, red):
    MailSwitch.objects.create(team=endpoint.team, events=[])
    rows = [written(endpoint) for _ in range(5)]
    for row in rows[:3]:
        dies(row)
    assert rung() == [("olga", 3)]
    mail = Delivery.objects.get(name="delivery.dead")
    assert (mail.channel, mail.recipient) == ("email", "olga@example.com")
    facts = mail.payload["data"]
    assert (facts["what"], facts["failed"], facts["waiting"]) == (f"webhook endpoint {endpoint.pk} at 127.0.0.1", 1, 4)
    assert facts["delivery"] == {"id": rows[0].pk, "name": "job.deployed", "attempts": POLICY.attempts}
    assert facts["reason"].startswith("job.deployed: ")
    told = Event.objects.get(verb="give_up_delivery")
    assert (told.team, told.data) == (endpoint.team, {"what": facts["what"]})
    Notice.objects.update(read_at=timezone.now())
    dies(written(endpoint))
    assert rung() == [("olga", 3)]
    Delivery.objects.filter(pk=rows[3].pk).update(state=Delivery.DELIVERED, last_at=timezone.now())
    dies(rows[4])
    assert rung() == [("olga", 3), ("olga", 1)]


@pytest.mark.usefixtures("_no_mail_server")
def test_a_receiver_that_is_down_hides_no_other(people, endpoint):
    other = WebhookEndpoint.objects.create(team=endpoint.team, url="http://127.0.0.1:9/other")
    dies(written(endpoint))
    dies(written(other))
    dies(written(endpoint, channel="email", lane="email", recipient="olga@example.com"))
    assert Event.objects.filter(verb="give_up_delivery").count() == 3
    assert rung() == [("olga", 3)]


@pytest.mark.usefixtures("_no_mail_server")
def test_nobody_is_told_of_what_tells_of_dead_deliveries_nor_of_tests(people, endpoint):
    MailSwitch.objects.create(team=endpoint.team, events=[])
    dies(announce_test(endpoint))
    dies(written(endpoint, "delivery.dead", channel="email", lane="email", recipient="olga@example.com"))
    assert rung() == []
    assert Delivery.objects.filter(state=Delivery.WAITING).count() == 0
    dies(written(endpoint))
    assert not Delivery.objects.filter(name="delivery.dead", channel="webhook").exists()


def test_a_receiver_may_ask_for_time_but_not_for_more_than_an_hour(endpoint):
    with receiving() as receiver:
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(url=receiver.url)
        endpoint.refresh_from_db()
        announce_test(endpoint)
        for asked, waited in (("100", 100), ("999999", 3600)):
            receiver.replies = [status(429, Retry_After=asked)]
            make_due()
            before = timezone.now()
            assert deliver_due() == 1
            due_at = Delivery.objects.get().available_at
            assert (due_at - before).total_seconds() > waited - 5
            assert (due_at - timezone.now()).total_seconds() <= waited


def test_a_sender_that_dies_leaves_the_row_due_after_its_hold(endpoint):
    with receiving() as receiver:
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(url=receiver.url)
        endpoint.refresh_from_db()
        announce_test(endpoint)
        assert notices._claim() is not None  # and then it is killed
        assert deliver_due() == 0
        make_due()
        assert deliver_due() == 1
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts, delivery.token) == ("delivered", 2, None)


def test_a_slow_receiver_holds_up_its_own_lane_alone(blue, endpoint):
    with receiving() as receiver:
        other = WebhookEndpoint.objects.create(team=blue, url=receiver.url)
        announce_test(endpoint)
        announce_test(endpoint)
        taken = notices._claim()  # somebody else waits for the slow one's answer
        announce_test(other)
        assert taken.endpoint == endpoint
        assert deliver_due() == 1
        assert len(receiver.requests) == 1


def test_a_late_sender_does_not_undo_what_another_did(endpoint):
    announce_test(endpoint)
    late = notices._claim()
    make_due()
    with receiving() as receiver:
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(url=receiver.url)
        deliver_due()
    notices._settle(late, notices.Answer(status=None, text="timed out"))
    assert Delivery.objects.get().state == Delivery.DELIVERED


def test_an_endpoint_that_is_switched_off_waits_until_it_is_on_again(endpoint):
    announce_test(endpoint)
    WebhookEndpoint.objects.update(active=False)
    assert deliver_due() == 0
    with receiving() as receiver:
        WebhookEndpoint.objects.update(active=True, url=receiver.url)
        assert deliver_due() == 1
    endpoint.refresh_from_db()
    endpoint.active = False
    with pytest.raises(Conflict):
        announce_test(endpoint)


def test_an_endpoint_that_moved_inside_gets_nothing(endpoint, settings):
    announce_test(endpoint)
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    WebhookEndpoint.objects.update(url="https://169.254.169.254/latest")
    deliver_due()
    assert "not sent" in Delivery.objects.get().last_answer


def test_replay_sends_again_under_the_same_id(endpoint):
    with receiving() as receiver:
        WebhookEndpoint.objects.update(url=receiver.url)
        endpoint.refresh_from_db()
        delivery = announce_test(endpoint)
        with pytest.raises(Conflict):
            replay(delivery)
        deliver_due()
        replay(delivery)
        Delivery.objects.update(state=Delivery.DEAD, attempts=12)
        assert replay_dead(endpoint.team) == 1
        deliver_due()
    assert len({request["headers"]["webhook-id"] for request in receiver.requests}) == 1
    assert Delivery.objects.get().state == Delivery.DELIVERED


def test_for_a_day_after_a_rotation_both_secrets_verify_what_is_sent(people, endpoint):
    old = endpoint.secret
    rotate_secret(people.olga, endpoint)
    assert endpoint.secret != old
    with pytest.raises(Conflict):
        rotate_secret(people.olga, endpoint)
    with receiving() as receiver:
        WebhookEndpoint.objects.update(url=receiver.url)
        endpoint.refresh_from_db()
        announce_test(endpoint)
        deliver_due()
        WebhookEndpoint.objects.update(old_secret_until=clock.now())
        endpoint.refresh_from_db()
        announce_test(endpoint)
        deliver_due()
    during, after = receiver.requests
    for secret in (old, endpoint.secret):
        assert Webhook(secret).verify(during["body"], during["headers"])["type"] == "test"
    assert Webhook(endpoint.secret).verify(after["body"], after["headers"])
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(after["body"], after["headers"])
    event = Event.objects.get(verb="rotate_secret")
    assert event.actor == people.olga
    assert "whsec" not in str(event.data)
    rotate_secret(people.olga, endpoint)


def test_mail_goes_to_those_who_shall_decide(batch, people, settings):
    MailSwitch.objects.create(team=batch.team, events=list(NOTICE_NAMES))
    with mail_server(settings) as mailbox:
        job = make_job(batch, Stage.MATCHING, State.RUNNING, job_id="Ä<b>\u2028")
        move(job, "prepare")
        assert deliver_due() == 1
        move(job, "cancel")
    (envelope,) = mailbox.envelopes
    assert envelope.rcpt_tos == ["rita@example.com"]
    text = envelope.content.decode()
    assert "multipart/alternative" in text
    (message,) = [email.message_from_bytes(envelope.content)]
    bodies = [part.get_payload(decode=True).decode() for part in message.walk() if not part.is_multipart()]
    noted = f"History head: {Seal.objects.order_by('position')[0]}"
    assert [noted in body for body in bodies] == [True, True]
    assert f"<{Delivery.objects.get().message_id.hex}@" in text
    assert Delivery.objects.get().state == Delivery.DELIVERED


def test_mail_about_a_batch_goes_to_every_member_once(batch, people, settings):
    MailSwitch.objects.create(team=batch.team)
    people.vera.is_active = False
    people.vera.save()
    move(make_job(batch, Stage.DELIVERY, State.RUNNING), "deploy")
    assert sorted(Delivery.objects.values_list("recipient", flat=True)) == [
        f"{name}@example.com" for name in ("adam", "olga", "rita")
    ]


def test_mail_that_is_refused_or_cannot_be_sent_is_tried_again(batch, people, settings):
    MailSwitch.objects.create(team=batch.team, events=["job.awaiting_review"])
    move(make_job(batch, Stage.MATCHING, State.RUNNING), "prepare")
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    deliver_due()
    assert "Connection refused" in Delivery.objects.get().last_answer
    with mail_server(settings) as mailbox:
        mailbox.refusals = ["451 come back later"]
        for expected in (Delivery.WAITING, Delivery.DELIVERED):
            make_due()
            deliver_due()
            assert Delivery.objects.get().state == expected
    assert len(mailbox.envelopes) == 1


def test_deliveries_are_forgotten_after_their_days(endpoint, settings):
    settings.NOTICE_DAYS = 3
    old, young = announce_test(endpoint), announce_test(endpoint)
    waiting = announce_test(endpoint)
    Delivery.objects.exclude(pk=waiting.pk).update(state=Delivery.DEAD)
    Delivery.objects.exclude(pk=young.pk).update(created_at=timezone.now() - timedelta(days=4))
    assert forget_old() == 1
    assert set(Delivery.objects.all()) == {young, waiting}
    assert old not in Delivery.objects.all()


@pytest.mark.django_db(transaction=True)
def test_of_two_jobs_that_settle_at_once_one_tells_of_the_batch(batch, endpoint):
    jobs = [make_job(batch, Stage.DELIVERY, State.RUNNING) for _ in range(4)]
    gate = threading.Barrier(len(jobs))

    def settle(job):
        gate.wait()
        try:
            move(job, "deploy")
        finally:
            connection.close()

    threads = [threading.Thread(target=settle, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Delivery.objects.filter(name="batch.completed").count() == 1
    assert Delivery.objects.filter(name="job.deployed").count() == 4


@pytest.mark.django_db(transaction=True)
def test_many_senders_send_each_delivery_once(blue, endpoint):
    with receiving() as receiver:
        WebhookEndpoint.objects.update(url=receiver.url)
        endpoint.refresh_from_db()
        for _ in range(12):
            announce_test(endpoint)

        def send():
            try:
                while Delivery.objects.filter(state=Delivery.WAITING).exists():
                    deliver_due(3)
            finally:
                connection.close()

        threads = [threading.Thread(target=send) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    arrived = [request["headers"]["webhook-id"] for request in receiver.requests]
    assert len(arrived) == len(set(arrived)) == 12
