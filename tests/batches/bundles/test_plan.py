"""batches.bundles.plan: what goes into a ZIP, and the same ZIP twice"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from batches.bundles import plan as planning
from batches.bundles.plan import DELIVERED, KINDS, PROJECT, kinds_of, plan, totals
from batches.bundles.verification import verify
from batches.models import Batch
from batches.updates import applying
from jobs.errors import Conflict, Invalid
from jobs.lifecycle import annotate
from jobs.models import Asset, Seal
from tests.batches.bundles.stock import release, store
from tests.batches.updates.conftest import newer, opened_with, wide
from tests.people import make_job

NAMES = [
    "inputs/größe.csv",
    "inputs/fonts/a.ttf",
    "A_1/project/out.aep",
    "A_1/project/footage/a.png",
    "A_1/reports/report.json",
    "A_1/previews/side-by-side.mp4",
    "A_1/scripts/populate.jsx",
    "A_1/inputs/design.psd",
    "A_1/inputs/template.aepx",
    "A_1/working/photo.png",
    "a_1 (2)/working/photo.png",
]


def bytes_of(bundle):
    return b"".join(bundle.layout.chunks(0, bundle.layout.size_bytes))


def opened(bundle):
    return zipfile.ZipFile(io.BytesIO(bytes_of(bundle)))


def names(bundle):
    root = bundle.file_name.removesuffix(".zip")
    return [entry.path.removeprefix(f"{root}/") for entry in bundle.entries]


def test_everything_has_its_place(stocked):
    bundle = plan(stocked)
    assert bundle.file_name == f"{stocked.directory_name}.zip"
    assert names(bundle) == ["manifest.json", *NAMES]
    with opened(bundle) as archive:
        assert archive.testzip() is None
        root = stocked.directory_name
        assert archive.read(f"{root}/A_1/project/out.aep") == b"new", "the newest release alone"
        assert archive.read(f"{root}/A_1/inputs/design.psd") == b"8BPS" * 1000


def test_the_manifest_tells_of_every_file_and_decision(stocked, people):
    bundle = plan(stocked)
    with opened(bundle) as archive:
        manifest = json.loads(archive.read(f"{stocked.directory_name}/manifest.json"))
        for member in manifest["members"]:
            content = archive.read(member["path"])
            assert (len(content), hashlib.sha256(content).hexdigest()) == (member["size_bytes"], member["sha256"])
    assert (manifest["format"], manifest["team"], manifest["kinds"]) == ("aeproject bundle 1", "blue", list(KINDS))
    assert manifest["batch"]["directory_name"] == stocked.directory_name
    first, second = manifest["jobs"]
    assert (first["job_id"], first["folder"], first["state"]) == ("A/1", f"{stocked.directory_name}/A_1", "completed")
    assert [(one["verb"], one["by"], one["reason"]) for one in first["decisions"]] == [
        ("approve_matches", "rita", ""),
        ("approve_preview", "adam", "Fine."),
    ]
    assert second["decisions"] == []
    assert manifest["files"] == len(NAMES) == first["files"] + second["files"] + 2


def test_the_manifest_names_the_head_of_the_batchs_history(stocked, people):
    job = stocked.jobs.get(job_id="A/1")
    seal = Seal.objects.filter(team=stocked.team).order_by("-position")
    history = plan(stocked).manifest["history"]
    last = seal.first()
    assert (history["position"], history["digest"]) == (last.position, last.digest)
    assert history["verb"] == "approve_preview"
    annotate(stocked.jobs.get(job_id="a:1"), "comment", reason="Hm.")
    assert plan(stocked, job).manifest["history"] == history
    later = plan(stocked).manifest["history"]
    assert (later["position"], later["digest"]) == (last.position + 1, seal.first().digest)


def test_the_same_batch_gives_the_same_bytes(stocked):
    assert bytes_of(plan(stocked)) == bytes_of(plan(type(stocked).objects.get(pk=stocked.pk)))
    assert plan(stocked).etag == plan(stocked).etag


def test_whatever_happens_to_the_batch_gives_another_zip(stocked, people, tmp_path):
    job = stocked.jobs.order_by("pk").first()
    etags = {plan(stocked).etag}
    annotate(job, "approve_preview", actor=people.adam)
    etags.add(plan(stocked).etag)
    store(tmp_path, job, "layer", "more.png", b"more")
    etags.add(plan(stocked).etag)
    assert len(etags) == 3


def test_what_happens_elsewhere_changes_nothing(stocked, people):
    before = bytes_of(plan(stocked))
    other = type(stocked).objects.create(team=stocked.team, name="Other", created_by=people.olga)
    annotate(make_job(other), "comment", actor=people.rita, reason="Hm.")
    assert bytes_of(plan(stocked)) == before


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_are_chosen_and_move_nothing(stocked, kind):
    chosen = names(plan(stocked, kinds=(kind,)))[1:]
    assert chosen == [name for name in NAMES if kind in name.split("/")]
    assert chosen


def test_one_job_alone(stocked):
    job = stocked.jobs.get(job_id="A/1")
    bundle = plan(stocked, job, kinds=DELIVERED)
    assert bundle.file_name == f"{stocked.directory_name}_A_1.zip"
    assert names(bundle) == [
        "manifest.json",
        "A_1/project/out.aep",
        "A_1/project/footage/a.png",
        "A_1/reports/report.json",
    ]
    assert bundle.manifest["job"] == "A/1"
    before = bytes_of(bundle)
    annotate(stocked.jobs.get(job_id="a:1"), "comment", reason="Hm.")
    assert bytes_of(plan(stocked, job, kinds=DELIVERED)) == before, "the other job is no matter of this one"


def test_totals_are_those_of_the_plan(stocked):
    for job in (None, stocked.jobs.get(job_id="A/1")):
        told = totals(stocked, job)
        for kind in KINDS:
            members = [one for one in plan(stocked, job).manifest["members"] if one["kind"] == kind]
            assert (told[kind].files, told[kind].size_bytes) == (
                len(members),
                sum(member["size_bytes"] for member in members),
            )


def test_what_retention_removed_is_left_out_and_nothing_older_comes_back(stocked):
    newest = stocked.jobs.get(job_id="A/1").assets.filter(kind="released_project").last()
    Asset.objects.filter(pk__in=[newest.pk, stocked.upload.sheet_id]).update(removed_at=timezone.now())
    gone = {"A_1/project/out.aep", "inputs/größe.csv"}
    assert names(plan(type(stocked).objects.get(pk=stocked.pk)))[1:] == [name for name in NAMES if name not in gone]


def test_nothing_to_pack_is_told(batch, stocked):
    job = stocked.jobs.get(job_id="a:1")
    with pytest.raises(Conflict, match=r"a:1 has no files of these kinds \(project\) yet"):
        plan(stocked, job, kinds=(PROJECT,))
    empty = type(batch).objects.create(team=batch.team, name="Empty", created_by=batch.created_by)
    with pytest.raises(Conflict, match="has no files yet"):
        plan(empty)


def test_too_many_files_are_told(stocked, monkeypatch):
    monkeypatch.setattr(planning, "MOST_FILES", 3)
    with pytest.raises(Conflict, match="more than 3 files"):
        plan(stocked)
    assert plan(stocked, kinds=DELIVERED)


def test_a_batch_that_changes_meanwhile_is_planned_again(stocked, people, monkeypatch):
    job = stocked.jobs.get(job_id="A/1")
    planned, times = planning._planned, []

    def meanwhile(*args):
        result = planned(*args)
        if not times:
            annotate(job, "approve_preview", actor=people.adam)
        times.append(1)
        return result

    monkeypatch.setattr(planning, "_planned", meanwhile)
    bundle = plan(stocked)
    assert len(times) == 2
    assert len(bundle.manifest["jobs"][0]["decisions"]) == 3
    monkeypatch.setattr(planning, "_planned", lambda *args: annotate(job, "comment", reason="Hm."))
    with pytest.raises(Conflict, match="is changing"):
        plan(stocked)


@pytest.mark.parametrize(
    ("asked", "kinds"),
    [
        ([], KINDS),
        (["reports", "project"], ("project", "reports")),
        (["reports,project", ""], ("project", "reports")),
        (["project", "project"], ("project",)),
    ],
)
def test_kinds_are_asked_for_by_name(asked, kinds):
    assert kinds_of(asked) == kinds


@pytest.mark.parametrize("asked", [[""], ["everything"], ["project,x"], ["PROJECT"]])
def test_unknown_kinds_are_refused(asked):
    with pytest.raises(Invalid, match="kind of files"):
        kinds_of(asked)


def test_the_questions_do_not_grow_with_the_jobs(stocked, tmp_path):
    def questions():
        with CaptureQueriesContext(connection) as asked:
            plan(stocked)
        return len(asked)

    plan(stocked)  # seals what waits

    before = questions()
    for number in range(5):
        job = make_job(stocked)
        release(tmp_path, job, f"blue/spring/{number}", out_aep=b"%d" % number)
    assert questions() == before


def test_every_file_is_in_one_place_only(stocked):
    paths = [entry.path for entry in plan(stocked).entries]
    assert len(set(paths)) == len(paths)
    single = [name for kind in KINDS for name in names(plan(stocked, kinds=(kind,)))[1:]]
    assert sorted(single) == sorted(NAMES)
    assert Asset.objects.count() == len(NAMES) + 2, "all but the two files of the older release"


# Newer sheets ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def renewed(people, blue):
    """A batch of J-1 to J-3 to which two newer sheets of the same name were applied; a third was only looked at."""
    batch = opened_with(people, blue, *wide())
    for count, person in ((4, people.olga), (5, people.root)):
        applying.apply(person, newer(person, batch, *wide(count)))
    newer(people.olga, batch, *wide(6))
    return Batch.objects.get(pk=batch.pk)


def test_all_sheets_are_there_in_the_order_in_which_they_were_applied(renewed, tmp_path):
    bundle = plan(renewed)
    root, told = renewed.directory_name, bundle.manifest["sheets"]
    days = [sheet["applied_at"][:10] for sheet in told]  # midnight may come between them
    paths = ["inputs/spring.csv", f"inputs/sheets/2_{days[1]}_newer.csv", f"inputs/sheets/3_{days[2]}_newer.csv"]
    assert [(sheet["path"], sheet["number"]) for sheet in told] == [
        (f"{root}/{path}", number) for number, path in enumerate(paths, 1)
    ]
    assert [sheet["applied_by"] for sheet in told] == ["olga", "olga", "root"]
    moments = [sheet["applied_at"] for sheet in told]
    assert moments == sorted(moments)
    with opened(bundle) as archive:
        assert [len(archive.read(f"{root}/{path}").splitlines()) for path in paths] == [4, 5, 6]
    target = tmp_path / "a.zip"
    target.write_bytes(bytes_of(bundle))
    assert verify(target).problems == []
    again = plan(renewed)
    assert (again.etag, bytes_of(again)) == (bundle.etag, target.read_bytes())


def test_a_sheet_that_retention_removed_keeps_its_number(renewed):
    second = renewed.newer_sheets.filter(state="committed").order_by("pk").first()
    Asset.objects.filter(pk=second.sheet_id).update(removed_at=timezone.now())
    assert [sheet["number"] for sheet in plan(renewed).manifest["sheets"]] == [1, 3]


def test_a_job_and_a_choice_without_inputs_have_no_sheets(stocked):
    assert plan(stocked, kinds=[PROJECT]).manifest["sheets"] == []
    assert plan(stocked, stocked.jobs.first()).manifest["sheets"] == []
