"""The entrance: how often one may try, and that it leads nowhere else."""

from __future__ import annotations

from itertools import takewhile

import pytest
from django.conf import settings as configured
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from batches.models import Batch
from jobs import limits
from jobs.metrics import exposition
from jobs.models import TokenBucket
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db
HOME = "/admin/"


@pytest.fixture(autouse=True)
def _few(settings):
    settings.LOG_IN_TRIES = 3


def log_in(client, name="olga", password=PASSWORD, **more):
    return client.post(reverse("admin:login"), {"username": name, "password": password, "next": HOME, **more})


def by_api(name="olga", password=PASSWORD, **options):
    return APIClient(**options).post("/api/token/", {"username": name, "password": password}, format="json")


def test_after_three_tries_even_the_right_password_waits_and_is_told_how_long(client, people, caplog):
    for _ in range(3):
        assert log_in(client, password="x").status_code == 200
    response = log_in(client)
    assert response.status_code == 429
    assert 1 <= int(response["Retry-After"]) <= 60
    assert "Too many tries to log in to this account. Try again in" in response.content.decode()
    assert not client.session.get("_auth_user_id")
    assert "log-in refused to 'olga' from 127.0.0.1" in caplog.text
    assert log_in(client, name="rita").status_code == 302


def test_who_waited_may_try_again(client, people):
    for _ in range(3):
        log_in(client, password="x")
    TokenBucket.objects.filter(key__contains="account").update(filled_at=0.0)
    assert log_in(client).status_code == 302


def test_the_right_password_forgives_what_was_tried(client, people):
    for _ in range(4):
        for _ in range(2):
            log_in(client, password="x")
        assert log_in(client).status_code == 302
    assert not TokenBucket.objects.filter(key__contains="account").exists()


def test_pages_and_api_count_together_and_case_makes_no_new_account(client, people):
    log_in(client, password="x")
    log_in(client, name="OLGA", password="x")
    assert by_api(password="x").status_code == 400
    for refused in (by_api(), log_in(client)):
        assert refused.status_code == 429
        assert int(refused["Retry-After"]) >= 1


def test_an_address_tries_no_endless_list_of_accounts(client, people):
    names = (f"name{number}" for number in range(100))
    tried = list(takewhile(lambda name: by_api(name, "x").status_code == 400, names))
    assert 18 <= len(tried) < 100  # a token comes back every ten seconds
    assert "from your address" in log_in(client, "rita").content.decode()
    assert by_api("rita", REMOTE_ADDR="192.0.2.1").status_code == 200


def test_an_address_that_no_proxy_of_ours_vouched_for_is_not_believed(people):
    by_api("name", "x", HTTP_X_FORWARDED_FOR="192.0.2.1")
    assert TokenBucket.objects.filter(key="log-in:address:127.0.0.1").exists()
    assert not TokenBucket.objects.filter(key__contains="192.0.2.1").exists()


def test_an_account_that_is_not_there_answers_as_one_that_is(client, people):
    answers = [[log_in(client, name, "x").status_code for _ in range(4)] for name in ("olga", "nobody-at-all")]
    assert answers[0] == answers[1] == [200, 200, 200, 429]


@pytest.mark.parametrize("name", ["x" * 150, "\u202e\u00fc\n", "%s", "a\ud800"])
def test_any_name_is_counted(people, name):
    for _ in range(3):
        limits.count_log_in(name, "127.0.0.1")
    with pytest.raises(limits.TooMany):
        limits.count_log_in(name, "127.0.0.1")


def test_zero_is_no_limit(client, people, settings):
    settings.LOG_IN_TRIES = 0
    assert {log_in(client, password="x").status_code for _ in range(8)} == {200}
    assert not TokenBucket.objects.exists()


def test_those_who_look_after_it_see_it_and_old_counts_go(client, people):
    for _ in range(4):
        log_in(client, password="x")
    assert b"aeproject_refused_log_ins 1.0" in exposition()
    assert limits.forget_full() == 0
    TokenBucket.objects.create(key="batch:1", tokens=1.0, filled_at=0.0)
    assert limits.forget_full() == 1
    assert TokenBucket.objects.filter(key__startswith="log-in:").count() == 2


@pytest.mark.parametrize(
    "elsewhere",
    ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "\thttps://evil.example"],
)
def test_the_entrance_leads_nowhere_else(client, people, elsewhere):
    response = log_in(client, next=elsewhere)
    assert response.status_code == 302
    assert response["Location"] == HOME


def test_leaving_takes_a_form(client, people):
    client.force_login(people.olga)
    assert client.get(reverse("admin:logout")).status_code == 405
    assert client.get(HOME).status_code == 200
    assert client.post(reverse("admin:logout")).status_code == 200
    assert client.get(HOME).status_code == 302


def test_a_session_is_new_after_logging_in_and_its_cookie_is_out_of_reach(client, people):
    client.get(reverse("admin:login"))
    client.session["before"] = 1
    client.session.save()
    before = client.session.session_key
    log_in(client)
    cookie = client.cookies[configured.SESSION_COOKIE_NAME]
    assert client.session.session_key != before
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


@pytest.mark.parametrize("password", ["short-1", "password123", "1234567890123", "olga-example-com"])
def test_weak_passwords_are_refused(people, password):
    people.olga.email = "olga-example@com"
    with pytest.raises(ValidationError):
        validate_password(password, people.olga)


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "localhost@evil.example", ""])
def test_another_host_is_refused(client, host):
    assert client.get(reverse("admin:login"), HTTP_HOST=host, SERVER_NAME="evil.example").status_code == 400


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}, {"X-Requested-With": "XMLHttpRequest"}])
def test_nothing_is_changed_without_the_token_of_the_page(people, job, headers):
    client = Client(enforce_csrf_checks=True)
    client.force_login(people.olga)
    for name in ("job_comment", "job_priority"):
        assert client.post(reverse(f"admin:{name}", args=[job.pk]), {"text": "x"}, headers=headers).status_code == 403
    as_json = {"data": {"text": "x"}, "content_type": "application/json"}
    assert client.post(f"/api/jobs/{job.pk}/comment/", **as_json, headers=headers).status_code == 403
    assert not job.comments.exists()


@pytest.mark.parametrize(
    "path", ["/static/", "/static/../manage.py", "/static/%2e%2e/manage.py", "/media/", "/store/", "/var/"]
)
def test_no_folder_is_listed_and_nothing_beside_it_served(client, people, path):
    client.force_login(people.root)
    response = client.get(path)
    assert response.status_code == 404
    assert b"execute_from_command_line" not in response.getvalue()


def test_what_is_no_field_of_the_form_changes_nothing(client, people, batch, red):
    """Whoever sends more than the API asks for gets no more than that."""
    olga = APIClient()
    olga.force_login(people.olga)
    more = {"team": "red", "directory_name": "x", "created_by": "rita", "number": 99, "deleted_at": "2020-01-01T00:00Z"}
    kept = ("team_id", "directory_name", "created_by_id", "number", "deleted_at")
    before = Batch.objects.values(*kept).get(pk=batch.pk)
    assert olga.patch(f"/api/batches/{batch.pk}/", {"name": "New", **more}, format="json").status_code in (200, 400)
    assert Batch.objects.values(*kept).get(pk=batch.pk) == before
