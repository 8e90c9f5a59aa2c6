"""aeproject.benches.api: real clients ask a real server, and jobs move meanwhile."""

from __future__ import annotations

import pytest

from aeproject.benches import api
from aeproject.benches.pages import fill
from aeproject.benches.web_server import HOST, served
from jobs.models import Job


@pytest.fixture
def batches(transactional_db, settings, monkeypatch):
    settings.ALLOWED_HOSTS = [HOST, "testserver"]
    monkeypatch.setattr(api, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(api, "CHANGE_SECONDS", 0.01)
    return fill(400)[:2]


def test_a_poll_asks_three_statements_whatever_it_answers(batches):
    (token,) = api._tokens(batches[0].team, 1)
    figures = api._statements(f"/api/batches/{batches[0].pk}/progress/", token)
    assert [(figure.what, figure.value) for figure in figures] == [
        ("statements for a 200", 3),
        ("statements for a 304", 3),
    ]


def test_clients_keep_their_connection_while_jobs_move(batches):
    tokens = api._tokens(batches[0].team, 4)
    requests = [(f"/api/batches/{batches[n % 2].pk}/progress/", token) for n, token in enumerate(tokens)]
    with served(workers=1) as server:
        polled = api._poll(server, requests, batches, 1.0)
        assert server.cpu_seconds() > 0
    assert set(polled.answers) <= {200, 304}
    assert polled.answers[200] >= len(tokens)  # the first answer of each, and what changed
    assert sum(polled.answers.values()) == len(polled.took)
    assert polled.opened == len(tokens)
    assert Job.objects.filter(state="on_hold").exists()
    figures = {figure.what: figure.value for figure in api._figures(polled, 1.0, len(tokens))}
    assert figures["answered within, half of them"] <= figures["the slowest"]
