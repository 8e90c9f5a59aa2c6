"""The same sheet committed again: asked about at every door, doubled at none."""

from __future__ import annotations

import io
import threading
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from batches.google import taking
from batches.intake import opening
from batches.intake.repeats import Repeated, repeat_of
from batches.models import Batch, Upload
from jobs import clock, tasks
from jobs.errors import Conflict
from jobs.models import Job
from jobs.states import Role, State
from tests.batches.google.fake import ID, Tab, google
from tests.batches.sheets import HEADER, both, good_rows, put_in_root, sent, sheet_of
from tests.batches.test_opening import preview
from tests.batches.workbooks import xlsx
from tests.people import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def first(people, blue):
    """A batch whose jobs are over, so that the same ids may be used again."""
    batch = opening.commit_all(people.olga, preview(people.olga, blue, *good_rows(2)))
    Job.objects.update(state=State.CANCELLED)
    return batch


@pytest.fixture
def second(people, blue, first):
    return preview(people.olga, blue, *good_rows(2))


# What is a repeat -----------------------------------------------------------------------------------------------------
def test_the_same_sheet_and_files_by_the_same_person_are_a_repeat(people, first, second):
    assert repeat_of(people.olga, second) == first
    for commit in (opening.commit_all, opening.commit_good_rows):
        with pytest.raises(Repeated, match=rf"This sheet became {first.name} \(batch {first.pk}\) just now"):
            commit(people.olga, second)
    second.refresh_from_db()
    assert second.committed_at is None
    assert opening.commit_all(people.olga, second, again=True).pk != first.pk


def test_the_name_of_the_sheet_does_not_matter(people, blue, first):
    assert repeat_of(people.olga, preview(people.olga, blue, *good_rows(2), name="other.csv")) == first


@pytest.mark.parametrize("at_once", [500, 1])
def test_what_says_the_same_in_another_file_is_a_repeat(people, blue, first, settings, at_once):
    """A workbook that was saved again, its export as CSV: other bytes, with the title of a person above, too."""
    settings.SHEET_ROWS_AT_ONCE = at_once

    def again(name, data):
        upload = opening.preview_upload(people.olga, blue, sheet_name=name, sheet_file=io.BytesIO(data), files=both())
        if at_once == 1:
            assert repeat_of(people.olga, upload) is None, "nobody knows before it is judged"
            tasks.work()
            upload.refresh_from_db()
        return repeat_of(people.olga, upload)

    lines = [line.split(",") for line in (HEADER, *good_rows(2))]
    assert again("s.xlsx", xlsx({"Jobs": [["Spring"], *lines]})) == first
    assert again("s.tsv", "\n".join("\t".join(line) for line in lines).encode()) == first
    lines[2][3] = "another.aep"
    assert again("s.xlsx", xlsx({"Jobs": lines})) is None
    assert again("s.xlsx", xlsx({"Jobs": [[*lines[0], "notes"], *([*line, "x"] for line in lines[1:])]})) is None


def test_a_google_sheet_is_a_repeat_under_another_range(people, blue, settings):
    with google(settings, key=True) as fake:
        fake.tabs = [Tab("Jobs", 0, [line.split(",") for line in (HEADER, *good_rows(2))])]
        batch = opening.commit_all(people.olga, taking.preview(people.olga, blue, url=ID, files=both()))
        assert repeat_of(people.olga, taking.preview(people.olga, blue, url=ID, range_="A1:D", files=both())) == batch
        fake.tabs[0].rows[1][3] = "another.aep"
        assert repeat_of(people.olga, taking.preview(people.olga, blue, url=ID, files=both())) is None


def test_another_sheet_or_other_files_are_no_repeat(people, blue, first):
    for lines, files in ((good_rows(3), both()), (good_rows(2), []), (good_rows(2), [*both(), *sent(logo_png=b"P")])):
        assert repeat_of(people.olga, preview(people.olga, blue, *lines, files=files)) is None


def test_another_person_or_another_team_make_no_repeat(people, blue, red, first):
    other = make_person("otto", blue, Role.OPERATOR)
    assert repeat_of(other, preview(other, blue, *good_rows(2))) is None
    people.olga.memberships.create(team=red, role=Role.OPERATOR)
    assert repeat_of(people.olga, preview(people.olga, red, *good_rows(2))) is None


