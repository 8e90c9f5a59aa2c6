"""batches.intake.sample and its page"""

from __future__ import annotations

import csv
import io

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from batches.intake import opening, sample
from batches.intake.table import MOST_COLUMNS
from jobs import csv_files
from jobs.errors import Invalid
from jobs.lifecycle import move
from jobs.models import Asset, Match, StageRun
from jobs.outcomes import keep_matches
from jobs.pipeline import work_once
from jobs.stages.base import input_hash
from jobs.states import Stage
from rendering.samples import tiny_document, tiny_project
from review import decisions
from tests.batches.test_opening import preview
from tests.people import make_job

pytestmark = pytest.mark.django_db
SLOTS = (
    {"name": "Headline", "kind": "text", "text": "Big\nnews"},
    {"name": "Client", "kind": "text", "text": "=1+1"},
    {"name": "headline ", "kind": "text", "text": ""},
    {"name": "Photo", "kind": "image", "text": None},
)


def table(data):
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


@pytest.fixture
def page():
    return reverse("admin:template_sample")


@pytest.fixture
def used(batch, blue):
    """A template that a job was ingested with."""
    project = Asset.objects.create(
        team=blue, kind="project", name="card.aepx", storage_name="x", size_bytes=1, sha256="a"
    )
    job = make_job(batch, project=project)
    return StageRun.objects.create(job=job, stage=1, input_hash="x", state="done", result={"slots": list(SLOTS)})


def test_slots_are_empty_columns_that_are_taken_for_none_of_ours(people, blue):
    data = sample.sample(sample.Template(name="card.aepx", slots=SLOTS))
    header, first, second = table(data)
    assert header[-4:] == ["slot: Headline", "slot: Client", "slot: headline 2", "slot: Photo (image)"]
    assert first[-4:] == second[-4:] == [""] * 4
    assert (first[2], second[2]) == ("card.aepx", "card.aepx")
    lines = data.decode("utf-8-sig").split("\r\n", 1)
    upload = preview(people.olga, blue, lines[1].rstrip(), header=lines[0])
    assert {choice["how"] for choice in upload.mapping.values()} == {"same"}
    assert {column for row in upload.rows.all() for column, _, _ in row.errors} == {"psd_path", "aepx_path"}


def test_a_template_with_more_slots_than_a_sheet_has_columns_still_makes_a_sheet_that_is_taken(people, blue):
    many = [{"name": f"Text {number}", "kind": "text"} for number in range(500)]
    header, rows = sample.sample(sample.Template(name="card.aepx", slots=many)).decode("utf-8-sig").split("\r\n", 1)
    assert header.count(",") == MOST_COLUMNS - 1
    assert preview(people.olga, blue, rows.rstrip(), header=header).bad == 2


def test_a_template_that_was_used_is_known_to_its_team_once(blue, red, used, batch):
    again = make_job(batch, project=used.job.project)
    newest = StageRun.objects.create(job=again, stage=1, input_hash="x", state="done", result=used.result)
    (found,) = sample.known_templates(blue)
    assert (found.key, found.name, len(found.slots)) == (newest.pk, "card.aepx", 4)
    assert sample.known_templates(red) == []


def test_the_sheet_of_a_known_template_is_downloaded(client, people, used, page):
    client.force_login(people.olga)
    assert "card.aepx (4 slots)" in client.get(page).content.decode()
    answer = client.post(page, {"known": f"blue:{used.pk}"})
    assert answer["Content-Disposition"] == 'attachment; filename="card - sample.csv"'
    assert "slot: Headline" in table(b"".join(answer))[0]


def test_the_templates_of_another_team_are_not_there(client, people, used, page):
    client.force_login(people.oscar)
    assert "card.aepx" not in client.get(page).content.decode()
    assert client.post(page, {"known": f"blue:{used.pk}"}).status_code == 404
    assert client.post(page, {"known": f"red:{used.pk}"}).status_code == 422


