"""docs/examples/client.py: typed, and true against a real server."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from mypy import api as mypy

from jobs.history_chain import seal_pending
from jobs.models import AccessToken, Job
from jobs.states import Stage
from tests.batches.sheets import aepx_bytes, good_rows, psd_bytes, sheet_of
from tests.people import PASSWORD
from tests.review.builders import add_asset

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "docs" / "examples" / "client.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("client_example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_it_is_typed(tmp_path):
    out, err, status = mypy.run(["--strict", "--no-incremental", "--config-file", "/dev/null", str(EXAMPLE)])
    assert status == 0, out + err


@pytest.fixture
def client(example, people, live_server):
    return example.Client.log_in(live_server.url, "olga", PASSWORD, name="example", scopes=["read", "submit"], days=1)


@pytest.mark.django_db(transaction=True)
def test_it_sends_a_sheet_starts_the_batch_and_follows(example, client, people, tmp_path, settings):
    for name, data in {"s.csv": sheet_of(*good_rows(3)), "a.psd": psd_bytes(), "a.aepx": aepx_bytes()}.items():
        (tmp_path / name).write_bytes(data)
    preview = client.upload("blue", tmp_path / "s.csv", [tmp_path / "a.psd", tmp_path / "a.aepx"])
    assert (preview["good"], preview["bad"]) == (3, 0)
    batch = client.post(f"/api/uploads/{preview['id']}/commit/", {"rows": "good"})
    assert client.post(f"/api/batches/{batch['id']}/start/")["started"] == 3
    first = client.wait(batch["id"], until=("processing",))
    assert first["counts"]["processing"] == 3
    assert client.wait(batch["id"], until=("processing",)) is first  # 304: nothing was sent again
    rows = list(client.rows("/api/jobs/", batch=batch["id"], fields="job_id", page_size=2))
    assert [row["job_id"] for row in rows] == ["J-1", "J-2", "J-3"]
    job = next(client.rows("/api/jobs/", batch=batch["id"]))
    folder = Path(settings.STORAGES["default"]["OPTIONS"]["location"])
    add_asset(Job.objects.get(pk=job["id"]), Stage.DELIVERY, "final", "out-1.aep", folder)
    file = next(client.rows(f"/api/jobs/{job['id']}/assets/"))
    assert client.download(file, tmp_path).read_bytes() == b"final out-1.aep"
    seal_pending()
    assert [event["verb"] for event in client.events()].count("start") == 3
    assert AccessToken.objects.get().last_used_ip == "127.0.0.1"
    with pytest.raises(example.ApiError) as caught:
        client.post(f"/api/jobs/{job['id']}/approve/", {"version": 0})
    assert (caught.value.status, "review" in caught.value.problem["detail"]) == (403, True)


@pytest.mark.django_db(transaction=True)
def test_a_wrong_password_is_an_error_with_its_words(example, people, live_server):
    with pytest.raises(example.ApiError, match="Unable to log in"):
        example.Client.log_in(live_server.url, "olga", "wrong")
