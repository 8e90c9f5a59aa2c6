"""The whole schema against the whole API: what it says is generated, sent and compared, right and wrong input alike.

``SCHEMATHESIS_EXAMPLES`` (1) is the number of requests for each operation and kind of input, half of it for people who
see less. From 20 on the walk along the edges of every parameter (missing headers, other methods, limits) is made too.
With 200 an operation takes ten to twenty seconds for each person, everything more than an hour: run it part by part.
``SCHEMATHESIS_EXAMPLES=200 python -m pytest tests/api/test_schemathesis.py -k root-jobs``.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os

import hypothesis
import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from django.test import RequestFactory
from drf_spectacular.views import SpectacularAPIView
from hypothesis import HealthCheck, Phase, strategies
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.generation.drivers import CoverageGenerator
from schemathesis.generation.feedback import NO_FEEDBACK
from schemathesis.generation.overrides import Override
from schemathesis.specs.openapi.checks import positive_data_acceptance

from jobs.tokens import issue
from tests.api.test_permissions import OPERATIONS, failed, ours  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db
EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "1"))
PARTS = sorted({path.split("/")[2] for path, _ in OPERATIONS})
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
FROM_FOR_EDGES = 20

RULED_BY_WHAT_IS_THERE: dict[str, str] = {
    "POST /api/files/": "the name and the team lie in Upload-Metadata, in base64",
    "PATCH /api/files/{id}/": "an empty body has no Content-Length, which tus asks for",
    "POST /api/batch/upload": "files are parts with a file name, which generated ones lack",
    "POST /api/uploads/": "files are parts with a file name; only files that were sent have ids",
    "PATCH /api/uploads/{id}/": "a workbook has the sheets and columns that it has",
    "POST /api/uploads/{id}/commit/": "only good rows can be committed",
    "POST /api/uploads/{id}/apply/": "an upload is a newer sheet for a batch, or not",
    "POST /api/linked-sheets/": "an address is that of a Google Sheet",
    "PATCH /api/linked-sheets/{id}/": "columns are written with a service account only",
    "POST /api/uploads/{id}/files/": "only files that were sent have ids",
    "PATCH /api/batches/{id}/": "names are of characters that can be shown",
    "POST /api/jobs/": "files are parts with a file name, and designs or projects",
    "POST /api/jobs/batch/": "files are parts with a file name, and designs or projects",
    "POST /api/jobs/{id}/amend/": "a job has the slots and layers that it has",
    "POST /api/jobs/{id}/choose_comp/": "a project has the compositions that it has",
    "POST /api/jobs/{id}/assign/": "only people of the team are asked",
    "POST /api/jobs/{id}/reject/": "a job goes back to a stage that it has behind it",
    "POST /api/jobs/{id}/requeue/": "a job goes back to a stage that it has behind it",
    "POST /api/shares/": "a link is of a batch, or of a job",
    "POST /api/webhooks/": "endpoints are https addresses outside",
    "PATCH /api/webhooks/{id}/": "endpoints are https addresses outside",
    "POST /api/token/": "a password is right or wrong",
    "POST /api/warnings/{id}/resolve/": "accepting takes a note",
}
"""Operations that may refuse a body that fits the schema, and why; the refusal itself is checked as any answer is."""


@schemathesis.serializer("application/offset+octet-stream")
def _bytes(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


class Rollback(Exception):
    pass


@functools.cache
def served_schema():
    view = SpectacularAPIView.as_view(authentication_classes=[], permission_classes=[])
    return json.loads(view(RequestFactory().get("/api/schema/?format=json")).render().content)


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
        loaded = schemathesis.openapi.from_dict(served_schema(), config=config)
        loaded.app = get_wsgi_application()
        return loaded, headers

    # As Django's own test client does: the connection, in the middle of the test's transaction, stays open.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield schema
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def check(case, headers):
    """Sends a case and checks the answer, and leaves nothing behind."""
    if case.meta.generation.mode is GenerationMode.POSITIVE:
        # No cursor can be made up: they are signed. tests/api/test_pages.py walks them.
        case.query.pop("cursor", None)
        if "since" in case.query and case.path == "/api/events/":
            case.query.pop("ordering", None)  # the schema says that they exclude each other, in words
    left_out = [positive_data_acceptance] if case.operation.label in RULED_BY_WHAT_IS_THERE else []
    try:
        with transaction.atomic():
            case.call_and_validate(headers=headers, excluded_checks=left_out)
            raise Rollback
    except Rollback:
        pass


def generate(operation, mode, headers, known_ids, examples):
    collection = operation.path.split("/")[2]

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
        if known and mode is GenerationMode.POSITIVE and "id" in case.path_parameters:
            case.path_parameters["id"] = str(known_ids[collection])
        check(case, headers)

    one()


def walk_the_edges(operation, mode, headers):
    generation = operation.schema.config.generation_for(operation=operation, phase="coverage")
    for case in CoverageGenerator(
        operation=operation,
        generation_modes=[mode],
        generation_config=generation,
        auth_storage=None,
        override=Override(),
        feedback=NO_FEEDBACK,
    ):
        check(case, headers)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("who", ["root", "vera", "oscar"])
def test_the_api_does_what_its_schema_says(speak, people, ours, who, part):  # noqa: F811
    schema, headers = speak(getattr(people, who))
    examples = EXAMPLES if who == "root" else max(1, EXAMPLES // 2)
    found = []
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path.split("/")[2] != part:
            continue
        for mode in MODES:
            try:
                with contextlib.suppress(hypothesis.errors.Unsatisfiable):  # nothing of this kind can be sent
                    generate(operation, mode, headers, ours, examples)
                if examples >= FROM_FOR_EDGES:
                    walk_the_edges(operation, mode, headers)
            except (Exception, FailureGroup) as error:
                found.append(f"{operation.label} {mode.value}: {type(error).__name__}: {error}")
    assert not found, "\n\n".join(found)
