"""The pages from the drop zone to the batch"""

from __future__ import annotations

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from batches.intake import opening
from batches.models import Batch, Upload
from jobs import errands, tasks
from jobs.models import Membership
from jobs.states import Role
from tests.batches.sheets import HEADER, aepx_bytes, both, good_rows, psd_bytes, sheet_of
from tests.batches.test_opening import preview
from tests.batches.workbooks import TITLES, rows_of, xlsx
from tests.people import make_job


def at(name, *args):
    return reverse(f"admin:{name}", args=args)


@pytest.fixture
def as_olga(client, people):
    client.force_login(people.olga)
    return client


@pytest.fixture
def upload(people, blue):
    return preview(people.olga, blue, *good_rows(2), "bad id,a.psd,a.aepx,=x.aep")


@pytest.fixture
def good(people, blue):
    return preview(people.olga, blue, *good_rows(2))


def files(*lines):
    sheet = SimpleUploadedFile("spring.csv", sheet_of(*lines))
    return [sheet, *[SimpleUploadedFile(name, data.read()) for name, data in both()]]


NEW = "/admin/batches/new/"
GETS = ["upload_preview", "upload_bad_rows", "upload_progress"]
POSTS = ["upload_commit", "upload_check", "upload_discard", "upload_mapping"]


@pytest.mark.parametrize("name", GETS + POSTS)
def test_strangers_are_sent_to_the_login(client, upload, name):
    answer = getattr(client, "post" if name in POSTS else "get")(at(name, upload.pk))
    assert (answer.status_code, answer["Location"][:13]) == (302, "/admin/login/")


@pytest.mark.parametrize("name", GETS + POSTS)
def test_the_upload_of_another_team_is_not_there(client, people, upload, name):
    client.force_login(people.oscar)
    assert getattr(client, "post" if name in POSTS else "get")(at(name, upload.pk)).status_code == 404


@pytest.mark.parametrize("name", GETS + POSTS)
def test_the_wrong_method_is_refused(as_olga, upload, name):
    assert getattr(as_olga, "get" if name in POSTS else "post")(at(name, upload.pk)).status_code == 405


@pytest.mark.parametrize("name", POSTS)
def test_a_missing_role_is_refused(client, people, upload, name):
    client.force_login(people.vera)
    assert client.post(at(name, upload.pk)).status_code == 403
    assert Upload.objects.filter(committed_at=None).exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_only_operators_may_upload(client, people, method):
    client.force_login(people.vera)
    assert getattr(client, method)(NEW).status_code == 403


def test_the_drop_zone_explains_the_columns(as_olga):
    text = as_olga.get(NEW).content.decode()
    assert "output_name" in text
    assert at("template_sample") in text
    assert as_olga.put(NEW).status_code == 405


def test_the_sample_sheet_would_pass_but_for_its_files(as_olga, people, blue):
    data = b"".join(as_olga.get(at("sample_csv")))
    lines = data.decode("utf-8-sig").splitlines()
    upload = preview(people.olga, blue, *lines[1:], header=lines[0])
    columns = {column for row in upload.rows.all() for column, _, _ in row.errors}
    assert columns == {"psd_path", "aepx_path"}


def test_a_sheet_with_its_files_leads_to_the_preview(as_olga, blue):
    answer = as_olga.post(NEW, {"files": files(*good_rows(2))})
    upload = Upload.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, at("upload_preview", upload.pk))
    assert (upload.team, upload.good) == (blue, 2)


def test_with_several_teams_one_must_be_chosen(as_olga, people, red):
    Membership.objects.create(team=red, user=people.olga, role=Role.OPERATOR)
    assert as_olga.post(NEW, {"files": files(*good_rows(1))}).status_code == 404
    as_olga.post(NEW, {"team": "red", "files": files(*good_rows(1))})
    assert Upload.objects.get().team == red


def test_a_team_of_others_is_not_there(as_olga, red):
    assert as_olga.post(NEW, {"team": "red", "files": files(*good_rows(1))}).status_code == 404


