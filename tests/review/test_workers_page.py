"""review.workers: everybody sees the machines, leads look after them."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db.models.functions import Now
from django.urls import reverse

from jobs import workers
from jobs.models import Errand, StageBlock, Worker
from jobs.states import Queue
from tests.jobs.test_workers import running

pytestmark = pytest.mark.django_db


@pytest.fixture
def worker(monkeypatch):
    """A machine that stays there however long a test takes."""
    monkeypatch.setattr(workers, "SILENT", timedelta(hours=1))
    return workers.announce([Queue.LIGHT])


@pytest.fixture
def block(worker):
    return StageBlock.objects.create(
        machine=worker.machine, stage=3, reason="no <memory>", until=Now() + timedelta(hours=1)
    )

    return timedelta(hours=1)


def test_the_page_shows_machines_and_what_runs_where(client, people, worker, block, batch):
    job = running(batch, f"{worker.name}/12").job
    client.force_login(people.vera)
    html = client.get(reverse("admin:workers")).content.decode()
    assert worker.name in html
    assert job.job_id in html
    assert "no &lt;memory&gt;" in html
    assert "Look after machines" not in html  # Vera views


def test_the_page_tells_what_a_machine_is_and_can_do(client, people, worker):
    can = {"fonts": {"count": 173, "sha256": "c0ffee99aa"}, "aerender": "/opt/ae/aerender"}
    Worker.objects.update(version="9.8.7", capacity={"light": 2, "io": 3}, restarts=41, capabilities=can)
    worker.refresh_from_db()
    client.force_login(people.vera)
    html = client.get(reverse("admin:workers")).content.decode()
    facts = html[html.index("<dl") : html.index("</dl>")]
    for told in ("9.8.7", "2 light, 3 io", "173", "c0ffee99", "/opt/ae/aerender", "41"):
        assert told in facts
    assert f"<dt>Heartbeat</dt><dd>{worker.heartbeat_at:%H:%M:%S}</dd>" in facts


def test_work_of_other_teams_is_counted_and_not_named(client, people, worker, batch):
    job = running(batch, f"{worker.name}/12").job
    client.force_login(people.oscar)
    html = client.get(reverse("admin:workers")).content.decode()
    assert "1 of other teams" in html
    assert f">{job.job_id}<" not in html


def test_work_of_a_machine_that_is_gone_is_shown_too(client, people, batch):
    job = running(batch, "gone:1/2").job
    client.force_login(people.olga)
    html = client.get(reverse("admin:workers")).content.decode()
    assert "No worker is there" in html
    assert job.job_id in html


def test_the_moving_part_is_sent_again_only_when_it_changed(client, people, worker):
    client.force_login(people.vera)
    html = client.get(reverse("admin:workers")).content.decode()
    seen = re.search(r'name="seen" value="(\w+)"', html)[1]
    assert client.get(reverse("admin:workers_changes"), {"seen": seen}).status_code == 204
    workers.set_state(people.root, worker, Worker.DRAINING, reason="a new disk")
    changed = client.get(reverse("admin:workers_changes"), {"seen": seen})
    assert changed.status_code == 200
    assert "a new disk" in changed.content.decode()


@pytest.mark.parametrize(("state", "after"), [("draining", "draining"), ("blocked", "blocked")])
def test_a_lead_drains_blocks_and_readmits(client, people, worker, state, after):
    people.olga.user_permissions.add(Permission.objects.get(codename="lead_job"))
    client.force_login(people.olga)
    assert "Look after machines" in client.get(reverse("admin:workers")).content.decode()
    answer = client.post(reverse("admin:worker_state", args=[worker.pk, state]), {"reason": "hot"})
    assert answer.status_code == 302
    worker.refresh_from_db()
    assert (worker.state, worker.reason, worker.changed_by) == (after, "hot", people.olga)
    assert client.post(reverse("admin:worker_state", args=[worker.pk, state])).status_code == 409
    assert client.post(reverse("admin:worker_state", args=[worker.pk, "active"])).status_code == 302


def test_a_lead_lifts_a_block_once(client, people, block):
    client.force_login(people.root)
    address = reverse("admin:worker_lift", args=[block.pk])
    assert client.post(address).status_code == 302
    assert not workers.blocks().exists()
    assert client.post(address).status_code == 409


def addresses(worker, block):
    return [
        reverse("admin:worker_state", args=[worker.pk, "draining"]),
        reverse("admin:worker_lift", args=[block.pk]),
    ]


def test_who_is_no_lead_is_refused(client, people, worker, block):
    client.force_login(people.olga)
    assert [client.post(address).status_code for address in addresses(worker, block)] == [403, 403]


def test_changes_take_a_post_and_a_person(client, people, worker, block):
    for address in addresses(worker, block):
        assert client.post(address).status_code == 302  # to the login
        assert "login" in client.post(address).headers["Location"]
    client.force_login(people.root)
    assert [client.get(address).status_code for address in addresses(worker, block)] == [405, 405]
    assert client.post(reverse("admin:workers")).status_code == 405


def test_machines_and_states_that_are_not_there_are_not_found(client, people, worker):
    client.force_login(people.root)
    assert client.post(reverse("admin:worker_state", args=[worker.pk, "faster"])).status_code == 404
    workers.leave(worker)
    assert client.post(reverse("admin:worker_state", args=[worker.pk, "draining"])).status_code == 404
    assert client.post(reverse("admin:worker_lift", args=[99])).status_code == 404


@pytest.fixture
def errand(worker, blue):
    return Errand.objects.create(
        kind="judge_sheet", subject=1, team=blue, state="running", token=uuid.uuid4(), step="Judging <rows>", done=3,
        total=9, lease_owner=f"{worker.name}/7", lease_expires_at=Now() + timedelta(minutes=1), started_at=Now(),
    )  # fmt: skip


def test_errands_stand_with_their_machine_for_their_team_alone(client, people, worker, errand):
    client.force_login(people.vera)
    html = client.get(reverse("admin:workers")).content.decode()
    assert "Judge sheet" in html
    assert "Judging &lt;rows&gt;" in html
    assert "3 of 9" in html
    client.force_login(people.oscar)
    html = client.get(reverse("admin:workers")).content.decode()
    assert "Judge sheet" not in html
    assert "1 of other teams" in html


def test_an_errand_of_a_worker_that_is_gone_and_those_that_wait_are_shown(client, people, worker, errand, blue):
    Errand.objects.filter(pk=errand.pk).update(lease_owner="gone:1/7")
    Errand.objects.create(kind="open_batch", subject=1, team=blue)
    client.force_login(people.vera)
    html = client.get(reverse("admin:workers")).content.decode()
    assert "Held by workers that are gone" in html
    assert "open_batch" in html
    assert "Nothing waits" not in html
