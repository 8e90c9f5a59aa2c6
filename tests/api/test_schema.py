"""The OpenAPI schema: valid, complete, and true to what comes back."""

from __future__ import annotations

import io
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from django.core.management import call_command
from django.urls import get_resolver
from drf_spectacular.generators import SchemaGenerator

from jobs.states import PUBLIC_STATES
from tests.review.builders import at_delivery

pytestmark = pytest.mark.django_db  # the bounds of numbers are those of the database
GUIDE = Path(__file__).resolve().parent.parent.parent / "docs" / "api.md"
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def schema():
    return SchemaGenerator().get_schema(request=None, public=True)


def operations(schema):
    return {(method, path): item[method] for path, item in schema["paths"].items() for method in item}


def test_the_schema_is_valid_and_has_no_warning():
    out = io.StringIO()
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=out)
    assert yaml.safe_load(out.getvalue())["openapi"].startswith("3.1")


def test_choices_have_one_name_each(schema):
    components = schema["components"]["schemas"]
    assert components["JobState"]["enum"] == list(PUBLIC_STATES)
    assert components["Priority"]["enum"] == ["urgent", "high", "normal", "low"]
    assert components["Stage"]["enum"] == [1, 2, 3, 4]
    assert not [name for name in components if re.search(r"Enum|[0-9a-f]{3}$", name)]


def test_text_in_addresses_has_no_nul(schema):
    for (method, path), operation in operations(schema).items():
        for parameter in operation.get("parameters", ()):
            free = set(parameter.get("schema", {})) == {"type"} and parameter["schema"]["type"] == "string"
            assert not free or parameter["in"] == "header", f"{method} {path}: {parameter['name']}"


def test_every_operation_has_a_summary_and_documents_its_errors(schema):
    for (method, path), operation in operations(schema).items():
        where = f"{method} {path}"
        assert operation.get("summary"), where
        codes = set(operation["responses"])
        assert "429" in codes, where
        assert path == "/api/token/" or "401" in codes, where
        assert "{id}" not in path or {"400", "404"} <= codes, where
        if method != "get" and path != "/api/token/":
            assert {"400", "403", "404"} <= codes, where
        if method == "post" and path.startswith("/api/jobs/{id}/"):
            assert "409" in codes, where


def test_approve_reject_and_amend_require_the_version(schema):
    for name in ("Approve", "Reject", "Amend", "ChooseComp"):
        assert "version" in schema["components"]["schemas"][name]["required"]


def test_every_address_of_the_api_is_in_the_schema(schema):
    documented = {re.sub(r"\{\w+\}", "{}", path) for path in schema["paths"]}
    mounted = set()
    api = next(one for one in get_resolver().url_patterns if str(one.pattern) == "api/")
    for pattern in api.url_patterns:
        if pattern.name not in {"schema", "docs", "nothing"}:
            route = str(pattern.pattern).lstrip("^").rstrip("$").replace("\\Z", "")
            mounted.add("/api/" + re.sub(r"\(\?P<\w+>(?:\[[^]]*\]|[^)])*\)|<[^>]+>", "{}", route).replace("\\", ""))
    assert mounted == documented


def test_answers_are_what_the_schema_says(api, people, batch, rich, schema):
    at_delivery(batch)
    client = api(people.adam)
    operation = operations(schema)
    for path in (
        "/api/jobs/", "/api/jobs/{id}/", "/api/jobs/{id}/matches/", "/api/jobs/{id}/warnings/",
        "/api/jobs/{id}/events/", "/api/jobs/{id}/assets/", "/api/jobs/{id}/decisions/", "/api/jobs/{id}/comments/",
        "/api/batches/", "/api/batches/{id}/", "/api/events/", "/api/dashboard/", "/api/teams/", "/api/me/",
    ):  # fmt: skip
        number = batch.pk if "batches" in path else rich.pk
        answer = client.get(path.replace("{id}", str(number)))
        assert answer.status_code == 200, path
        expected = operation["get", path]["responses"]["200"]["content"]["application/json"]["schema"]
        checker = jsonschema.Draft202012Validator({**expected, "components": schema["components"]})
        assert [(error.json_path, error.message) for error in checker.iter_errors(answer.json())] == [], path


def test_a_conflict_is_what_the_schema_says(api, people, rich, schema):
    answer = api(people.rita).post(f"/api/jobs/{rich.pk}/approve/", {"version": 7})
    assert answer.status_code == 409
    responses = operations(schema)["post", "/api/jobs/{id}/approve/"]["responses"]
    expected = responses["409"]["content"]["application/json"]["schema"]
    jsonschema.Draft202012Validator({**expected, "components": schema["components"]}).validate(answer.json())


@pytest.mark.parametrize("address", ["/api/schema/", "/api/docs/"])
def test_schema_and_browsable_page_are_for_those_who_log_in(api, people, address):
    assert api().get(address).status_code == 401
    assert api(people.vera).get(address).status_code == 200
    assert api(people.vera).post(address).status_code == 405


def test_the_browsable_page_needs_no_other_host(api, people):
    html = api(people.vera).get("/api/docs/").content.decode()
    assert "swagger-ui" in html
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", html)


def test_the_guide_names_nothing_that_there_is_not(schema):
    text = GUIDE.read_text(encoding="utf-8")
    documented = {re.sub(r"\{\w+\}", "{}", path) for path in schema["paths"]} | {"/api/schema/", "/api/docs/", "/api/"}
    named = {re.sub(r"\{\w+\}|\b\d+\b|\$\w+", "{}", path) for path in re.findall(r"/api/[\w/{}.$-]*", text)}
    assert len(named) > 15
    assert named - {re.sub(r"stage/\{\}", "stage/{}", path) for path in documented} == set()


def test_the_guide_names_every_operation(schema):
    text = GUIDE.read_text(encoding="utf-8")
    for path in schema["paths"]:
        assert f"`{path}`" in text, path


def in_numbers(operation):
    """The query parameters of an operation that are numbers or moments."""
    for parameter in operation.get("parameters", []):
        what = parameter.get("schema", {})
        if parameter.get("in") == "query" and (what.get("type") == "integer" or what.get("format") == "date-time"):
            yield parameter["name"]


def test_filters_take_ascii_digits_alone(schema, api, people, settings):
    """Python reads the digits of every script, and numbers with an underscore in them."""
    settings.USER_REQUESTS_PER_MINUTE = 10_000  # the walk is long
    client, tried = api(people.root), set()
    for path, item in schema["paths"].items():
        for name in in_numbers(item.get("get", {})) if "{" not in path else ():
            for value in ("\u0661", "1_0", "\u0662\u0660\u0662\u0664-01-01T00:00:00Z"):
                answer = client.get(path, {name: value})
                assert (answer.status_code, list(answer.json())) == (400, [name]), f"{path} {name}={value}"
            tried.add((path, name))
    assert len(tried) > 10
    assert ("/api/jobs/", "batch") in tried
