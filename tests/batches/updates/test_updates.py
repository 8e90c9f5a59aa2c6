"""batches.updates: a newer sheet is compared with the jobs of its batch, and applied"""

from __future__ import annotations

import io

import pytest

from batches.intake import opening
from batches.updates import applying
from jobs.errors import Conflict, Invalid, NotAllowed
from jobs.lifecycle import move
from jobs.models import Asset, Event, Job, StageRun
from jobs.stages.base import input_hash
from jobs.states import Stage, State
from tests.batches.sheets import aepx_bytes, both, good_rows, psd_bytes, put_in_root, sent, sheet_of
from tests.batches.updates.conftest import ROW, WIDE, newer, opened_with, wide
from tests.people import make_job

pytestmark = pytest.mark.django_db


def told(upload):
    return [(change.kind, change.name, change.fields) for change in upload.changes.order_by("pk")]


def place(batch, name, stage, state):
    """The job at a place in its life, with the run that brought it there."""
    job = batch.jobs.get(job_id=name)
    Job.objects.filter(pk=job.pk).update(stage=stage, state=state)
    job.refresh_from_db()
    done = {State.IN_REVIEW: StageRun.DONE, State.QUEUED: StageRun.QUEUED, State.FAILED: StageRun.FAILED}
    for earlier in Stage:
        if earlier < stage:
            StageRun.objects.create(job=job, stage=earlier, input_hash=input_hash(job, earlier), state=StageRun.DONE)
    StageRun.objects.create(job=job, stage=stage, input_hash=input_hash(job, stage), state=done[state])
    return job


def runs(job):
    return list(job.runs.order_by("pk").values_list("stage", "state"))


# What differs ---------------------------------------------------------------------------------------------------------
def test_the_same_rows_in_another_order_are_unchanged(people, opened):
    upload = newer(people.olga, opened, *reversed(wide()))
    assert told(upload) == []
    assert applying.counts_of(upload) == {
        "new": 0, "changed": 0, "removed": 0, "unchanged": 3, "errors": 0, "hindered": 0,
    }  # fmt: skip
    with pytest.raises(Invalid, match="nothing to do"):
        applying.apply(people.olga, upload)


def test_new_changed_removed_and_bad_rows_are_told_apart(people, opened):
    upload = newer(
        people.olga,
        opened,
        "J-1,a.psd,a.aepx,out-1.aep,Südwind 🌬,Spring,high,,blue",
        "J-2,nowhere.psd,a.aepx,out-2.aep,Northwind,Spring,normal,,red",
        "J-4,a.psd,a.aepx,out-4.aep,,,,,",
    )
    assert told(upload) == [
        (
            "changed",
            "J-1",
            {"client_name": ["Northwind", "Südwind 🌬"], "priority": ["normal", "high"], "Colour": ["red", "blue"]},
        ),
        ("new", "J-4", {}),
        ("removed", "J-3", {}),
    ]
    assert applying.counts_of(upload)["errors"] == 1  # J-2 has a job, and keeps it
    assert (upload.changes.get(kind="changed").line, upload.changes.get(kind="new").line) == (2, 4)


def test_a_column_that_the_newer_sheet_lacks_is_left_as_it_is(people, opened):
    upload = newer(people.olga, opened, *good_rows(3), header="job_id,psd_path,aepx_path,output_name")
    assert told(upload) == []


def test_a_column_that_is_new_is_added_to_what_was_kept(people, opened):
    header = "job_id,psd_path,aepx_path,output_name,Größe"
    upload = newer(people.olga, opened, "J-1,a.psd,a.aepx,out-1.aep,10", *good_rows(3)[1:], header=header)
    assert told(upload) == [("changed", "J-1", {"Größe": ["", "10"]})]
    applying.apply(people.olga, upload)
    assert opened.jobs.get(job_id="J-1").row_data == {"Colour": "red", "Größe": "10"}


def test_an_id_that_is_there_twice_is_an_error_and_its_job_is_compared_with_the_first(people, opened):
    upload = newer(people.olga, opened, *wide(), "J-1,a.psd,a.aepx,other.aep,X,,,,")
    assert (told(upload), upload.bad) == ([], 1)


