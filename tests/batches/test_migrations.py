"""What migrations of batches make of records that were there before

0004_upload_rows: what was judged when verdicts were one JSON is there as rows, and goes on. 0013_last_numbers: numbers
go on after the last that was given.
"""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.urls import reverse
from django.utils import timezone

from batches.intake import bad_rows, opening
from batches.models import LastNumber, Upload
from batches.naming import amend, open_batch
from jobs.models import Membership, Team
from tests.batches.sheets import aepx_bytes, psd_bytes, put_in_root

BEFORE = ("batches", "0003_grouping")
HEADER = ["Job ID", "psd_path", "aepx_path", "output_name", "Größe", ""]
NAMES = ["job_id", "psd_path", "aepx_path", "output_name", "größe", "column_6"]


def row(line, *, errors=(), **sent):
    """As ``judge`` of that time wrote it."""
    values = [f"J-{line}", "a.psd", "a.aepx", f"out-{line}.aep", "größer\n🎬", ""]
    told = [{"column": column, "message": message} for column, message in errors]
    return {"line": line, "values": values, "errors": told, "psd": "", "project": "", **sent}


def verdicts(*rows, header=HEADER, names=NAMES):
    good = sum(not one["errors"] for one in rows)
    return {
        "header": header, "names": names, "encoding": "UTF-8", "delimiter": ";", "rows": list(rows), "good": good,
        "bad": len(rows) - good, "kept": ["Größe", ""],
    }  # fmt: skip


TAKEN = ("job_id", "“J-3” is the id of an open job of the team.")
TOO_WIDE = ("", "has more cells than the header (“x”): a text that holds the separator needs quotation marks.")
OLD = {
    "good.csv": verdicts(row(2, psd="in/a.psd", project="a.aepx"), row(4)),
    "mixed.csv": verdicts(row(2), row(3, errors=[TAKEN, TOO_WIDE]), row(9, errors=[TOO_WIDE])),
    "bad.csv": verdicts(row(2, errors=[TAKEN])),
    "none.csv": {},
    "large.csv": verdicts(*(row(line) for line in range(2, 1203))),
    "committed.csv": verdicts(row(2), row(3, errors=[TAKEN])),
    **{f"many-{number}.csv": verdicts(row(2)) for number in range(25)},
}


@pytest.fixture
def migrated(transactional_db, tmp_path, settings):
    """The uploads by their sheets' names, after their way from the old shape."""
    put_in_root(tmp_path / "assets", a_psd=psd_bytes(), a_aepx=aepx_bytes())
    executor = MigrationExecutor(connection)
    latest = list(executor.loader.graph.leaf_nodes())
    try:
        executor.migrate([BEFORE])
        state = MigrationExecutor(connection).loader.project_state([BEFORE])
        _insert(state.apps)
    finally:
        MigrationExecutor(connection).migrate(latest)
    return {upload.sheet.name: upload for upload in Upload.objects.select_related("sheet", "team")}


def _insert(apps):
    """The records as they were then."""
    user = apps.get_model("auth", "User").objects.create(username="olga", is_active=True)
    team = apps.get_model("jobs", "Team").objects.create(name="Blue", slug="blue")
    for name, old in OLD.items():
        stored = storages["default"].save(f"old/{name}", ContentFile(b"job_id\nx\n"))
        sheet = apps.get_model("jobs", "Asset").objects.create(
            team=team,
            kind="sheet",
            name=name,
            storage_name=stored,
            size_bytes=9,
            media_type="text/csv",
            sha256="0" * 64,
        )
        committed_at = timezone.now() if name == "committed.csv" else None
        apps.get_model("batches", "Upload").objects.create(
            team=team, user=user, sheet=sheet, verdicts=old, committed_at=committed_at
        )


def kept(upload):
    return [(one.line, one.values, one.errors, one.good, one.psd, one.project) for one in upload.rows.order_by("id")]


def test_old_verdicts_become_rows_that_go_on(migrated, client):
    assert set(migrated) == set(OLD)
    _every_row_is_there(migrated)
    _states_and_layouts_are_right(migrated)
    olga = User.objects.get(username="olga")
    Membership.objects.create(team=Team.objects.get(), user=olga, role="operator")
    _pages_show_them(migrated, client, olga)
    _they_are_committed(migrated, olga)


def _every_row_is_there(migrated):
    for name, old in OLD.items():
        expected = [
            (
                one["line"],
                one["values"],
                [[error["column"], error["message"], f"Line {one['line']}"] for error in one["errors"]],
                not one["errors"],
                one["psd"],
                one["project"],
            )
            for one in old.get("rows", [])
        ]
        assert kept(migrated[name]) == expected, name
        assert (migrated[name].good, migrated[name].bad) == (old.get("good", 0), old.get("bad", 0)), name


def _states_and_layouts_are_right(migrated):
    states = {name: upload.state for name, upload in migrated.items()}
    assert states.pop("committed.csv") == Upload.COMMITTED
    assert states.pop("none.csv") == Upload.REFUSED
    assert set(states.values()) == {Upload.PREVIEW}
    mixed = migrated["mixed.csv"]
    assert (mixed.layout["header"], mixed.layout["titles"]) == (HEADER, NAMES)
    assert (mixed.layout["places"], mixed.layout["width"], mixed.layout["form"]) == ([0, 1, 2, 3, 4, 5], 6, "UTF-8, ;")
    assert {name: choice["title"] for name, choice in mixed.mapping.items()} == {
        name: name for name in ("job_id", "psd_path", "aepx_path", "output_name")
    }


def _pages_show_them(migrated, client, olga):
    client.force_login(olga)
    for name in ("mixed.csv", "bad.csv", "large.csv", "none.csv"):
        page = client.get(reverse("admin:upload_preview", args=[migrated[name].pk]))
        assert page.status_code == 200, name
        told = client.get(f"/api/uploads/{migrated[name].pk}/").json()
        assert (told["good"], told["bad"]) == (OLD[name].get("good", 0), OLD[name].get("bad", 0)), name
    words = b"".join(bad_rows.bad_rows_csv(migrated["mixed.csv"])).decode("utf-8-sig")
    assert "Line 3: job_id “J-3” is the id of an open job of the team. Line 3: has more cells" in words
    assert "Send the sheet again" in migrated["none.csv"].problem


def _they_are_committed(migrated, olga):
    batch = opening.commit_good_rows(olga, migrated["mixed.csv"])
    job = batch.jobs.get()
    assert (job.job_id, job.row_line, job.output_name) == ("J-2", 2, "out-2.aep")
    assert job.row_data == {"Größe": "größer\n🎬", "column_6": ""}


def test_numbers_go_on_after_the_last_that_was_given(transactional_db):
    latest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    team = Team.objects.create(name="Blue", slug="blue")
    olga = User.objects.create(username="olga")
    Membership.objects.create(team=team, user=olga, role="operator")
    try:
        first, moved, again = (open_batch(olga, team, prefix="AB") for _ in range(3))
        amend(olga, moved, prefix="CD")
        amend(olga, again, prefix="CD")
        amend(olga, again, prefix="EF")
        before = set(LastNumber.objects.values_list("team", "prefix", "day", "number"))
        MigrationExecutor(connection).migrate([("batches", "0012_contents_of_sheets")])
    finally:
        MigrationExecutor(connection).migrate(latest)
    assert set(LastNumber.objects.values_list("team", "prefix", "day", "number")) == before
    assert {(prefix, number) for _, prefix, _, number in before} == {("AB", 3), ("CD", 2), ("EF", 1)}
    assert amend(olga, first, prefix="CD").number == 3
