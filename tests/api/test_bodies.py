"""jobs.api_bodies and its neighbours: what does not fit the schema is refused with the name of what is wrong."""

from __future__ import annotations

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from drf_spectacular.generators import SchemaGenerator

from jobs.models import Event
from tests.people import make_job

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("verb", "body", "field", "words"),
    [
        ("comment", {"text": "Hello.", "txet": "x"}, "txet", "no such field. There are: text."),
        ("comment", {"text": 5}, "text", "Not a valid string"),
        ("comment", {"text": True}, "text", "Not a valid string"),
        ("comment", {"text": ["Hello."]}, "text", "Not a valid string"),
        ("comment", {"text": "a\0b"}, "text", "Null characters"),
        ("comment", {"text": " \t\n"}, "text", "blank"),
        ("approve", {"version": "0"}, "version", "valid integer"),
        ("approve", {"version": True}, "version", "valid integer"),
        ("approve", {"version": 0.5}, "version", "valid integer"),
        ("approve", {"version": 10**40}, "version", "less than or equal"),
        ("approve", {"version": None}, "version", "null"),
        ("approve", {"version": 0, "": 1}, "", "no such field"),
        ("amend", {"version": 0, "slot_id": 12, "layer_id": 5}, "slot_id", "Not a valid string"),
        ("amend", {"version": 0, "slot_id": " " * 60 + "1", "layer_id": 5}, "slot_id", "no more than 60 characters"),
        ("amend", {"version": 0, "slot_id": "1:1", "layer_id": "5"}, "layer_id", "valid integer"),
    ],
)
def test_what_a_verb_does_not_take_is_400_by_name_and_nothing_happens(api, people, waiting, verb, body, field, words):
    events = Event.objects.count()
    answer = api(people.rita).post(f"/api/jobs/{waiting.pk}/{verb}/", body)
    assert answer.status_code == 400, answer.content
    assert words in str(answer.json()[field])
    assert Event.objects.count() == events


def test_lone_surrogates_are_400(api, people, waiting):
    for body in (b'{"text": "a\\ud800"}', b'{"te\\ud800xt": "a"}'):
        answer = api(people.rita).post(f"/api/jobs/{waiting.pk}/comment/", body, content_type="application/json")
        assert answer.status_code == 400, answer.content


def test_many_unknown_fields_are_not_all_repeated(api, people, waiting):
    body = {"text": "Hello.", **{f"x{number}": 1 for number in range(1_000)}, "y" * 9_000: 1}
    answer = api(people.rita).post(f"/api/jobs/{waiting.pk}/comment/", body)
    assert (answer.status_code, len(answer.json())) == (400, 5)
    assert len(answer.content) < 1_000


def test_a_whole_number_with_a_point_is_a_whole_number(api, people, waiting):
    answer = api(people.rita).post(
        f"/api/jobs/{waiting.pk}/approve/", b'{"version": 0.0}', content_type="application/json"
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"jobs": [{"psd_path": "a.psd", "projekt": "a"}]}, ["jobs", "0", "projekt"]),
        ({"jobs": [{}, {"psd_path": 5}]}, ["jobs", "1", "psd_path"]),
        ({"jobs": [], "start": "yes"}, ["start"]),
        ({"job": []}, ["job"]),
    ],
)
def test_what_is_wrong_inside_a_list_is_told_with_its_place(api, people, body, where):
    answer = api(people.olga).post("/api/jobs/batch/", {"team": "blue", **body})
    assert answer.status_code == 400
    problem = answer.json()
    for step in where:
        problem = problem[step]
    assert problem


def test_parts_of_a_form_are_text_and_have_names_that_there_are(api, people):
    send = api(people.olga)
    files = {"psd": SimpleUploadedFile("a.psd", b"8BPS"), "project": SimpleUploadedFile("a.aepx", b"<x/>")}
    answer = send.post("/api/jobs/", {"team": "blue", "start": "false", **files}, format="multipart")
    assert list(answer.json()) == ["psd_path"]  # the form was read: now the design itself is looked at
    files = {"psd": SimpleUploadedFile("a.psd", b"8BPS"), "projekt": SimpleUploadedFile("a.aepx", b"<x/>")}
    answer = send.post("/api/jobs/", {"team": "blue", **files}, format="multipart")
    assert (answer.status_code, list(answer.json())) == (400, ["projekt"])