def test_a_team_in_which_one_only_views_is_refused(as_olga, people, red):
    Membership.objects.create(team=red, user=people.olga, role=Role.VIEWER)
    assert as_olga.post(NEW, {"team": "red", "files": files(*good_rows(1))}).status_code == 403


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ([], "There is no sheet among the files"),
        ([SimpleUploadedFile("s.csv", b"a,b\n1,2\n")], "the header lacks"),
        ([SimpleUploadedFile("z.zip", b"no zip")], "cannot be unpacked"),
    ],
)
def test_what_cannot_be_read_is_unprocessable_with_the_words(as_olga, sent, words):
    answer = as_olga.post(NEW, {"files": sent})
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Upload.objects.exists()


def test_the_preview_shows_every_row_with_its_errors(as_olga, upload):
    text = as_olga.get(at("upload_preview", upload.pk)).content.decode()
    assert "J-1" in text
    assert "1 of 3 rows has errors" in text
    assert "may only hold the letters" in text
    assert "Open with the 2 good rows" in text


def test_the_preview_can_show_the_bad_rows_only(as_olga, upload):
    text = as_olga.get(at("upload_preview", upload.pk), {"only": "bad"}).content.decode()
    assert "bad id" in text
    assert "J-1" not in text


def test_cells_are_escaped(as_olga, people, blue):
    upload = preview(people.olga, blue, "<script>alert(1)</script>,a.psd,a.aepx,o.aep")
    assert "<script>alert" not in as_olga.get(at("upload_preview", upload.pk)).content.decode()


def test_the_bad_rows_are_a_file(as_olga, upload):
    answer = as_olga.get(at("upload_bad_rows", upload.pk))
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="spring - rows with errors.csv"'
    assert b"'=x.aep" in b"".join(answer)


def test_all_rows_are_committed_under_the_name(as_olga, good):
    answer = as_olga.post(at("upload_commit", good.pk), {"rows": "all", "name": "Launch"})
    batch = Batch.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, at("batch", batch.pk))
    assert (batch.name, batch.jobs.count()) == ("Launch", 2)


@pytest.mark.parametrize(
    ("designs", "customer", "prefix"),
    [
        (["PL-DXB191_GI_Defense_V1.psd", "pl_dxb7.psd", "hero.psd"], "Kestrel", "PL_DXB"),
        (["PL-DXB191_GI_Defense_V1.psd", "hero.psd"], "Kestrel Air", "KESTREL_AIR"),
        (["hero.psd"], "", "BATCH"),
    ],
)
def test_a_batch_is_called_by_most_of_its_files_else_by_its_client(as_olga, blue, designs, customer, prefix):
    rows = [f"J-{number},{design},a.aepx,{number}.aep,{customer}" for number, design in enumerate(designs)]
    sheet = SimpleUploadedFile("spring.csv", sheet_of(*rows, header=f"{HEADER},client_name"))
    sent = [
        sheet,
        *(SimpleUploadedFile(name, psd_bytes()) for name in designs),
        SimpleUploadedFile("a.aepx", aepx_bytes()),
    ]
    where = as_olga.post(NEW, {"files": sent})["Location"]
    shown = as_olga.post(f"{where}commit/", {"rows": "all"}, follow=True).content.decode()
    batch = Batch.objects.get()
    assert batch.directory_name == f"{prefix}_{batch.day:%Y-%m-%d}_batch-1"
    assert f"<h1>{batch.directory_name}</h1>" in shown


def test_good_rows_are_committed_without_the_bad_ones(as_olga, upload):
    as_olga.post(at("upload_commit", upload.pk), {"rows": "good"})
    assert Batch.objects.get().jobs.count() == 2


def test_all_rows_are_not_committed_while_one_is_bad(as_olga, upload):
    answer = as_olga.post(at("upload_commit", upload.pk), {"rows": "all"})
    assert answer.status_code == 422
    assert not Batch.objects.exists()


def test_a_second_commit_is_a_conflict_that_leads_to_the_batch(as_olga, good):
    as_olga.post(at("upload_commit", good.pk), {"rows": "all"})
    answer = as_olga.post(at("upload_commit", good.pk), {"rows": "all"})
    assert answer.status_code == 409
    assert at("batch", Batch.objects.get().pk) in answer.content.decode()
    assert as_olga.get(at("upload_preview", good.pk)).status_code == 302


