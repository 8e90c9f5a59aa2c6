"""jobs.idempotency: what is sent twice happens once."""

from __future__ import annotations

import hashlib
import threading
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.urls import URLResolver, get_resolver
from django.utils import timezone

from batches.models import Upload
from jobs import idempotency
from jobs.encryption import WrongKey, unseal
from jobs.idempotency import HEADER, Idempotent
from jobs.models import IdempotentRequest
from jobs.sweeping import sweep_strays
from review.models import Comment
from tests.api.test_permissions import OPERATIONS, call, ours  # noqa: F401 (a fixture)
from tests.batches.sheets import sheet_of
from tests.people import PASSWORD

KEY = {HEADER: "a-key"}


@pytest.fixture
def comments(waiting):
    return f"/api/jobs/{waiting.pk}/comment/"


@pytest.fixture
def olga(api, people):
    return api(people.olga)


# Once -----------------------------------------------------------------------------------------------------------------
def test_the_same_request_happens_once_and_is_answered_the_same(olga, comments):
    first = olga.post(comments, {"text": "Hello."}, headers=KEY)
    again = olga.post(comments, {"text": "Hello."}, headers=KEY)
    assert first.status_code == again.status_code < 300
    assert first.content == again.content
    assert first["Content-Type"] == again["Content-Type"]
    assert (first.get("Idempotency-Replayed"), again["Idempotency-Replayed"]) == (None, "true")
    assert Comment.objects.count() == 1


def test_without_a_key_everything_happens_as_often_as_it_is_sent(olga, comments):
    for _ in range(2):
        olga.post(comments, {"text": "Hello."})
    assert Comment.objects.count() == 2
    assert not IdempotentRequest.objects.exists()


@pytest.mark.parametrize(
    ("address", "body"), [("{}", {"text": "Other."}), ("{}?x=1", {"text": "Hello."}), ("{}", {})], ids=range(3)
)
def test_the_same_key_for_another_request_is_409(olga, comments, address, body):
    olga.post(comments, {"text": "Hello."}, headers=KEY)
    answer = olga.post(address.format(comments), body, headers=KEY)
    assert (answer.status_code, answer.json()["state"]) == (409, "used")
    assert Comment.objects.count() == 1


def test_a_key_counts_for_one_person_at_one_address(api, people, olga, comments):
    body = {"text": "Hello."}
    olga.post(comments, body, headers=KEY)
    assert "Idempotency-Replayed" not in api(people.rita).post(comments, body, headers=KEY)
    assert "Idempotency-Replayed" not in olga.post(comments.replace("comment", "assign"), body, headers=KEY)
    assert Comment.objects.count() == 2


def test_what_was_refused_is_refused_again(olga, comments):
    first = olga.post(comments, {"text": ""}, headers=KEY)
    again = olga.post(comments, {"text": ""}, headers=KEY)
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert first.status_code == 400
    assert again["Idempotency-Replayed"] == "true"


def test_a_missing_role_is_not_remembered(api, people, batch):
    client = api(people.vera)
    address = f"/api/batches/{batch.pk}/start/"
    assert client.post(address, {}, headers=KEY).status_code == 403
    people.vera.memberships.update(role="operator")
    assert client.post(address, {}, headers=KEY).status_code != 403


@pytest.mark.parametrize("key", ["", "x" * 256, "ümlaut", "a\x7fb"])
def test_what_cannot_be_a_key_is_400(olga, comments, key):
    answer = olga.post(comments, {"text": "Hello."}, HTTP_IDEMPOTENCY_KEY=key)
    assert (answer.status_code, list(answer.json())) == (400, [HEADER])
    assert not Comment.objects.exists()


def test_reading_takes_no_notice_of_a_key(olga, waiting):
    for _ in range(2):
        answer = olga.get(f"/api/jobs/{waiting.pk}/", headers=KEY)
        assert "Idempotency-Replayed" not in answer
    assert not IdempotentRequest.objects.exists()


# Multipart ------------------------------------------------------------------------------------------------------------
def sheet(text=b"A-1,a.psd,a.aepx,x.aep", name="s.csv"):
    return SimpleUploadedFile(name, sheet_of(text.decode()))


