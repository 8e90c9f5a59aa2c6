"""batches.intake.judging and committing: large sheets in a worker, killed at every moment"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import weakref
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.urls import reverse
from django.utils import timezone

from batches.intake import committing, judging, opening
from batches.intake.sheet import Sheet
from batches.intake.table import Row
from batches.models import Batch, Upload, UploadRow
from jobs import errands, pauses, sweeping, tasks
from jobs.errors import Conflict, Invalid
from jobs.models import Errand, Event, Job
from jobs.states import State
from tests.batches.sheets import both, good_rows, sheet_of
from tests.batches.workbooks import TITLES, rows_of, xlsx
from tests.people import make_job

pytestmark = pytest.mark.django_db
ROWS = 23


@pytest.fixture(autouse=True)
def _small_chunks(settings, monkeypatch):
    settings.SHEET_ROWS_AT_ONCE = 5
    monkeypatch.setattr(judging, "CHUNK", 4)
    monkeypatch.setattr(committing, "CHUNK", 4)


def preview(person, team, *lines, name="spring.csv"):
    data = sheet_of(*(lines or good_rows(ROWS)))
    return opening.preview_upload(person, team, sheet_name=name, sheet_file=io.BytesIO(data), files=both())


def lapse():
    """What the sweep does when a worker died: its lease is over, the errand is due again."""
    Errand.objects.filter(state="running").update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    sweeping.sweep()
    Errand.objects.update(available_at=timezone.now() - timedelta(seconds=1))


class Killed(BaseException):
    """The worker is no more: nothing below catches it, nothing is tidied up."""


def dies_after(monkeypatch, calls):
    """The worker is killed at its ``calls``-th word to the database."""
    real, count = errands.Held.hold, Counter()

    def hold(self, **told):
        count["calls"] += 1
        if count["calls"] > calls:
            raise Killed
        real(self, **told)

    monkeypatch.setattr(errands.Held, "hold", hold)


def test_a_small_sheet_is_judged_at_once_and_a_large_one_by_a_worker(people, blue):
    assert preview(people.olga, blue, *good_rows(5)).state == "preview"
    upload = preview(people.olga, blue)
    assert (upload.state, upload.rows.count()) == ("judging", 0)
    assert opening.errand_of(upload).total >= ROWS
    tasks.work()
    upload.refresh_from_db()
    assert (upload.state, upload.good, upload.bad) == ("preview", ROWS, 0)
    assert list(upload.rows.values_list("line", flat=True)) == list(range(2, ROWS + 2))
    assert opening.errand_of(upload) is None


def test_the_worker_finds_what_is_wrong_across_its_chunks(people, blue, batch):
    make_job(batch, job_id="J-7")
    upload = preview(people.olga, blue, *good_rows(20), "J-1,a.psd,a.aepx,other.aep", "J-30,a.psd,a.aepx,OUT-2.aep")
    tasks.work()
    upload.refresh_from_db()
    assert (upload.good, upload.bad) == (19, 3)
    told = dict(upload.rows.filter(good=False).values_list("line", "errors"))
    assert told[8][0][:2] == ["job_id", "“J-7” is the id of an open job of the team."]
    assert told[22][0] == ["job_id", "“J-1” is already used in line 2.", "Line 22"]
    assert told[23][0][:2] == ["output_name", "“OUT-2.aep” is already used in line 3."]


def test_a_large_sheet_is_opened_by_a_worker_and_hidden_until_then(people, blue):
    upload = preview(people.olga, blue)
    tasks.work()
    upload.refresh_from_db()
    batch = opening.commit_all(people.olga, upload, name="Spring")
    assert (batch.opening, upload.state) == (True, "opening")
    assert not Batch.objects.visible_to(people.olga).exists()
    with pytest.raises(Conflict, match="A worker is at this upload"):
        opening.commit_all(people.olga, upload)
    with pytest.raises(Conflict, match="A worker is at this upload"):
        opening.discard(people.olga, upload)
    tasks.work()
    upload.refresh_from_db()
    assert (upload.state, upload.batch) == ("committed", Batch.objects.visible_to(people.olga).get())
    assert batch.jobs.count() == ROWS
    event = Event.objects.get(verb="open_batch")
    assert (event.actor, event.data) == (people.olga, {"jobs": ROWS, "left_out": 0, "sheet": "spring.csv"})


def test_no_more_than_a_few_chunks_of_a_sheet_are_held(people, blue, monkeypatch):
    """The rows of the file while they are judged, and the judged ones while they become jobs."""
    alive: Counter[type] = Counter()
    most: Counter[type] = Counter()

    def watch(row):
        alive[type(row)] += 1
        most[type(row)] = max(most[type(row)], alive[type(row)])
        weakref.finalize(row, alive.subtract, {type(row): 1})
        return row

    real_rows, real_row = Sheet.rows, UploadRow.from_db.__func__
    upload = preview(people.olga, blue, *good_rows(100))
    monkeypatch.setattr(Sheet, "rows", lambda self: map(watch, real_rows(self)))
    monkeypatch.setattr(UploadRow, "from_db", classmethod(lambda *values: watch(real_row(*values))))
    tasks.work()
    upload.refresh_from_db()
    batch = opening.commit_all(people.olga, upload)
    tasks.work()
    assert batch.jobs.count() == 100
    assert 0 < most[Row] <= 3 * judging.CHUNK
    assert 0 < most[UploadRow] <= 3 * committing.CHUNK


@pytest.mark.parametrize("calls", range(1, 9))
def test_a_worker_killed_while_it_judges_loses_nothing_and_doubles_nothing(people, blue, monkeypatch, calls):
    upload = preview(people.olga, blue)
    with monkeypatch.context() as patched:
        dies_after(patched, calls)
        with pytest.raises(Killed):
            tasks.work()
    lapse()
    tasks.work()
    upload.refresh_from_db()
    assert (upload.state, upload.good, upload.rows.count()) == ("preview", ROWS, ROWS)


@pytest.mark.parametrize("calls", range(1, 13))
def test_a_worker_killed_while_it_opens_goes_on_where_it_was(people, blue, monkeypatch, calls):
    upload = preview(people.olga, blue)
    tasks.work()
    upload.refresh_from_db()
    batch = opening.commit_all(people.olga, upload)
    with monkeypatch.context() as patched:
        dies_after(patched, calls)
        with pytest.raises(Killed):
            tasks.work()
    assert not Batch.objects.visible_to(people.olga).exists()
    assert batch.jobs.count() == (calls - 1) // 2 * 4
    lapse()
    tasks.work()
    assert Counter(batch.jobs.values_list("job_id", flat=True)) == Counter(f"J-{n}" for n in range(1, ROWS + 1))
    assert Event.objects.filter(verb="open_batch").count() == 1


@pytest.fixture
def half_open(people, blue, monkeypatch):
    """An upload whose batch has some of its jobs: the worker that makes them was killed."""
    upload = preview(people.olga, blue)
    tasks.work()
    upload.refresh_from_db()
    opening.commit_all(people.olga, upload)
    with monkeypatch.context() as patched:
        dies_after(patched, 5)
        with pytest.raises(Killed):
            tasks.work()
    upload.refresh_from_db()
    assert 0 < upload.batch.jobs.count() < ROWS
    return upload


@pytest.mark.parametrize("name", ["olga", "vera", "root"])
def test_jobs_of_a_batch_on_its_way_are_seen_as_little_as_the_batch(client, people, half_open, name):
    client.force_login(getattr(people, name))
    batch = half_open.batch
    job = batch.jobs.first()
    assert client.get("/api/jobs/?count=true").json()["count"] == 0
    assert client.get("/api/batches/?count=true").json()["count"] == 0
    for address in (f"/api/jobs/{job.pk}/", f"/api/jobs/{job.pk}/progress/", f"/api/batches/{batch.pk}/"):
        assert client.get(address).status_code == 404, address
    for page in (reverse("admin:job", args=[job.pk]), reverse("admin:batch", args=[batch.pk])):
        assert client.get(page).status_code == 404, page
    assert job.job_id not in client.get(reverse("admin:index")).content.decode()


ON_THEIR_WAY = "/admin/batches/opening/"


def test_the_upload_shows_how_far_it_is_and_the_list_leads_there(client, people, half_open):
    client.force_login(people.vera)
    assert f'hx-get="{ON_THEIR_WAY}"' in client.get(reverse("admin:batches")).content.decode()
    part = client.get(ON_THEIR_WAY).content.decode()
    assert f"A batch of {ROWS} jobs is being opened from spring.csv: 8 are there" in part
    assert reverse("admin:upload_preview", args=[half_open.pk]) in part
    told = client.get(f"/api/uploads/{half_open.pk}/").json()
    assert (told["state"], told["batch"]) == ("opening", None)
    assert (told["progress"]["done"], told["progress"]["total"]) == (8, ROWS)
    client.force_login(people.oscar)
    assert "is being opened" not in client.get(ON_THEIR_WAY).content.decode()


def test_all_of_it_is_seen_when_the_last_job_is_there(client, people, half_open):
    lapse()
    tasks.work()
    client.force_login(people.vera)
    assert client.get("/api/jobs/?count=true").json()["count"] == ROWS
    shown = client.get(ON_THEIR_WAY, {"shown": "1"})
    assert (shown.content.strip(), shown["HX-Refresh"]) == (b"", "true")
    assert "HX-Refresh" not in client.get(ON_THEIR_WAY)


def test_a_late_worker_writes_nothing(people, blue):
    upload = preview(people.olga, blue)
    late = errands.claim("late")
    lapse()
    tasks.work()
    errands.perform(late)
    upload.refresh_from_db()
    assert upload.rows.count() == ROWS
    Upload.objects.update(state="judging")
    errands.perform(late)
    assert upload.rows.count() == ROWS


def test_a_job_that_somebody_opens_meanwhile_is_left_out_and_told(people, blue, batch):
    upload = preview(people.olga, blue)
    tasks.work()
    upload.refresh_from_db()
    opened = opening.commit_all(people.olga, upload)
    make_job(batch, job_id="J-3")
    tasks.work()
    upload.refresh_from_db()
    assert (opened.jobs.count(), upload.good, upload.bad, upload.state) == (ROWS - 1, ROWS - 1, 1, "committed")
    assert Event.objects.get(verb="leave_out_rows").data == {"jobs": ROWS - 1, "left_out": 1}
    assert upload.rows.get(good=False).errors[0][0] == "job_id"


def test_when_all_jobs_were_opened_meanwhile_nothing_is_left(people, blue):
    one, two = preview(people.olga, blue), preview(people.olga, blue)
    tasks.work()
    tasks.work()
    for upload in (one, two):
        upload.refresh_from_db()
        opening.commit_all(people.olga, upload, again=True)
    tasks.work()
    tasks.work()
    two.refresh_from_db()
    assert (two.state, two.good, two.bad) == ("preview", 0, ROWS)
    assert "opened by somebody else" in two.problem
    assert Batch.objects.visible_to(people.olga).count() == 1
    assert Event.objects.get(verb="withdraw_batch").batch.deleted_at is not None


def test_a_batch_that_cannot_be_opened_leaves_nothing(people, blue, monkeypatch):
    upload = preview(people.olga, blue)
    tasks.work()
    upload.refresh_from_db()
    opening.commit_all(people.olga, upload)
    monkeypatch.setattr(committing.Maker, "make", lambda *args: 1 / 0)
    for _ in range(2):
        Errand.objects.update(available_at=timezone.now() - timedelta(seconds=1))
        tasks.work()
    upload.refresh_from_db()
    assert (upload.state, Batch.objects.visible_to(people.olga).count(), Job.objects.count()) == ("preview", 0, 0)
    assert "could not be opened: ZeroDivisionError" in upload.problem
    monkeypatch.undo()
    batch = opening.commit_all(people.olga, upload, again=True)
    Errand.objects.update(available_at=timezone.now() - timedelta(seconds=1))
    tasks.work()
    assert batch.jobs.count() == ROWS


def test_what_a_person_started_already_is_not_taken_away(people, blue, monkeypatch):
    upload = preview(people.olga, blue)
    tasks.work()
    upload.refresh_from_db()
    batch = opening.commit_all(people.olga, upload)
    make_job(batch, job_id="J-1", state=State.QUEUED, version=1)
    committing.give_up(upload.pk, "the disk is full")
    upload.refresh_from_db()
    assert (upload.state, batch.jobs.count()) == ("committed", 1)
    assert "Only 1 of 23 jobs could be opened" in upload.problem


def test_a_sheet_that_breaks_deep_inside_is_refused_and_none_of_its_rows_kept(people, blue):
    upload = preview(people.olga, blue, *good_rows(19), 'J-20,"a.psd,a.aepx,o.aep')
    tasks.work()
    upload.refresh_from_db()
    assert (upload.state, upload.rows.count()) == ("refused", 0)
    assert "Line 21: a quotation mark is opened here and never closed" in upload.problem
    with pytest.raises(Invalid, match="never closed"):
        opening.commit_good_rows(people.olga, upload)
    opening.discard(people.olga, upload)
    assert not UploadRow.objects.exists()


def test_too_many_rows_are_refused_by_the_worker(people, blue, settings):
    settings.MAX_SHEET_ROWS = 10
    upload = preview(people.olga, blue)
    tasks.work()
    upload.refresh_from_db()
    assert (upload.state, upload.problem[:41]) == ("refused", "Line 12: the sheet has more than 10 rows.")


def test_a_worker_that_always_dies_gives_the_sheet_up(people, blue):
    upload = preview(people.olga, blue)
    for _ in range(5):
        assert errands.claim("dying") is not None
        lapse()
    upload.refresh_from_db()
    assert upload.state == "refused"
    assert "went silent" in upload.problem
    opening.check_again(people.olga, upload)
    tasks.work()
    upload.refresh_from_db()
    assert upload.good == ROWS


def test_an_upload_may_be_discarded_while_it_is_judged(people, blue, monkeypatch):
    upload = preview(people.olga, blue)
    real = judging.Judge.verdicts

    def verdicts(self, *args):
        opening.discard(people.olga, upload)
        monkeypatch.setattr(judging.Judge, "verdicts", real)
        return real(self, *args)

    monkeypatch.setattr(judging.Judge, "verdicts", verdicts)
    tasks.work()
    assert not Upload.objects.exists()
    assert not UploadRow.objects.exists()
    assert Errand.objects.get().state == "done"


def test_a_large_workbook_goes_the_same_way(people, blue):
    data = xlsx({"Jobs": [["Spring"], TITLES, *rows_of(ROWS)]})
    upload = opening.preview_upload(people.olga, blue, sheet_name="s.xlsx", sheet_file=io.BytesIO(data), files=both())
    tasks.work()
    upload.refresh_from_db()
    assert (upload.state, upload.good) == ("preview", ROWS)
    opening.commit_all(people.olga, upload)
    tasks.work()
    assert Job.objects.order_by("row_line").first().row_line == 3
    assert Batch.objects.get().source == "xlsx"


KILLED_WORKER = """
import os, django, sys
django.setup()
from django.conf import settings
from batches.intake import judging, committing
settings.STORAGES["default"]["OPTIONS"]["location"] = sys.argv[1]
judging.CHUNK = committing.CHUNK = 4
from jobs import errands
real, calls = errands.Held.hold, 0
def hold(self, **told):
    global calls
    calls += 1
    if calls == int(sys.argv[2]):
        print("here", flush=True)
        sys.stdin.read()
    real(self, **told)