def test_rows_that_went_stale_are_a_conflict_with_fresh_verdicts(as_olga, good, batch):
    make_job(batch, job_id="J-1")
    answer = as_olga.post(at("upload_commit", good.pk), {"rows": "all"})
    assert answer.status_code == 409
    assert "is the id of an open job" in answer.content.decode()
    good.refresh_from_db()
    assert (good.good, good.bad) == (1, 1)


def test_checking_again_finds_what_was_put_in_place(as_olga, people, blue, tmp_path):
    upload = preview(people.olga, blue, *good_rows(1), files=[])
    assert upload.bad == 1
    (tmp_path / "assets").mkdir()
    for name, data in both():
        (tmp_path / "assets" / name).write_bytes(data.read())
    assert as_olga.post(at("upload_check", upload.pk)).status_code == 302
    upload.refresh_from_db()
    assert upload.good == 1


def test_a_discarded_upload_is_gone(as_olga, upload):
    assert as_olga.post(at("upload_discard", upload.pk)).status_code == 302
    assert not Upload.objects.exists()
    assert as_olga.post(at("upload_discard", upload.pk)).status_code == 404


@pytest.mark.parametrize("name", ["upload_check", "upload_discard"])
def test_a_committed_upload_stays_as_it_is(as_olga, people, good, name):
    opening.commit_all(people.olga, good)
    assert as_olga.post(at(name, good.pk)).status_code == 409


def test_a_missing_role_is_told_on_a_page_and_to_htmx_in_words(client, people):
    client.force_login(people.vera)
    page = client.get(reverse("admin:batch_upload"))
    assert page.status_code == 403
    assert "Your role does not allow this" in page.content.decode()
    assert "takes the role operator" in page.content.decode()
    words = client.get(reverse("admin:batch_upload"), headers={"HX-Request": "true"})
    assert (words.status_code, words.content.decode()) == (403, "Uploading a sheet takes the role operator in a team.")


FOREIGN = "Auftrag,Photoshop-Datei,Vorlage,Output File,Wunsch"


def test_proposed_columns_are_shown_as_a_step_that_is_open(as_olga, people, blue):
    upload = preview(people.olga, blue, "J-1,a.psd,a.aepx,o.aep,red", header=FOREIGN)
    text = as_olga.get(at("upload_preview", upload.pk)).content.decode()
    assert 'id="mapping" open' in text
    assert '<option value="vorlage" selected>Vorlage</option>' in text
    assert "Proposed: another word for it." in text
    assert "Wunsch" in text


def test_a_sheet_in_our_own_words_has_the_step_closed_and_the_role_decides(as_olga, client, people, good):
    assert 'id="mapping" open' not in as_olga.get(at("upload_preview", good.pk)).content.decode()
    client.force_login(people.vera)
    assert 'id="mapping"' not in client.get(at("upload_preview", good.pk)).content.decode()


def test_a_person_chooses_the_columns(as_olga, people, blue):
    upload = preview(people.olga, blue, "J-1,a.psd,a.aepx,o.aep", header="one,two,three,four")
    text = as_olga.get(at("upload_preview", upload.pk)).content.decode()
    assert "Say which column is job_id" in text
    assert "Open with" not in text
    chosen = {"job_id": "one", "psd_path": "two", "aepx_path": "three", "output_name": "four", "notes": ""}
    assert as_olga.post(at("upload_mapping", upload.pk), chosen).status_code == 302
    assert "Open with the job" in as_olga.get(at("upload_preview", upload.pk)).content.decode()
    twice = as_olga.post(at("upload_mapping", upload.pk), {**chosen, "notes": "one"})
    assert twice.status_code == 422
    assert "cannot be both job_id and notes" in twice.content.decode()
    upload.refresh_from_db()
    assert upload.good == 1