def test_an_open_job_of_another_batch_keeps_its_id(people, opened, batch):
    make_job(batch, job_id="J-9")
    upload = newer(people.olga, opened, *wide(), ROW.format(9))
    assert upload.rows.get(good=False).errors[0][1] == "“J-9” is the id of an open job of the team."


@pytest.mark.parametrize("header", ["job_id,psd_path,aepx_path,output_name", ""])
def test_an_emptied_sheet_is_refused(people, opened, header):
    with pytest.raises(Invalid, match=r"no rows|empty"):
        newer(people.olga, opened, header=header)


def test_a_sheet_without_its_header_must_be_mapped_first(people, opened):
    upload = newer(people.olga, opened, *wide()[1:], header=wide()[0])
    assert (upload.state, told(upload)) == ("mapping", [])
    with pytest.raises(Invalid, match="Say which column"):
        applying.apply(people.olga, upload)


def test_a_file_that_the_job_has_stored_need_not_be_there_any_more(people, blue, tmp_path):
    put_in_root(tmp_path / "assets", b_psd=psd_bytes(), b_aepx=aepx_bytes())
    batch = opened_with(people, blue, "J-1,b.psd,b.aepx,o.aep", header="job_id,psd_path,aepx_path,output_name")
    other = Asset.objects.filter(kind="upload").first()
    batch.jobs.update(psd=other, project=other)
    for path in (tmp_path / "assets").iterdir():
        path.unlink()
    header = "job_id,psd_path,aepx_path,output_name"
    assert newer(people.olga, batch, "J-1,b.psd,b.aepx,o.aep", header=header).good == 1
    assert newer(people.olga, batch, "J-1,c.psd,b.aepx,o.aep", header=header).bad == 1


def test_a_priority_that_a_person_gave_stays(people, opened):
    Job.objects.filter(job_id="J-1").update(priority=0)
    job = opened.jobs.get(job_id="J-1")
    assert told(newer(people.olga, opened, *wide())) == [("changed", "J-1", {"priority": ["urgent", "normal"]})]
    Event.objects.create(team=job.team, batch=opened, job=job, verb="prioritise", data={"priority": 0})
    assert told(newer(people.olga, opened, *wide())) == []


@pytest.mark.parametrize(
    ("state", "words"), [("done", "deployed"), ("cancelled", "Retry it"), ("on_hold", "Release it")]
)
def test_what_cannot_be_changed_now_says_why(people, opened, state, words):
    opened.jobs.filter(job_id="J-1").update(state=state)
    upload = newer(people.olga, opened, *wide(J_1=ROW.format(1).replace("a.aepx", "b.aepx")), files=sent(b_aepx=b"x"))
    assert upload.bad == 1
    other = aepx_bytes() + b" "
    upload = newer(people.olga, opened, *wide(J_1=ROW.format(1).replace("a.aepx", "b.aepx")), files=sent(b_aepx=other))
    change = upload.changes.get()
    assert words in change.hindrance
    assert applying.counts_of(upload)["hindered"] == 1
    with pytest.raises(Invalid, match="nothing to do"):
        applying.apply(people.olga, upload)


def test_jobs_that_are_over_are_not_removed(people, opened):
    opened.jobs.filter(job_id="J-1").update(state="done")
    opened.jobs.filter(job_id="J-2").update(state="cancelled")
    assert told(newer(people.olga, opened, *wide()[2:])) == []


# Applying -------------------------------------------------------------------------------------------------------------
def test_everything_is_applied_and_told_in_the_history(people, opened):
    upload = newer(people.olga, opened, *wide(J_1=ROW.format(1).replace("red", "blue"))[:2], ROW.format(4))
    applying.apply(people.olga, upload, cancel=1)
    assert upload.state == "committed"
    assert dict(opened.jobs.values_list("job_id", "state")) == {
        "J-1": "pending", "J-2": "pending", "J-3": "cancelled", "J-4": "pending",
    }  # fmt: skip
    assert opened.jobs.get(job_id="J-4").psd.name == "a.psd"
    event = Event.objects.get(verb="correct")
    assert (event.actor, event.reason, event.job.job_id) == (people.olga, "Sheet newer.csv, line 2", "J-1")
    assert event.data["changes"] == {"Colour": ["red", "blue"]}
    assert Event.objects.get(verb="cancel").reason == "It is not in the sheet newer.csv any more."
    whole = Event.objects.get(verb="update_batch")
    assert {key: whole.data[key] for key in ("sheet", "new", "changed", "removed", "left_out")} == {
        "sheet": "newer.csv", "new": 1, "changed": 1, "removed": 1, "left_out": 0,
    }  # fmt: skip
    assert set(upload.changes.values_list("outcome", flat=True)) == {"done"}
    with pytest.raises(Conflict, match="already"):
        applying.apply(people.olga, upload)