errands.Held.hold = hold
errands.perform(errands.claim("killed"))
"""


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
@pytest.mark.parametrize("work", ["judging", "opening"])
def test_kill_9_in_the_middle_of_a_transaction(people, blue, work, tmp_path):
    """A real process, killed by the kernel while it holds its transaction open."""
    upload = preview(people.olga, blue)
    if work == "opening":
        tasks.work()
        upload.refresh_from_db()
        opening.commit_all(people.olga, upload)
    database = django_settings.DATABASES["default"]
    url = f"sqlite:///{database['NAME']}" if "sqlite" in database["ENGINE"] else _postgres_url(database)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_WORKER, str(tmp_path / "store"), "4" if work == "judging" else "5"],
        env={
            **os.environ,
            "DATABASE_URL": url,
            "DATA_DIR": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "aeproject.settings",
        },
        cwd=Path(django_settings.BASE_DIR),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline().strip() == "here"
    process.send_signal(signal.SIGKILL)
    process.wait()
    lapse()
    tasks.work()
    upload.refresh_from_db()
    assert (upload.state, upload.rows.count()) == ("preview" if work == "judging" else "committed", ROWS)
    if work == "opening":
        assert sorted(upload.batch.jobs.values_list("row_line", flat=True)) == list(range(2, ROWS + 2))


def _postgres_url(database):
    return f"postgres://{database['USER']}@{database['HOST']}:{database['PORT']}/{database['NAME']}"


def test_whoever_waits_for_a_paused_queue_is_told(client, people, blue):
    upload = preview(people.olga, blue)
    pauses.pause(people.root, pauses.of_queue("light"), reason="new <disks>")
    tasks.work()
    client.force_login(people.olga)
    page = client.get(reverse("admin:upload_preview", args=[upload.pk])).content.decode()
    assert "The queue light is paused by root (new &lt;disks&gt;)" in page
    assert 'class="progress' not in page.split('id="intake-progress"')[1]
    told = client.get(f"/api/uploads/{upload.pk}/").json()["progress"]
    assert told["step"].startswith("The queue light is paused by root")
    pauses.resume(people.root, pauses.of_queue("light"))
    tasks.work()
    upload.refresh_from_db()
    assert (upload.state, upload.good) == (Upload.PREVIEW, ROWS)


# Tried again from among the dead letters ------------------------------------------------------------------------------
def dead_of(upload):
    return Errand.objects.filter(subject=upload.pk, state="failed").last()


def test_judging_that_was_given_up_is_tried_again_until_somebody_checked_the_sheet(people, blue):
    upload = preview(people.olga, blue)
    for _ in range(5):
        errands.claim("dying")
        lapse()
    errands.send_again(people.olga, dead_of(upload))
    upload.refresh_from_db()
    assert (upload.state, upload.problem) == ("judging", "")
    tasks.work()
    upload.refresh_from_db()
    assert (upload.state, upload.good) == ("preview", ROWS)
    Errand.objects.exclude(state="failed").delete()
    with pytest.raises(Conflict, match="checked again since"):
        errands.send_again(people.olga, dead_of(upload))


def given_up_batch(people, blue, monkeypatch, *, name=""):
    """An upload whose batch was withdrawn."""
    upload = preview(people.olga, blue)
    tasks.work()
    upload.refresh_from_db()
    opening.commit_all(people.olga, upload, name=name)
    with monkeypatch.context() as patched:
        patched.setattr(committing.Maker, "make", lambda *args: 1 / 0)
        for _ in range(2):
            Errand.objects.update(available_at=timezone.now() - timedelta(seconds=1))
            tasks.work()
    return upload


@pytest.mark.parametrize("name", ["Spring of Kestrel", ""])
def test_opening_that_was_given_up_is_tried_again_under_the_same_name(people, blue, monkeypatch, name):
    upload = given_up_batch(people, blue, monkeypatch, name=name)
    errands.send_again(people.olga, dead_of(upload))
    tasks.work()
    batch = Batch.objects.visible_to(people.olga).get()
    assert (batch.name, batch.jobs.count()) == (name or batch.directory_name, ROWS)


def test_opening_is_not_tried_again_when_the_batch_was_opened_by_hand_or_is_partly_there(people, blue, monkeypatch):
    upload = given_up_batch(people, blue, monkeypatch)
    Upload.objects.filter(pk=upload.pk).update(state="committed")
    with pytest.raises(Conflict, match="not withdrawn"):
        errands.send_again(people.olga, dead_of(upload))
    Upload.objects.filter(pk=upload.pk).update(state="preview", good=0)
    with pytest.raises(Conflict, match="nothing to commit"):
        errands.send_again(people.olga, dead_of(upload))
    assert not Batch.objects.visible_to(people.olga).exists()


def test_what_failed_for_a_discarded_sheet_is_no_dead_letter(people, blue):
    upload = preview(people.olga, blue)
    for _ in range(5):
        errands.claim("dying")
        lapse()
    upload.refresh_from_db()
    opening.discard(people.olga, upload)
    assert not Errand.objects.exists()
