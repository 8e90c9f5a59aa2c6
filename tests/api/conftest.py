"""A person's way to the API, and one job with something of everything."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from jobs.lifecycle import annotate
from jobs.models import Warning
from jobs.states import Stage
from review.models import Comment, Decision
from tests.review.builders import add_asset, at_matching


@pytest.fixture
def api():
    """``api(person)`` is a client that speaks for the person; ``api()`` for nobody."""

    def client(user=None):
        speaker = APIClient()
        if user is not None:
            speaker.force_login(user)
        return speaker

    return client


@pytest.fixture
def waiting(batch):
    """A job whose matches wait for a reviewer."""
    return at_matching(batch)


@pytest.fixture
def rich(people, waiting, settings):
    """The waiting job with a file, a warning, a comment, a decision and an event."""
    folder = settings.STORAGES["default"]["OPTIONS"]["location"]
    add_asset(waiting, Stage.INGESTION, "layer", "photo.png", folder)
    for asset in waiting.assets.all():
        stored = folder / asset.storage_name
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_bytes(f"{asset.kind} {asset.name}".encode())
    Warning.objects.create(
        job=waiting, stage=1, code="missing_font", severity="warning", object="Arial", message="It is missing."
    )
    Comment.objects.create(job=waiting, stage=2, user=people.rita, text="Look at the second.")
    Decision.objects.create(
        job=waiting, stage=2, verb="approve_matches", user=people.rita, version=1, shown_sha256="0" * 64
    )
    annotate(waiting, "comment", actor=people.rita, reason="Look at the second.")
    return waiting
