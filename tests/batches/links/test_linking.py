"""batches.links: a Google Sheet is linked, read, and compared with its batch"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from batches.intake import opening
from batches.links import linking
from batches.models import Batch, LinkedSheet, Upload
from batches.updates import applying
from jobs import errands
from jobs.errors import Conflict, Invalid, NotAllowed
from jobs.models import Errand, Event
from tests.batches.google.fake import ID, NO_PERMISSION, refusal, status
from tests.batches.links.conftest import HEADER, cells, read_again, work

pytestmark = pytest.mark.django_db


def told(upload):
    return [(change.kind, change.name, change.fields) for change in upload.changes.order_by("pk")]


def test_a_sheet_is_read_and_becomes_a_batch(people, blue, sheet):
    made = linking.link(people.olga, blue, url=f"https://docs.google.com/spreadsheets/d/{ID}/edit#gid=0")
    assert linking.newest(made) is None
    work()
    made.refresh_from_db()
    upload = linking.newest(made)
    assert (upload.state, upload.good, upload.updates, upload.sheet.name) == ("preview", 3, None, "Spring.gsheet")
    assert (made.title, made.error, made.batch) == ("Spring", "", None)
    batch = opening.commit_all(people.olga, upload)
    made.refresh_from_db()
    assert (made.batch, batch.source) == (batch, "gsheet")
    assert batch.jobs.count() == 3


def test_what_changed_in_the_sheet_is_shown_and_applied(people, sheet, linked):
    sheet.tabs[0].rows[1:] = [cells(3), cells(1, "blüe 🌬"), cells(4)]
    upload = read_again(people.olga, linked)
    assert upload.updates == linked.batch
    assert told(upload) == [
        ("changed", "J-1", {"Colour": ["red", "blüe 🌬"]}),
        ("new", "J-4", {}),
        ("removed", "J-2", {}),
    ]
    applying.apply(people.olga, upload, cancel=1)
    assert dict(linked.batch.jobs.values_list("job_id", "state")) == {
        "J-1": "pending", "J-2": "cancelled", "J-3": "pending", "J-4": "pending",
    }  # fmt: skip
    assert Event.objects.get(verb="correct").reason == "Sheet Spring.gsheet, line 3"
    assert told(read_again(people.olga, linked)) == []


def test_what_was_not_applied_gives_way_to_what_is_read_next(people, sheet, linked):
    sheet.tabs[0].rows.append(cells(4))
    first = read_again(people.olga, linked)
    sheet.tabs[0].rows.append(cells(5))
    second = read_again(people.olga, linked)
    assert [name for _, name, _ in told(second)] == ["J-4", "J-5"]
    assert not Upload.objects.filter(pk=first.pk).exists()


def test_a_large_sheet_is_compared_by_a_worker(people, sheet, linked, settings):
    settings.SHEET_ROWS_AT_ONCE = 2
    sheet.tabs[0].rows += [cells(number) for number in range(4, 40)]
    linking.sync(people.olga, linked)
    work()
    upload = linking.newest(linked)
    assert (upload.state, applying.counts_of(upload)["new"]) == ("preview", 36)


def test_the_columns_that_a_person_chose_are_remembered_for_the_sheet(people, blue, sheet):
    sheet.tabs[0].rows[0][:4] = ["Kennzahl", "Bild", "Rahmen", "Name am Ende"]
    made = linking.link(people.olga, blue, url=ID)
    work()
    upload = linking.newest(made)
    assert upload.state == "mapping"
    given = {"job_id": "Kennzahl", "psd_path": "Bild", "aepx_path": "Rahmen", "output_name": "Name am Ende"}
    opening.check_again(people.olga, upload, given=given)
    opening.commit_all(people.olga, upload)
    made.refresh_from_db()
    sheet.tabs[0].rows[0].append("Noch etwas")  # another header: what is remembered for the team does not fit
    upload = read_again(people.olga, made)
    assert (upload.state, upload.mapping["job_id"]) == ("preview", {"title": "kennzahl", "how": "remembered"})


def test_a_column_that_is_new_in_the_sheet_is_taken_for_ours_when_it_is_called_so(people, blue, sheet):
    header, *rows = sheet.tabs[0].rows
    header[0] = "Kennzahl"
    header.append("notes")
    made = linking.link(people.olga, blue, url=ID)
    work()
    upload = linking.newest(made)
    given = {"job_id": "Kennzahl", **{name: name for name in HEADER[1:4]}}  # and none for the notes
    opening.check_again(people.olga, upload, given=given)
    opening.commit_all(people.olga, upload)
    made.refresh_from_db()
    header.append("Priority")
    rows[0] += ["as said", "urgent"]
    upload = read_again(people.olga, made)
    assert upload.mapping["priority"] == {"title": "priority", "how": "same"}
    assert "notes" not in upload.mapping, "somebody chose that it is none of ours"
    applying.apply(people.olga, upload)
    job = made.batch.jobs.get(job_id="J-1")
    assert (job.priority_name, job.row_data["notes"], job.notes) == ("urgent", "as said", "")

    opening.check_again(people.olga, read_again(people.olga, made), given=given)
    made.refresh_from_db()
    assert "priority" not in read_again(people.olga, made).mapping, "nor this, since then"


def test_a_mapping_may_be_given_at_once(people, blue, sheet):
    sheet.tabs[0].rows[0][0] = "Kennzahl"
    linking.link(people.olga, blue, url=ID, mapping={"job_id": "Kennzahl", **{n: n for n in HEADER[1:4]}})
    work()
    assert Upload.objects.get().good == 3
    with pytest.raises(Invalid, match="no column “colour”"):
        linking.link(people.olga, blue, url=ID, mapping={"colour": "x"})


def test_a_deleted_header_is_asked_about_and_nothing_is_removed(people, sheet, linked):
    del sheet.tabs[0].rows[0]
    upload = read_again(people.olga, linked)
    assert (upload.state, told(upload)) == ("mapping", [])
    with pytest.raises(Invalid, match="Say which column"):
        applying.apply(people.olga, upload)


@pytest.mark.parametrize("rows", [[HEADER], []])
def test_an_emptied_sheet_changes_nothing_and_says_so(people, sheet, linked, rows):
    sheet.tabs[0].rows = [list(row) for row in rows]
    before = linking.newest(linked).pk
    assert read_again(people.olga, linked).pk == before
    assert "no rows" in linked.error or "empty" in linked.error
    assert linked.batch.jobs.open().count() == 3


def test_duplicate_ids_in_the_sheet_are_errors_with_their_cell(people, sheet, linked):
    sheet.tabs[0].rows.append(cells(1, "blue"))
    upload = read_again(people.olga, linked)
    assert (told(upload), upload.rows.get(good=False).errors[0][2]) == ([], "Jobs!A5")


# What goes wrong ------------------------------------------------------------------------------------------------------
def test_what_people_must_mend_is_said_on_the_link(people, sheet, linked):
    sheet.faults_at[""] = [NO_PERMISSION]
    read_again(people.olga, linked)
    assert "studio-42" in linked.error
    assert linked.failures == 1
    read_again(people.olga, linked)
    assert (linked.error, linked.failures) == ("", 0)


def test_what_may_pass_is_tried_again_by_itself(people, sheet, linked):
    sheet.faults_at["/values/"] = [status(503), refusal(429, "RESOURCE_EXHAUSTED", Retry_After="40")]
    linking.sync(people.olga, linked)
    for _ in range(3):
        Errand.objects.filter(state="queued").update(available_at=timezone.now() - timedelta(seconds=1))
        work()
    linked.refresh_from_db()
    assert (linked.error, Errand.objects.filter(state="queued").count()) == ("", 0)
    assert linked.digest


def test_what_does_not_pass_is_given_up_with_its_cause(people, sheet, linked):
    sheet.faults_at["/values/"] = [status(503)] * 5
    linking.sync(people.olga, linked)
    for _ in range(5):
        Errand.objects.filter(state="queued").update(available_at=timezone.now() - timedelta(seconds=1))
        work()
    linked.refresh_from_db()
    assert "503" in linked.error
    assert "Sync again" in linked.error
    again = errands.send_again(people.root, Errand.objects.get(state="failed"))
    work()
    linked.refresh_from_db()
    again.refresh_from_db()
    assert (again.state, linked.error, linked.asked_by) == ("done", "", people.root)


def test_what_failed_for_an_unlinked_sheet_is_no_dead_letter(people, blue, sheet, linked):
    Errand.objects.create(kind=linking.READ_ERRAND, subject=linked.pk, team=blue, state="failed")
    linking.remove(people.olga, linked)
    assert not Errand.objects.filter(state="failed").exists()
    left = Errand.objects.create(kind=linking.READ_ERRAND, subject=linked.pk or 0, team=blue, state="failed")
    with pytest.raises(Conflict, match="linked no more"):
        errands.send_again(people.olga, left)


def test_it_is_read_for_somebody_who_may(people, blue, sheet, linked):
    people.olga.memberships.all().delete()
    Errand.objects.all().delete()
    LinkedSheet.objects.update(digest="")
    errands.send(linking.READ_ERRAND, linked.pk, blue)
    work()
    linked.refresh_from_db()
    assert linked.error.startswith("olga may not start batches")


# Who may --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("url", ["", "https://example.com/", "https://docs.google.com/document/d/x/", "javascript:1"])
def test_what_is_no_sheet_is_refused(people, blue, url):
    with pytest.raises(Invalid) as error:
        linking.link(people.olga, blue, url=url)
    assert error.value.field == "url"
    assert not LinkedSheet.objects.exists()


def test_a_batch_has_one_sheet(people, blue, sheet, linked):
    with pytest.raises(Conflict, match="linked to a sheet already"):
        linking.link(people.olga, blue, url=ID, batch=linked.batch)
    linking.remove(people.olga, linked)
    assert linking.link(people.olga, blue, url=ID, batch=Batch.objects.get()).batch == Batch.objects.get()
    work()
    assert Upload.objects.latest("pk").updates == Batch.objects.get()


def test_unlinking_leaves_everything_else(people, sheet, linked):
    linking.remove(people.olga, linked)
    assert (Batch.objects.count(), Upload.objects.count(), LinkedSheet.objects.count()) == (1, 1, 0)
    assert Batch.objects.get().jobs.open().count() == 3
    assert list(Event.objects.filter(verb="unlink_sheet").values_list("actor__username", flat=True)) == ["olga"]


def test_only_operators_of_the_team_may(people, blue, red, sheet, linked):
    for person in (people.rita, people.adam, people.vera, people.oscar, people.nobody):
        for deed in (
            lambda who: linking.link(who, blue, url=ID),
            lambda who: linking.sync(who, linked),
            lambda who: linking.amend(who, linked, is_polling=True),
            lambda who: linking.remove(who, linked),
        ):
            with pytest.raises(NotAllowed):
                deed(person)
    with pytest.raises(Invalid, match="no batch of the team Red"):
        linking.link(people.oscar, red, url=ID, batch=linked.batch)


def test_a_deleted_batch_hides_its_link_and_is_not_read(people, blue, sheet, linked):
    Batch.objects.update(deleted_at=timezone.now())
    assert not LinkedSheet.objects.visible_to(people.olga).exists()
    asked = len(sheet.requests)
    errands.send(linking.READ_ERRAND, linked.pk, blue)
    work()
    assert len(sheet.requests) == asked


def test_two_teams_may_link_the_same_sheet_and_see_their_own(people, blue, red, sheet):
    linking.link(people.olga, blue, url=ID)
    linking.link(people.oscar, red, url=ID)
    assert LinkedSheet.objects.visible_to(people.olga).get().team == blue
    assert LinkedSheet.objects.visible_to(people.oscar).get().team == red