def test_what_was_not_chosen_is_left(people, opened):
    upload = newer(people.olga, opened, *wide(J_1=ROW.format(1).replace("red", "blue"))[:2], ROW.format(4))
    applying.apply(people.olga, upload, changed=False)
    assert dict(opened.jobs.values_list("job_id", "state")) == dict.fromkeys(["J-1", "J-2", "J-3", "J-4"], "pending")
    assert opened.jobs.get(job_id="J-1").row_data == {"Colour": "red"}
    assert set(upload.changes.filter(outcome="left").values_list("name", flat=True)) == {"J-1", "J-3"}


@pytest.mark.parametrize("number", [1, 3, -1])
def test_cancelling_takes_the_number_of_jobs(people, opened, number):
    upload = newer(people.olga, opened, wide()[0])
    with pytest.raises(Invalid, match="2 jobs") as error:
        applying.apply(people.olga, upload, cancel=number)
    assert error.value.field == "cancel"
    assert not Event.objects.filter(verb="cancel").exists()


def test_rows_that_moved_take_their_jobs_along(people, opened):
    upload = newer(people.olga, opened, *reversed(wide()), ROW.format(4))
    applying.apply(people.olga, upload)
    order = opened.jobs.order_by("row_line").values_list("job_id", flat=True)
    assert list(order) == ["J-3", "J-2", "J-1", "J-4"]
    assert not Event.objects.filter(verb__in=["correct", "revise"]).exists()


def test_only_operators_of_the_team_may_apply(people, opened):
    upload = newer(people.olga, opened, *wide(4))
    for person in (people.rita, people.vera, people.oscar, people.nobody):
        with pytest.raises(NotAllowed):
            applying.apply(person, upload)
        with pytest.raises(NotAllowed):
            newer(person, opened, *wide(4))


def test_a_batch_of_another_team_or_in_the_archive_takes_no_newer_sheet(people, opened, red):
    sheet = io.BytesIO(sheet_of(*wide(), header=WIDE))
    with pytest.raises(Invalid, match="no batch of the team Red"):
        opening.preview_upload(people.oscar, red, sheet_name="s.csv", sheet_file=sheet, updates=opened)
    upload = newer(people.olga, opened, *wide(4))
    type(opened).objects.update(archived_at=opened.created_at)
    opened.refresh_from_db()
    upload.refresh_from_db()
    with pytest.raises(Conflict, match="archived"):
        newer(people.olga, opened, *wide())
    with pytest.raises(Conflict, match="archived"):
        applying.apply(people.olga, upload)


def test_a_newer_sheet_opens_no_batch_of_its_own_and_another_sheet_updates_none(people, opened, blue):
    upload = newer(people.olga, opened, *wide(4))
    with pytest.raises(Invalid, match="apply it to that"):
        opening.commit_all(people.olga, upload)
    own = opening.preview_upload(
        people.olga, blue, sheet_name="s.csv", sheet_file=io.BytesIO(sheet_of("X,a.psd,a.aepx,x.aep")), files=both()
    )
    with pytest.raises(Invalid, match="new batch"):
        applying.apply(people.olga, own)


def test_a_deleted_batch_takes_its_newer_sheets_with_it(people, opened):
    upload = newer(people.olga, opened, *wide(4))
    type(opened).objects.update(deleted_at=opened.created_at)
    assert not type(upload).objects.visible_to(people.olga).filter(pk=upload.pk).exists()
    assert not upload.changes.model.objects.visible_to(people.olga).exists()
    with pytest.raises(Conflict, match="deleted"):
        applying.apply(people.olga, upload)
    assert opened.jobs.count() == 3