def send(client, *, boundary="one", **changes):
    body = {"team": "blue", "sheet": sheet(), **changes}
    from django.test.client import encode_multipart

    kind = f"multipart/form-data; boundary={boundary}"
    return client.generic("POST", "/api/uploads/", encode_multipart(boundary, body), kind, headers=KEY)


def test_of_a_multipart_body_the_parts_count_and_not_the_boundary(olga):
    first = send(olga)
    assert first.status_code == 201
    again = send(olga, boundary="two")
    assert (again.status_code, again.content) == (201, first.content)
    assert Upload.objects.count() == 1


@pytest.mark.parametrize(
    "changes",
    [{"team": "red"}, {"sheet": sheet(b"A-2,a.psd,a.aepx,x.aep")}, {"sheet": sheet(name="t.csv")}, {"files": sheet()}],
    ids=["field", "content", "file name", "one more"],
)
def test_another_part_is_another_request(olga, changes):
    send(olga)
    assert send(olga, **changes).json()["state"] == "used"
    assert Upload.objects.count() == 1


def test_a_file_in_a_temporary_file_is_compared_whole(olga, settings):
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 10
    assert send(olga).status_code == 201
    assert send(olga, boundary="two")["Idempotency-Replayed"] == "true"
    assert Upload.objects.get().sheet.sha256 == hashlib.sha256(sheet().read()).hexdigest()


# In the middle --------------------------------------------------------------------------------------------------------
def failing(*args, **options):
    raise RuntimeError("out of order")


def test_a_500_is_not_remembered(people, comments, monkeypatch):
    client = Client(raise_request_exception=False)
    client.force_login(people.olga)
    options = {"content_type": "application/json", "headers": KEY}
    with monkeypatch.context() as patch:
        patch.setattr("review.api.JobDoor.comment", failing)
        assert client.post(comments, '{"text": "Hello."}', **options).status_code == 500
    assert not IdempotentRequest.objects.exists()
    assert client.post(comments, '{"text": "Hello."}', **options).status_code < 300
    assert Comment.objects.count() == 1


def test_while_the_first_is_worked_on_the_second_is_told_to_wait(olga, comments):
    olga.post(comments, {"text": "Hello."}, headers=KEY)
    IdempotentRequest.objects.update(status=None, body=None)
    answer = olga.post(comments, {"text": "Hello."}, headers=KEY)
    assert (answer.status_code, answer.json()["state"], answer["Retry-After"]) == (409, "in_progress", "1")


def test_a_request_that_died_frees_its_key_after_a_while(olga, comments):
    olga.post(comments, {"text": "Hello."}, headers=KEY)
    past = timezone.now() - timedelta(seconds=1)
    IdempotentRequest.objects.update(status=None, body=None, held_until=past)
    assert olga.post(comments, {"text": "Hello."}, headers=KEY).status_code < 300
    assert Comment.objects.count() == 2
    assert IdempotentRequest.objects.get().status is not None


def test_who_lost_the_key_keeps_no_answer(people, olga, comments):
    olga.post(comments, {"text": "Hello."}, headers=KEY)
    row = IdempotentRequest.objects.get()
    IdempotentRequest.objects.update(status=None, holder="0" * 32)
    idempotency.release(idempotency.Held(row, KEY[HEADER]))
    assert IdempotentRequest.objects.get().status is None


def test_an_answer_that_cannot_be_read_any_more_is_not_given_and_the_request_not_repeated(olga, settings):
    assert send(olga).status_code == 201
    settings.DATA_KEYS = ("another",)
    again = send(olga)
    assert (again.status_code, again.json()["state"]) == (409, "done")
    assert Upload.objects.count() == 1


# Secrets --------------------------------------------------------------------------------------------------------------
def test_a_secret_is_given_again_to_the_same_key_and_cannot_be_read_without_it(olga, people):
    body = {"name": "sync", "scopes": ["read"]}
    first = olga.post("/api/tokens/", body, headers=KEY)
    again = olga.post("/api/tokens/", body, headers=KEY)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["token"] == again.json()["token"]
    assert "no-store" in again["Cache-Control"]
    assert people.olga.access_tokens.count() == 1
    kept = bytes(IdempotentRequest.objects.get().body)
    assert unseal(kept, shared=KEY[HEADER])
    with pytest.raises(WrongKey):
        unseal(kept, shared="another key")