def test_a_person_chooses_the_header_row(as_olga, people, blue):
    upload = preview(people.olga, blue, FOREIGN, "J-1,a.psd,a.aepx,o.aep,red", header="see,the,rows,below,this")
    where = at("upload_preview", upload.pk)
    text = as_olga.get(where).content.decode()
    assert re.search(r'name="header_row"[^>]* value="2"', text), "found by its words"
    mapping = at("upload_mapping", upload.pk)
    for row, words in (("9", "There is no row 9"), ("0", "not the number of a row"), ("x", "not the number of a row")):
        wrong = as_olga.post(mapping, {"header_row": row, "seen_header_row": "2"})
        assert (wrong.status_code, words in wrong.content.decode()) == (422, True)
    assert as_olga.post(mapping, {"header_row": "1", "seen_header_row": "2"}).status_code == 302
    upload.refresh_from_db()
    assert (upload.state, upload.layout["titles"][0]) == ("mapping", "see")
    assert as_olga.post(mapping, {"header_row": "2", "seen_header_row": "1"}).status_code == 302
    upload.refresh_from_db()
    assert (upload.state, upload.good) == ("preview", 1)


def test_another_sheet_of_a_workbook_is_taken(as_olga, people, blue):
    data = xlsx({"May": [["Plan"], TITLES, *rows_of(1)], "June": [TITLES, *rows_of(3)]})
    as_olga.post(NEW, {"files": [SimpleUploadedFile("plan.xlsx", data), *files(*good_rows(1))[1:]]})
    upload = Upload.objects.get()
    text = as_olga.get(at("upload_preview", upload.pk)).content.decode()
    assert "Excel workbook “May”" in text
    assert "Lines above the header were skipped" in text
    as_olga.post(at("upload_mapping", upload.pk), {"sheet_name": "June", "seen_sheet": "May"})
    upload.refresh_from_db()
    assert (upload.good, upload.layout["sheet_name"]) == (3, "June")
    wrong = as_olga.post(at("upload_mapping", upload.pk), {"sheet_name": "July", "seen_sheet": "June"})
    assert wrong.status_code == 422
    assert "There is no sheet “July”" in wrong.content.decode()


def test_errors_of_a_workbook_name_the_cell(as_olga, people, blue):
    data = xlsx({"Jobs": [TITLES, ["bad id", "a.psd", "a.aepx", "o.aep"]]})
    as_olga.post(NEW, {"files": [SimpleUploadedFile("s.xlsx", data), *files(*good_rows(1))[1:]]})
    upload = Upload.objects.get()
    assert "Jobs!A2" in as_olga.get(at("upload_preview", upload.pk)).content.decode()
    assert "Jobs!A2: job_id" in b"".join(as_olga.get(at("upload_bad_rows", upload.pk))).decode()


def test_rows_with_errors_come_first(as_olga, upload):
    text = as_olga.get(at("upload_preview", upload.pk)).content.decode()
    assert text.index("bad id") < text.index("J-1")
    assert "bad id" not in as_olga.get(at("upload_preview", upload.pk), {"only": "good"}).content.decode()


def test_a_large_sheet_shows_its_progress_until_it_is_judged_and_opened(as_olga, people, blue, settings):
    settings.SHEET_ROWS_AT_ONCE = 2
    upload = preview(people.olga, blue, *good_rows(4))
    text = as_olga.get(at("upload_preview", upload.pk)).content.decode()
    assert "Waiting for a worker" in text
    held = errands.claim("worker")
    held.hold(done=1, total=4, step="Judging rows")
    text = as_olga.get(at("upload_progress", upload.pk)).content.decode()
    assert "1 of about 4 rows" in text
    assert 'aria-valuenow="25"' in text
    errands.perform(held)
    assert as_olga.get(at("upload_progress", upload.pk))["HX-Refresh"] == "true"
    answer = as_olga.post(at("upload_commit", upload.pk), {"rows": "all", "name": "Large"})
    assert answer["Location"] == at("upload_preview", upload.pk)
    batch = Batch.objects.get()
    assert as_olga.get(at("batch", batch.pk)).status_code == 404
    assert "Opening the batch" in as_olga.get(at("upload_preview", upload.pk)).content.decode()
    tasks.work()
    assert as_olga.get(at("upload_preview", upload.pk))["Location"] == at("batch", batch.pk)
    assert as_olga.get(at("batch", batch.pk)).status_code == 200


def test_a_refused_sheet_says_why(as_olga, people, blue):
    upload = preview(people.olga, blue, *good_rows(1))
    Upload.objects.filter(pk=upload.pk).update(state="refused", problem="Line 9: it is broken.", good=0)
    text = as_olga.get(at("upload_preview", upload.pk)).content.decode()
    assert "Line 9: it is broken." in text
    assert "Discard" in text
