"""The whole schema against the whole API: what it says is generated, sent and compared, right and wrong input alike.

``SCHEMATHESIS_EXAMPLES`` (2) is the number of requests for each operation and kind of input, half of it for people who
see less. A longer run:
``SCHEMATHESIS_EXAMPLES=200 python -m pytest tests/api/test_schemathesis.py``.
"""

from __future__ import annotations

import os

import hypothesis
import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, strategies
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from jobs.tokens import issue
from tests.api.test_permissions import failed, ours  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db
EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "2"))


RULED_BY_HEADERS = "POST /api/files/"
"""The name and the team lie in Upload-Metadata, in base64."""


@schemathesis.serializer("application/offset+octet-stream")
def _bytes(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


class Rollback(Exception):
    pass


@pytest.fixture
def speak(people, settings):
    """``speak(person)`` is the schema, asked and called with a token of the person."""
    settings.USER_REQUESTS_PER_MINUTE = settings.PROJECT_REQUESTS_PER_MINUTE = 0

    def schema(user):
        headers = {"Authorization": f"Bearer {issue(user, name='schemathesis')[1]}", "Accept-Encoding": "identity"}
        config = schemathesis.Config()
        checks = config.projects.default.checks
        # Beside its own: a header of tus is missing (411, 412), too large (413), of another kind (415).
        checks.negative_data_rejection.expected_statuses += ["411", "412", "413", "415"]
        address, app = "/api/schema/?format=json", get_wsgi_application()
        return schemathesis.openapi.from_wsgi(address, app, config=config, headers=headers), headers

    # As Django's own test client does: the connection, in the middle of the test's transaction, stays open.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield schema
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def run(operation, mode, headers, known_ids, examples):
    collection = operation.path.split("/")[2]
    # A body that fits the schema may still be refused by what is there: a job has the slots that it has, a workbook its
    # sheets, a password is right or wrong. The refusal itself must fit the schema, and is checked.
    ruled = bool(list(operation.body)) or operation.label == RULED_BY_HEADERS
    left_out = [positive_data_acceptance] if ruled else []

    @hypothesis.seed(1)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
        print_blob=False,
    )
    @hypothesis.given(
        case=operation.as_strategy(generation_mode=mode),
        known=strategies.booleans() if collection in known_ids else strategies.just(False),
    )
    def one(case, known):
        if mode is GenerationMode.POSITIVE:
            # No cursor can be made up: they are signed. tests/api/test_pages.py walks them.
            case.query.pop("cursor", None)
        if known and mode is GenerationMode.POSITIVE and "id" in case.path_parameters:
            case.path_parameters["id"] = str(known_ids[collection])
        try:
            with transaction.atomic():
                case.call_and_validate(headers=headers, excluded_checks=left_out)
                raise Rollback
        except Rollback:
            pass

    one()


@pytest.mark.parametrize("who", ["root", "vera", "oscar"])
def test_the_api_does_what_its_schema_says(speak, people, ours, who):  # noqa: F811
    schema, headers = speak(getattr(people, who))
    found = []
    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                run(operation, mode, headers, ours, EXAMPLES if who == "root" else max(1, EXAMPLES // 2))
            except hypothesis.errors.Unsatisfiable:
                continue
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                found.append(f"{operation.label} {mode.value}: {type(error).__name__}: {error}")
    assert not found, "\n\n".join(found)