def test_a_template_that_is_sent_is_read_in_a_process_of_its_own(client, people, page, tmp_path):
    client.force_login(people.olga)
    path = tiny_project(tmp_path / "tiny.aepx")
    answer = client.post(page, {"template": SimpleUploadedFile("Größe 1.aepx", path.read_bytes())})
    assert answer.status_code == 200
    assert any(title.startswith("slot: ") for title in table(b"".join(answer))[0])
    assert not Asset.objects.exists()


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("card.psd", b"8BPS", "must end in .aepx or .aep"),
        ("card.aep", b"RIFX and no more", "cannot be read"),
        ("card.aepx", b"8BPS", "cannot be read"),
        ("../../x.aepx", b"<?xml version='1.0'?><!DOCTYPE l [<!ENTITY a 'aaaa'>]><l>&a;</l>", "cannot be read"),
    ],
)
def test_what_is_no_template_is_refused_in_words(client, people, page, name, data, words):
    client.force_login(people.olga)
    answer = client.post(page, {"template": SimpleUploadedFile(name, data)})
    assert answer.status_code == 422
    assert words in answer.content.decode()


def test_a_template_over_the_limit_is_refused(settings):
    settings.MAX_PROJECT_BYTES = 3
    with pytest.raises(Invalid, match="more than"):
        sample.read_template("a.aepx", io.BytesIO(b"1234"))


def test_nothing_chosen_says_so(client, people, page):
    client.force_login(people.vera)
    assert client.post(page, {}).status_code == 422
    client.logout()
    assert client.get(page).status_code == 302


# As a workbook --------------------------------------------------------------------------------------------------------
NASTY = (
    {"name": "=1+1", "kind": "text"},
    {"name": "@SUM(A1)", "kind": "image"},
    {"name": "half \ud83c a wind", "kind": "text"},
    {"name": "<b>&amp;", "kind": "text"},
)


def test_the_workbooks_cells_are_texts_also_those_that_are_filled_in_later():
    data = sample.sample(sample.Template(name="2026-01-02.aepx", slots=NASTY), form="xlsx")
    sheet = openpyxl.load_workbook(io.BytesIO(data)).active
    header, *rows = sheet.iter_rows()
    columns = table(sample.sample())[0]
    assert [cell.value for cell in header][: len(columns)] == columns
    assert [cell.value for cell in header][len(columns) :] == [
        "slot: =1+1", "slot: @SUM(A1) (image)", "slot: half \\ud83c a wind", "slot: <b>&amp;",
    ]  # fmt: skip
    assert {cell.data_type for row in rows for cell in row if cell.value} == {"s"}
    assert {cell.number_format for row in sheet.iter_rows() for cell in row} == {"@"}
    for cell in header:
        assert sheet.column_dimensions[cell.column_letter].number_format == "@", "the rows below the examples"
        assert cell.font.bold
    assert not rows[0][0].font.bold
    assert sheet.freeze_panes == "A2"
    assert rows[0][2].value == "2026-01-02.aepx"


def test_the_workbooks_titles_say_what_belongs_below_them():
    sheet = openpyxl.load_workbook(
        io.BytesIO(sample.sample(sample.Template(name="card.aepx", slots=SLOTS), form="xlsx"))
    ).active
    notes = {cell.value: cell.comment.text for cell in sheet[1]}
    assert "Unique in the sheet" in notes["job_id"]
    assert "keeps what the template has" in notes["slot: Headline"]


def test_the_workbook_is_a_sheet_that_we_take(people, blue):
    data = sample.sample(sample.Template(name="card.aepx", slots=SLOTS), form="xlsx")
    upload = opening.preview_upload(people.olga, blue, sheet_name="sample.xlsx", sheet_file=io.BytesIO(data))
    assert {choice["how"] for choice in upload.mapping.values()} == {"same"}
    assert [row.values for row in upload.rows.order_by("line")] == table(
        sample.sample(sample.Template(name="card.aepx", slots=SLOTS))
    )[1:]
    assert {column for row in upload.rows.all() for column, _, _ in row.errors} == {"psd_path", "aepx_path"}


def test_the_page_gives_the_workbook_or_the_csv(client, people, used, page):
    client.force_login(people.olga)
    answer = client.post(page, {"known": f"blue:{used.pk}", "format": "xlsx"})
    assert answer["Content-Disposition"] == 'attachment; filename="card - sample.xlsx"'
    titles = [cell.value for cell in openpyxl.load_workbook(io.BytesIO(answer.getvalue())).active[1]]
    assert titles[-1] == "slot: Photo (image)"
    shown = client.get(page).content.decode()
    for form in sample.FORMS:
        assert f'name="format" value="{form}"' in shown
        plain = client.get(reverse(f"admin:sample_{form}"))
        assert reverse(f"admin:sample_{form}") in shown
        assert plain["Content-Disposition"] == f'attachment; filename="sample.{form}"'


# There and back ------------------------------------------------------------------------------------------------------
SLOT_TITLES = ["slot: player_name", "slot: featured_photo (image)"]