def test_only_within_the_window(people, first, second, settings):
    Batch.objects.update(created_at=timezone.now() - timedelta(hours=23, minutes=59))
    with pytest.raises(Repeated, match="23 hours ago"):
        opening.commit_all(people.olga, second)
    Batch.objects.update(created_at=timezone.now() - timedelta(hours=24, minutes=1))
    assert repeat_of(people.olga, second) is None
    Batch.objects.update(created_at=clock.now())
    settings.BATCH_REPEAT_HOURS = 0
    assert repeat_of(people.olga, second) is None


def test_a_batch_that_was_deleted_is_none_to_ask_about(people, first, second):
    Batch.objects.update(deleted_at=timezone.now())
    assert repeat_of(people.olga, second) is None


def test_a_repeat_is_told_before_the_errors_that_it_causes(people, blue):
    batch = opening.commit_all(people.olga, preview(people.olga, blue, *good_rows(1)))
    upload = preview(people.olga, blue, *good_rows(1))
    assert upload.bad == 1  # the id is that of the first batch's open job
    with pytest.raises(Repeated) as refused:
        opening.commit_all(people.olga, upload)
    assert refused.value.batch == batch


@pytest.mark.django_db(transaction=True)
def test_of_commits_at_the_same_time_one_makes_a_batch(people, blue):
    """Twice the same upload and once another of the same sheet."""
    upload, other = preview(people.olga, blue, *good_rows(2)), preview(people.olga, blue, *good_rows(2))
    start, outcomes = threading.Barrier(3), []

    def commit(pk):
        mine = Upload.objects.select_related("team", "sheet").get(pk=pk)
        start.wait()
        try:
            outcomes.append(opening.commit_all(people.olga, mine))
        except Conflict as refused:
            outcomes.append(refused)
        finally:
            connection.close()

    threads = [threading.Thread(target=commit, args=(pk,)) for pk in (upload.pk, upload.pk, other.pk)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 3
    assert [type(one) for one in outcomes].count(Batch) == 1
    assert (Batch.objects.count(), Job.objects.count()) == (1, 2)


# The doors ------------------------------------------------------------------------------------------------------------
def test_the_page_asks_and_takes_yes_for_an_answer(client, people, first, second):
    client.force_login(people.olga)
    shown = client.get(reverse("admin:upload_preview", args=[second.pk])).content.decode()
    assert reverse("admin:batch", args=[first.pk]) in shown
    assert 'name="again"' in shown
    address = reverse("admin:upload_commit", args=[second.pk])
    asked = client.post(address, {"rows": "all", "name": "Again"})
    assert asked.status_code == 409
    assert 'name="again"' in asked.content.decode()
    assert Batch.objects.count() == 1
    assert client.post(address, {"rows": "all", "name": "Again", "again": "1"}).status_code == 302
    assert Batch.objects.count() == 2


def test_the_page_does_not_ask_without_cause(client, people, blue):
    client.force_login(people.olga)
    upload = preview(people.olga, blue, *good_rows(2))
    assert 'name="again"' not in client.get(reverse("admin:upload_preview", args=[upload.pk])).content.decode()


def test_the_api_names_the_batch_and_how_to_go_on(people, first, second):
    client = APIClient()
    client.force_login(people.olga)
    address = f"/api/uploads/{second.pk}/commit/"
    answer = client.post(address, {"rows": "all"})
    assert (answer.status_code, answer.json()["batch"], answer.json()["state"]) == (409, first.pk, "preview")
    assert '"again": true' in answer.json()["detail"]
    assert client.post(address, {"rows": "all", "again": "perhaps"}).status_code == 400
    assert client.post(address, {"rows": "all", "again": True}).status_code == 201


def test_the_command_has_a_switch_for_it(people, tmp_path):
    put_in_root(tmp_path / "sent", **{name.replace(".", "_"): data.read() for name, data in both()})
    (tmp_path / "s.csv").write_bytes(sheet_of(*good_rows(1)))
    command = ["import_batch", str(tmp_path / "s.csv"), "--team", "blue", "--assets", str(tmp_path / "sent")]
    call_command(*command)
    Job.objects.update(state=State.CANCELLED)
    with pytest.raises(CommandError, match=r"became .* --again makes another one") as refused:
        call_command(*command)
    assert refused.value.returncode == 2
    assert (Batch.objects.count(), Upload.objects.count()) == (1, 1)
    call_command(*command, "--again")
    assert Batch.objects.count() == 2