def test_what_happened_since_the_comparison_is_seen(people, opened, batch):
    upload = newer(people.olga, opened, *wide(5, J_1=ROW.format(1).replace("red", "blue"))[:1], *wide(5)[3:])
    opened.jobs.filter(job_id="J-1").update(state="done")
    opened.jobs.filter(job_id="J-2").update(state="done")
    make_job(opened, job_id="J-4", output_name="four.aep")
    make_job(batch, job_id="J-5")
    applying.apply(people.olga, upload, cancel=2)
    notes = dict(upload.changes.filter(outcome="left").values_list("name", "note"))
    assert notes == {
        "J-1": "It was deployed as it was. Process it again on its page first, if it should become another.",
        "J-2": applying.OVER_ALREADY,
        "J-4": applying.THERE_ALREADY,
        "J-5": applying.OPEN_ELSEWHERE,
    }
    assert opened.jobs.get(job_id="J-3").state == "cancelled"


# What is redone -------------------------------------------------------------------------------------------------------
def test_another_design_is_redone_from_ingestion(people, opened):
    job = place(opened, "J-1", Stage.PREVIEW, State.IN_REVIEW)
    Job.objects.filter(pk=job.pk).update(render_comp_id=7, forced_reason="it is fine so")
    before = runs(job)
    upload = newer(people.olga, opened, *wide(), files=sent(a_psd=psd_bytes(width_px=9)))
    assert [(name, redo) for name, redo in upload.changes.values_list("name", "redo")] == [
        ("J-1", 1), ("J-2", None), ("J-3", None),
    ]  # fmt: skip
    assert upload.changes.get(name="J-1").fields == {"psd_path": ["a.psd", "a.psd (another file)"]}
    applying.apply(people.olga, upload)
    job.refresh_from_db()
    assert (job.stage, job.state, job.render_comp_id, job.forced_reason) == (1, "queued", 7, "")
    assert runs(job) == [*before, (1, "queued")]
    assert job.runs.last().input_hash == input_hash(job, Stage.INGESTION)
    event = Event.objects.get(verb="revise")
    assert (event.job, event.from_public, event.to_public) == (job, "awaiting_approval", "processing")
    assert opened.upload.files.get(name="a.psd").asset == job.psd


def test_the_same_design_under_another_path_is_not_redone(people, opened):
    job = place(opened, "J-1", Stage.PREVIEW, State.IN_REVIEW)
    before = runs(job)
    row = ROW.format(1).replace("a.psd", "b.psd")
    applying.apply(people.olga, newer(people.olga, opened, *wide(J_1=row), files=sent(b_psd=psd_bytes())))
    job.refresh_from_db()
    assert (job.psd_path, job.state, job.version, runs(job)) == ("b.psd", "in_review", 1, before)


@pytest.mark.parametrize(("cell", "redone"), [("Headline 2", True), ("", False)])
def test_another_layer_for_a_slot_is_redone_from_ingestion(people, opened, cell, redone):
    job = place(opened, "J-1", Stage.PREVIEW, State.IN_REVIEW)
    header = "job_id,psd_path,aepx_path,output_name,slot: Title"
    rows = [f"{row},{cell if number == 0 else ''}" for number, row in enumerate(good_rows(3))]
    upload = newer(people.olga, opened, *rows, header=header)
    assert [change.redo for change in upload.changes.all()] == ([1] if redone else [])
    if redone:
        applying.apply(people.olga, upload)
        job.refresh_from_db()
        assert (job.stage, job.state, job.row_data["slot: Title"]) == (1, "queued", cell)


def test_another_template_forgets_the_render_comp(people, opened):
    job = place(opened, "J-1", Stage.MATCHING, State.IN_REVIEW)
    Job.objects.filter(pk=job.pk).update(render_comp_id=7)
    row = ROW.format(1).replace("a.aepx", "b.aepx")
    files = sent(b_aepx=aepx_bytes() + b"<!-- other -->")
    applying.apply(people.olga, newer(people.olga, opened, *wide(J_1=row), files=files))
    job.refresh_from_db()
    assert (job.stage, job.state, job.render_comp_id) == (1, "queued", None)