def log_in(api, **changes):
    body = {"username": "olga", "password": PASSWORD, "name": "laptop", **changes}
    return api().post("/api/token/", body, headers=KEY)


def test_a_token_for_a_password_is_made_once(api, people):
    first, again = log_in(api), log_in(api)
    assert first.json()["token"] == again.json()["token"]
    assert again["Idempotency-Replayed"] == "true"
    assert people.olga.access_tokens.count() == 1
    assert log_in(api, name="phone").json()["state"] == "used"
    # Not for whom does not know the password, and not for somebody else who does know theirs.
    refused = log_in(api, password="guessed")
    assert (refused.status_code, refused.get("Idempotency-Replayed")) == (400, None)
    assert log_in(api, username="rita").json()["token"] != first.json()["token"]
    assert not IdempotentRequest.objects.filter(fingerprint=hashlib.sha256(PASSWORD.encode()).hexdigest()).exists()


def test_old_keys_are_free_again_and_swept(olga, comments, settings):
    body = {"text": "Hello."}
    olga.post(comments, body, headers=KEY)
    IdempotentRequest.objects.update(created_at=timezone.now() - timedelta(hours=settings.IDEMPOTENCY_HOURS, minutes=1))
    assert "Idempotency-Replayed" not in olga.post(comments, body, headers=KEY)
    assert Comment.objects.count() == 2
    sweep_strays()
    assert IdempotentRequest.objects.count() == 1
    IdempotentRequest.objects.update(created_at=timezone.now() - timedelta(hours=settings.IDEMPOTENCY_HOURS, minutes=1))
    sweep_strays()
    assert not IdempotentRequest.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_many_requests_at_the_same_time_one_happens(api, people, comments):
    start = threading.Barrier(6)
    answers = []

    def ask(client):
        start.wait()
        try:
            answers.append(client.post(comments, {"text": "Hello."}, headers=KEY))
        finally:
            connection.close()

    threads = [threading.Thread(target=ask, args=(api(people.olga),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Comment.objects.count() == 1
    assert len(answers) == 6
    done = [answer for answer in answers if answer.status_code < 300]
    assert done
    assert len({answer.content for answer in done}) == 1
    assert all(answer.json()["state"] == "in_progress" for answer in answers if answer not in done)


# Everywhere -----------------------------------------------------------------------------------------------------------
def views_below(resolver, prefix=""):
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from views_below(pattern, route)
        else:
            yield route, pattern.callback


def test_every_view_of_the_api_that_changes_something_takes_keys():
    keyless = {
        route
        for route, view in views_below(get_resolver())
        if route.startswith("api/")
        and not issubclass(view.cls, Idempotent)
        and (getattr(view, "actions", None) or {m for m in ("post", "put", "patch", "delete") if hasattr(view.cls, m)})
    }
    assert not keyless


@pytest.mark.django_db
def test_every_operation_of_the_schema_happens_once(api, people, ours, settings):  # noqa: F811
    settings.USER_REQUESTS_PER_MINUTE = settings.PROJECT_REQUESTS_PER_MINUTE = 10_000
    repeated = 0
    for number, (path, method) in enumerate(OPERATIONS):
        if method == "get" or (method, path) in idempotency.KEYLESS:
            continue
        client = api(people.root)
        client.credentials(HTTP_IDEMPOTENCY_KEY=f"key-{number}")
        first, again = call(client, path, method, ours), call(client, path, method, ours)
        where = f"{method} {path}: {first.status_code} {first.content[:200]}"
        if first.status_code == 415 or (path == "/api/token/" and first.status_code == 400):
            continue  # a wrong password is nobody's
        assert first.status_code < 500, where
        assert again.get("Idempotency-Replayed") == "true", where
        assert (again.status_code, again.content) == (first.status_code, first.content), where
        repeated += 1
    assert repeated > 20
