"""aeproject.api: one answer per kind of error, always in JSON."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from jobs.tokens import issue

pytestmark = pytest.mark.django_db
APPROVE = "/api/jobs/{}/approve/"


@pytest.mark.parametrize(
    "address",
    [
        "/api/jobs/{}/", "/api/jobs/{}/matches/", "/api/batches/{}/", "/api/uploads/{}/", "/api/assets/{}/download/",
        "/api/uploads/{}/bad-rows.csv",
    ],
)  # fmt: skip
def test_what_is_not_the_number_of_a_record_is_400_or_nowhere(api, people, address):
    client = api(people.olga)
    for number in ("x", "-1", "1.5", "²", "99999999999999999999", "9" * 400, "1'--", "%00", "0x1"):
        response = client.get(address.format(number))
        # A dot is no part of a number's address: that one leads nowhere.
        expected = 404 if "." in number and "csv" not in address else 400
        assert response.status_code == expected, number
        assert response["Content-Type"] == "application/json"


def test_a_record_that_there_is_not_is_404(api, people):
    for number in ("0", "999", str(2**63 - 1)):
        response = api(people.olga).get(f"/api/jobs/{number}/")
        assert (response.status_code, list(response.json())) == (404, ["detail"])


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"", b"null", b"[]", b"7", b'"x"', b"\xff\xfe", b"{'version': 1}", b'{"version": NaN}',
        b"[" * 100_000, b'{"version":' * 50_000, b'{"version": ' + b"9" * 5000 + b"}",
        b'{"version": 0, "reason": "a\\ud800"}',
    ],
    ids=range(13),
)  # fmt: skip
def test_a_body_that_is_no_json_or_no_object_is_400(api, people, waiting, body):
    response = api(people.rita).post(APPROVE.format(waiting.pk), body, content_type="application/json")
    assert response.status_code == 400, response.content
    assert response["Content-Type"] == "application/json"
    waiting.refresh_from_db()
    assert waiting.version == 0


def test_a_body_that_is_too_large_is_413(api, people, waiting, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    response = api(people.rita).post(APPROVE.format(waiting.pk), {"version": 0, "reason": "x" * 200})
    assert response.status_code == 413


def test_a_body_of_another_kind_is_415(api, people, waiting):
    response = api(people.rita).post(APPROVE.format(waiting.pk), b"<version/>", content_type="text/xml")
    assert response.status_code == 415


@pytest.mark.parametrize("address", ["/api/", "/api/nothing/", "/api/jobs", "/api/jobs/1/explode/", "/api/admin/"])
def test_an_address_that_there_is_not_is_404_in_json(api, people, address):
    known, unknown = api(people.olga), api()
    for method in ("get", "post", "delete"):
        response = getattr(known, method)(address)
        assert response.status_code == 404
        assert address in response.json()["detail"]
        assert ("slash" in response.json()["detail"]) is not address.endswith("/")
        assert getattr(unknown, method)(address).status_code == 401


def test_a_session_needs_the_csrf_token_and_a_token_does_not(people, waiting):
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(people.rita)
    assert browser.post(APPROVE.format(waiting.pk), {"version": 0}).status_code == 403
    script = APIClient(enforce_csrf_checks=True)
    script.credentials(HTTP_AUTHORIZATION=f"Bearer {issue(people.rita, name='test')[1]}")
    assert script.post(APPROVE.format(waiting.pk), {"version": 0}).status_code == 200


# Throttles ------------------------------------------------------------------------------------------------------------
def test_too_many_requests_are_429_with_retry_after_for_this_person_alone(api, people, settings):
    settings.USER_REQUESTS_PER_MINUTE = 2
    client = api(people.rita)
    assert [client.get("/api/me/").status_code for _ in range(3)] == [200, 200, 429]
    response = client.get("/api/jobs/")
    assert response.status_code == 429
    assert 0 < int(response["Retry-After"]) <= 60
    assert "throttled" in response.json()["detail"]
    assert api(people.adam).get("/api/me/").status_code == 200