@pytest.fixture
def committed(client, people, blue, page, tmp_path, settings):
    """``committed(text, photo)``: the sheet of the template is downloaded, filled in, sent, opened and worked on."""
    settings.SYSTEM_FONTS = False
    psd = tiny_document(tmp_path / "design.psd").read_bytes()
    template = tiny_project(tmp_path / "tiny.aepx").read_bytes()
    client.force_login(people.olga)

    def filled(text, photo):
        answer = client.post(page, {"template": SimpleUploadedFile("tiny.aepx", template)})
        header, row, _ = table(b"".join(answer))
        cells = {**dict(zip(header, row, strict=True)), "psd_path": "design.psd"}
        assert header[-2:] == SLOT_TITLES
        cells |= dict(zip(SLOT_TITLES, (text, photo), strict=True))
        files = [("design.psd", io.BytesIO(psd)), ("tiny.aepx", io.BytesIO(template))]
        sheet = io.BytesIO(csv_files.write([list(cells), list(cells.values())]))
        upload = opening.preview_upload(people.olga, blue, sheet_name="back.csv", sheet_file=sheet, files=files)
        job = opening.commit_all(people.olga, upload).jobs.get()
        move(job, "start")
        while work_once():
            pass
        job.refresh_from_db()
        return job

    return filled


def matches(job):
    return {match.slot_name: (match.layer_name, match.score, match.origin) for match in job.matches.all()}


def test_what_comes_back_in_a_slots_column_is_the_match(committed, settings):
    settings.MATCH_THRESHOLD = 101
    job = committed("title", "-")
    assert matches(job) == {"player_name": ("Title", 100.0, Match.SHEET), "featured_photo": ("", None, Match.SHEET)}
    assert job.matches.get(slot_name="player_name").parts == {"sheet": 100.0}
    assert not job.warnings.filter(code="unfilled_slot").exists()
    comparisons = job.result_of(2)["comparisons"]
    assert (
        str(job.matches.get(slot_name="player_name").layer_id)
        in comparisons[job.matches.get(slot_name="player_name").slot_id]
    )


def test_what_is_left_empty_is_matched_as_ever(committed, settings):
    settings.MATCH_THRESHOLD = 0
    job = committed("", "")
    assert {origin for _, _, origin in matches(job).values()} == {Match.AUTO}
    assert matches(job)["player_name"][0] == "Title"


def test_an_unknown_layer_is_a_finding_that_names_the_cell_and_the_nearest(committed, settings):
    settings.MATCH_THRESHOLD = 0
    job = committed("Titel", "Title")
    assert {origin for _, _, origin in matches(job).values()} == {Match.AUTO}
    unknown, unfit = job.warnings.filter(code__in=["unknown_layer", "layer_cannot_fill"]).order_by("code").reverse()
    assert "Line 2, “slot: player_name”" in unknown.message
    assert "“Titel”" in unknown.message
    assert "“Title”" in unknown.cure
    assert "“Title” is a text" in unfit.message


def test_people_may_change_it_and_their_choice_stays(committed, people):
    job = committed("Title", "photo")
    decisions.amend(
        people.root,
        job,
        slot_id=job.matches.get(slot_name="featured_photo").slot_id,
        layer_id=None,
        version=job.version,
    )
    again = job.matches.get(slot_name="featured_photo")
    assert (again.layer_id, again.origin) == (None, Match.HUMAN)
    job.row_data["slot: featured_photo (image)"] = "Photo"
    job.save()
    keep_matches(job, job.result_of(1)["matches"])
    assert job.matches.get(slot_name="featured_photo").origin == Match.HUMAN
    assert job.matches.get(slot_name="player_name").origin == Match.SHEET


def test_other_cells_redo_ingestion_and_matching_and_later_work_only_when_matches_differ(committed):
    job = committed("Title", "")
    before = {stage: input_hash(job, stage) for stage in Stage}
    job.row_data["Colour"] = "red"
    assert {stage: input_hash(job, stage) for stage in Stage} == before
    job.row_data["slot: player_name"] = "-"
    after = {stage: input_hash(job, stage) for stage in Stage}
    assert {stage for stage in Stage if after[stage] != before[stage]} == {Stage.INGESTION, Stage.MATCHING}
    job.matches.filter(slot_name="player_name").update(layer_id=None)
    assert input_hash(job, Stage.PREVIEW) != before[Stage.PREVIEW]
