"""docs/examples/client.py: typed, and true against a real server."""

from __future__ import annotations

import importlib.util
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from mypy import api as mypy

from jobs.history_chain import seal_pending
from jobs.models import AccessToken, Event, Job, Team
from jobs.states import Stage, State
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
def test_the_program_takes_a_sheet_to_its_downloads(
    example, client, people, tmp_path, settings, monkeypatch, capsys, live_server
):
    """While it waits, what workers and people would do is done here."""
    folder = Path(settings.STORAGES["default"]["OPTIONS"]["location"])

    def work(seconds):
        for job in Job.objects.all():
            add_asset(job, Stage.DELIVERY, "final", job.output_name, folder)
        Job.objects.update(stage=Stage.DELIVERY, state=State.DONE)

    monkeypatch.setattr(example.time, "sleep", work)
    monkeypatch.chdir(tmp_path)
    lines = {"s.csv": sheet_of(*good_rows(2), "J 3,a.psd,a.aepx,x.aep"), "a.psd": psd_bytes(), "a.aepx": aepx_bytes()}
    for name, data in lines.items():
        (tmp_path / name).write_bytes(data)
    assert example.main(live_server.url, client.token, "blue", "s.csv", "a.psd", "a.aepx") == 0
    told = capsys.readouterr().out
    assert "line 4: " in told
    assert "completed, 100.0 %" in told
    assert [(tmp_path / f"out-{number}.aep").read_bytes() for number in (1, 2)] == [
        b"final out-1.aep",
        b"final out-2.aep",
    ]
    (tmp_path / "bad.csv").write_bytes(sheet_of("J 3,a.psd,a.aepx,x.aep"))
    assert example.main(live_server.url, client.token, "blue", "bad.csv", "a.psd", "a.aepx") == 1


@pytest.mark.django_db(transaction=True)
def test_it_follows_the_history_from_its_bookmark(example, client, people, tmp_path):
    bookmark = tmp_path / "bookmark"
    blue = Team.objects.get(slug="blue")
    for verb in ("pause", "resume", "pause"):
        Event.objects.create(team=blue, verb=verb, actor=people.olga)
    seal_pending()
    first = client.follow(bookmark)
    assert [next(first)["verb"] for _ in range(2)] == ["pause", "resume"]
    first.close()  # the second was not finished: it comes again
    second = client.follow(bookmark, every_seconds=0)
    assert [next(second)["verb"] for _ in range(2)] == ["resume", "pause"]
    Event.objects.create(team=blue, verb="comment", actor=people.olga)
    seal_pending()
    assert next(second)["verb"] == "comment"


@pytest.mark.django_db(transaction=True)
def test_it_remembers_a_bounded_number_of_answers(example, client, people, monkeypatch):
    monkeypatch.setattr(example, "MOST_REMEMBERED", 3)
    for number in range(5):
        client.get("/api/teams/", page_size=number + 1)
    assert len(client._seen) == 3


def test_it_repeats_what_a_broken_connection_cut_off_with_the_same_key(example, monkeypatch):
    keys = []

    class OneAtATime(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            keys.append(self.headers["Idempotency-Key"])
            if len(keys) == 1:
                self.connection.close()
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"started": 1}')

        def log_message(self, *told):
            pass

    monkeypatch.setattr(example.time, "sleep", lambda seconds: None)
    with HTTPServer(("127.0.0.1", 0), OneAtATime) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = example.Client(f"http://127.0.0.1:{server.server_port}")
        assert client.post("/x/") == {"started": 1}
        server.shutdown()
    assert len(keys) == 2
    assert keys[0] == keys[1]


@pytest.mark.django_db(transaction=True)
def test_a_wrong_password_is_an_error_with_its_words(example, people, live_server):
    with pytest.raises(example.ApiError, match="Unable to log in"):
        example.Client.log_in(live_server.url, "olga", "wrong")