@pytest.mark.parametrize(
    ("stage", "state", "redone"),
    [
        (Stage.INGESTION, State.QUEUED, False),
        (Stage.PREVIEW, State.IN_REVIEW, False),
        (Stage.DELIVERY, State.QUEUED, True),
        (Stage.DELIVERY, State.IN_REVIEW, True),
        (Stage.DELIVERY, State.FAILED, True),
    ],
)
def test_another_output_name_is_delivered_anew_and_nothing_else(people, opened, stage, state, redone):
    job = place(opened, "J-1", stage, state)
    before = runs(job)
    applying.apply(people.olga, newer(people.olga, opened, *wide(J_1=ROW.format(1).replace("out-1", "better"))))
    job.refresh_from_db()
    assert job.output_name == "better.aep"
    if redone:
        dropped = [(stage, "dropped" if old == "queued" else old) for stage, old in before]
        assert runs(job) == [*dropped, (4, "queued")]
        assert (job.stage, job.state) == (4, "queued")
    else:
        assert (runs(job), job.stage, job.state) == (before, stage, state)


@pytest.mark.parametrize("state", [State.QUEUED, State.IN_REVIEW, State.FAILED])
def test_client_notes_and_priority_redo_nothing(people, opened, state):
    job = place(opened, "J-1", Stage.PREVIEW, state)
    before = runs(job)
    row = "J-1,a.psd,a.aepx,out-1.aep,Südwind,Summer,urgent,Look twice,blue"
    applying.apply(people.olga, newer(people.olga, opened, *wide(J_1=row)))
    job.refresh_from_db()
    assert (job.client_name, job.project_name, job.priority_name, job.notes) == (
        "Südwind", "Summer", "urgent", "Look twice",
    )  # fmt: skip
    assert (runs(job), job.stage, job.state, job.version) == (before, Stage.PREVIEW, state, 1)
    if state == State.QUEUED:
        assert set(job.runs.filter(state="queued").values_list("priority", "rank")) == {(0, 0)}


def test_a_page_that_was_open_while_the_row_changed_is_stale(people, opened):
    job = place(opened, "J-1", Stage.PREVIEW, State.IN_REVIEW)
    seen = job.version
    applying.apply(people.olga, newer(people.olga, opened, *wide(J_1=ROW.format(1).replace("out-1", "better"))))
    with pytest.raises(Conflict, match="has changed"):
        move(job, "approve_preview", actor=people.adam, version=seen)


# Output names ---------------------------------------------------------------------------------------------------------
def renamed(**names):
    return wide(**{job: ROW.format(job[2:]).replace(f"out-{job[2:]}", name) for job, name in names.items()})


def names_of(batch):
    return dict(batch.jobs.values_list("job_id", "output_name"))


def test_jobs_trade_their_output_names(people, opened):
    upload = newer(people.olga, opened, *renamed(J_1="out-2", J_2="out-3", J_3="out-1"))
    assert set(upload.changes.values_list("trades", flat=True)) == {True}
    applying.apply(people.olga, upload)
    assert names_of(opened) == {"J-1": "out-2.aep", "J-2": "out-3.aep", "J-3": "out-1.aep"}


def test_a_name_that_another_job_keeps_is_not_taken_nor_those_that_hang_on_it(people, opened):
    opened.jobs.filter(job_id="J-3").update(state="done")
    upload = newer(people.olga, opened, *renamed(J_1="out-2", J_2="OUT-3", J_3="else"), ROW.format(4))
    hindered = dict(upload.changes.exclude(hindrance="").values_list("name", "hindrance"))
    assert set(hindered) == {"J-1", "J-2", "J-3"}
    assert hindered["J-2"] == "Its output name is that of “J-3”, which keeps it."
    applying.apply(people.olga, upload)
    assert names_of(opened) == {**{f"J-{n}": f"out-{n}.aep" for n in range(1, 4)}, "J-4": "out-4.aep"}


def test_a_new_row_takes_a_name_that_a_job_gives_up(people, opened):
    new = ROW.format(4).replace("out-4", "out-1")
    upload = newer(people.olga, opened, *renamed(J_1="better"), new)
    assert not upload.changes.exclude(hindrance="").exists()
    applying.apply(people.olga, upload, changed=False)
    assert upload.changes.get(name="J-4").note == "Its output name is that of “J-1”, which keeps it."
    again = newer(people.olga, opened, *renamed(J_1="better"), new)
    applying.apply(people.olga, again)
    assert names_of(opened)["J-4"] == "out-1.aep"


def test_upper_and_lower_case_of_ones_own_name_may_change(people, opened):
    applying.apply(people.olga, newer(people.olga, opened, *renamed(J_1="OUT-1")))
    assert names_of(opened)["J-1"] == "OUT-1.aep"