def test_old_addresses_leave_out_what_they_do_not_know(api, people, batch):
    make_job(batch)
    answer = api(people.olga).post(f"/api/batch/{batch.pk}/start-processing", {"max_jobs": "1", "user_id": "7"})
    assert (answer.status_code, answer.json()["success"]) == (200, True)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("stat=failed", "stat"), ("state=", "state"), ("batch=", "batch"), ("needs_me=", "needs_me"),
        ("needs_me=perhaps", "needs_me"), ("unassigned=-37", "unassigned"), ("ordering=", "ordering"),
        ("ordering=nonsense", "ordering"), ("cursor=%00", "cursor"),
        ("page_size=1e9", "page_size"), ("batch=9999999999999999999999", "batch"),
    ],
)  # fmt: skip
def test_a_filter_that_makes_no_sense_is_400_by_name(api, people, waiting, query, field):
    answer = api(people.vera).get(f"/api/jobs/?{query}")
    assert (answer.status_code, list(answer.json())) == (400, [field])


@pytest.mark.parametrize(("text", "found"), [("true", 1), ("1", 1), ("True", 1), ("false", 0), ("0", 0)])
def test_true_and_false_have_few_words(api, people, waiting, text, found):
    assert len(api(people.vera).get(f"/api/jobs/?unassigned={text}").json()["results"]) == found


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options", "trace"])
def test_other_methods_are_405_with_those_that_there_are(api, people, waiting, method):
    client = api(people.root)
    for address, allowed in (
        (f"/api/jobs/{waiting.pk}/", {"GET", "HEAD", "OPTIONS"}),
        (f"/api/jobs/{waiting.pk}/approve/", {"POST", "OPTIONS"}),
    ):
        answer = client.generic(method.upper(), address, headers={"Idempotency-Key": ""})
        assert answer.status_code == 405, address
        assert set(answer["Allow"].split(", ")) == allowed


def test_head_is_get_without_a_body(api, people, waiting):
    client = api(people.vera)
    head, get = client.head(f"/api/jobs/{waiting.pk}/"), client.get(f"/api/jobs/{waiting.pk}/")
    assert (head.status_code, head.content, head["ETag"]) == (200, b"", get["ETag"])


@pytest.mark.parametrize("tag", ["", "x", '"', 'W/"', "*,", '"a" "b"', "\x01", "é", '"' * 5_000])
def test_an_etag_that_is_none_is_as_good_as_another(api, people, waiting, tag):
    assert api(people.vera).get(f"/api/jobs/{waiting.pk}/", headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize(
    "asked", ["bytes=", "bytes=a-b", "lines=0-1", "bytes=1-0", "bytes=0-1,3-4", "bytes=" + "9" * 99]
)
def test_a_range_that_makes_no_sense_is_whole_or_416(api, people, rich, asked):
    asset = rich.assets.get(kind="layer")
    answer = api(people.vera).get(f"/api/assets/{asset.pk}/download/", headers={"Range": asked})
    assert answer.status_code in {200, 416}
    assert answer.status_code == 416 or answer.getvalue() == b"layer photo.png"


def test_the_schema_closes_every_body_and_forbids_blank_words():
    schema = SchemaGenerator().get_schema(request=None, public=True)
    schemas = schema["components"]["schemas"]
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            for body in operation.get("requestBody", {}).get("content", {}).values():
                name = body["schema"].get("$ref", "").rpartition("/")[2]
                if name and schemas[name]["type"] == "object" and schemas[name].get("properties"):
                    assert schemas[name]["additionalProperties"] is False, f"{method} {path}"
    assert schemas["NewJobs"]["properties"]["jobs"]["items"]["$ref"].endswith("/JobFields")
    assert schemas["JobFields"]["additionalProperties"] is False
    assert "additionalProperties" not in schemas["Job"]
    words, maybe = schemas["NewComment"]["properties"]["text"], schemas["Approve"]["properties"]["reason"]
    assert re.search(words["pattern"], " a ")
    assert not re.search(words["pattern"], " \n")
    assert not re.search(maybe["pattern"], "a\0")
    assert re.search(maybe["pattern"], "")
