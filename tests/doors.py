"""Every address of the pages, filled with what a team has: for walks past all of them. Loaded by ``tests/conftest.py``.

A new address with a parameter needs a line in ``WHOSE``; the walk fails without it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib import admin
from django.db.models import Model
from django.urls import URLResolver, get_resolver

from batches.bundles.models import ShareLink
from batches.bundles.sharing import share
from batches.intake.opening import preview_upload
from batches.links.models import LinkedSheet
from batches.models import Batch, Upload
from jobs import tokens, workers
from jobs.lifecycle import annotate
from jobs.models import (
    AccessToken,
    Asset,
    Attempt,
    Delivery,
    Integration,
    Job,
    MailSwitch,
    Notice,
    StageBlock,
    Team,
    Warning,
    WebhookEndpoint,
    Worker,
)
from jobs.notices import announce_test
from jobs.states import Queue, Role, Stage, State
from review.models import Comment, Decision
from tests.batches.sheets import both, sheet_of
from tests.people import People, make_job
from tests.review.builders import add_warning, at_delivery, at_preview

SECRET = "Kestrel"
"""Stands in everything that the team has."""
WHOSE: list[tuple[str, type[Model]]] = [
    ("batches/preview/<int:pk>/", Upload),
    ("batches/<int:pk>/", Batch),
    ("jobs/<int:pk>/", Job),
    ("sheets/<int:pk>/", LinkedSheet),
    ("shares/<int:pk>/", ShareLink),
    ("assets/<int:pk>/", Asset),
    ("deliveries/<int:pk>/", Delivery),
    ("deliveries/dead/<int:team_pk>/", Team),
    ("deliveries/secret/<int:pk>/", WebhookEndpoint),
    ("deliveries/test/<int:pk>/", WebhookEndpoint),
    ("space/<int:pk>/", Team),
    ("space/batches/<int:pk>/", Batch),
    ("notices/<int:pk>/", Notice),
    ("workers/<int:pk>/", Worker),
    ("workers/blocks/<int:pk>/", StageBlock),
    ("tokens/<int:pk>/", AccessToken),
    ("tokens/integrations/<int:pk>/", Integration),
]
"""Whose id a parameter at the beginning of an address is."""
OTHERS = {"auth", "django_q"}
"""Whose records belong to no team: superusers alone see them."""
WORDS: dict[str, Any] = {
    "<int:attempt_pk>": Attempt,
    "<int:warning_pk>": Warning,
    "<slug:verb>": "approve",
    "<slug:state>": "blocked",
}


@dataclass(frozen=True)
class Door:
    """``of`` is the model that the address names a row of, None for pages without parameters."""

    name: str
    path: str
    of: type[Model] | None

    @property
    def is_record(self) -> bool:
        """One of Django's own pages of records, which answer a wrong id by going back to the index."""
        return self.path.split("/")[2] in {model._meta.app_label for model in admin.site._registry} and (
            self.name == "-" or self.name.endswith(("_changelist", "_add", "_history", "_delete", "_change"))
        )


def doors() -> Iterator[Door]:
    """The addresses below ``/admin/``, with the newest row of each model in them."""
    for name, route in _routes(get_resolver()):
        if not route.startswith("admin/") or "(?P<" in route or name == "view_on_site":
            continue
        tail = route.removeprefix("admin/")
        of = _model_of(tail)
        if of is not None:
            if of._meta.app_label in OTHERS and not of._base_manager.exists():
                continue
            tail = re.sub(r"<(int:pk|int:team_pk|path:object_id|id)>", str(_newest(of)), tail)
        for word, value in WORDS.items():
            tail = tail.replace(word, value if isinstance(value, str) else str(_newest(value)))
        assert "<" not in tail, f"{route}: tests/doors.py does not know what to put there"
        yield Door(name, f"/admin/{tail}", of)


def _newest(model: type[Model]) -> Any:
    rows = model._base_manager.filter(slug="blue") if model is Team else model._base_manager
    key = rows.order_by("-pk").values_list("pk", flat=True).first()
    assert key is not None, f"the team has no {model.__name__}"
    return key


def _model_of(tail: str) -> type[Model] | None:
    record = re.match(r"(\w+)/(\w+)/<(?:path:object_id|id)>/", tail)
    if record:
        return next(m for m in admin.site._registry if (m._meta.app_label, m._meta.model_name) == record.groups())
    found = [(prefix, model) for prefix, model in WHOSE if tail.startswith(prefix)]
    return max(found, key=lambda pair: len(pair[0]))[1] if found else None


def _routes(resolver: URLResolver, before: str = "") -> Iterator[tuple[str, str]]:
    for entry in resolver.url_patterns:
        route = before + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _routes(entry, route)
        else:
            yield entry.name or "-", route


@pytest.fixture
def everything(blue: Team, people: People, batch: Batch, settings: Any) -> Batch:
    """Blue has one of everything that an address can name, each with the secret in it. Others have nothing."""
    settings.USER_REQUESTS_PER_MINUTE = settings.PROJECT_REQUESTS_PER_MINUTE = 100_000  # the walks are long
    Batch.objects.filter(pk=batch.pk).update(name=SECRET)
    batch.refresh_from_db()
    sheet = io.BytesIO(sheet_of(f"{SECRET}-1,a.psd,a.aepx,x.aep", f"{SECRET}-2,missing.psd,a.aepx,y.aep"))
    preview_upload(people.olga, blue, sheet_name=f"{SECRET}.csv", sheet_file=sheet, files=both())
    address = f"https://docs.google.com/spreadsheets/d/{SECRET}/edit"
    LinkedSheet.objects.create(
        team=blue, batch=batch, url=address, title=SECRET, asked_by=people.olga, created_by=people.olga
    )
    MailSwitch.objects.create(team=blue)
    endpoint = WebhookEndpoint.objects.create(team=blue, url=f"https://{SECRET.lower()}.example/")
    announce_test(endpoint)
    at_preview(batch, job_id=f"{SECRET}-P", client_name=SECRET)
    make_job(batch, Stage.INGESTION, State.FAILED, job_id=f"{SECRET}-F")
    share(people.olga, batch, kinds=["project"], days=1, note=SECRET)
    workers.announce([Queue.LIGHT])
    StageBlock.objects.create(machine="a", stage=1, reason="broken", until="2999-01-01T00:00Z")
    AccessToken.objects.create(
        user=people.olga, name=SECRET, prefix="aep_x", digest="0" * 64, scopes=["read"], expires_at="2999-01-01T00:00Z"
    )
    tokens.add_integration(people.root, blue, name=SECRET, roles=[Role.OPERATOR])
    job = at_delivery(batch, job_id=f"{SECRET}-D", client_name=SECRET, notes=SECRET)
    add_warning(job, Stage.DELIVERY, object=SECRET)
    Attempt.objects.create(run=job.runs.latest("pk"), number=1, worker="a/1", outcome="done")
    Comment.objects.create(job=job, stage=4, user=people.olga, text=SECRET)
    Decision.objects.create(job=job, stage=4, verb="approve_preview", user=people.adam, reason=SECRET, version=0)
    event = annotate(job, "comment", actor=people.olga, reason=f"{SECRET} @rita")
    Notice.objects.create(
        user=people.olga, team=blue, name="job.mentioned", event=event, job=job, batch=batch,
        facts={"note": SECRET}, in_bell=True, for_digest=False,
    )  # fmt: skip
    return batch
