"""batches.intake.checks"""

from __future__ import annotations

import os

import pytest

from batches.intake import checks
from batches.intake.checks import Finder, look
from jobs.store import put_asset
from tests.batches.sheets import aep_bytes, aepx_bytes, psd_bytes, put_in_root


def problem(name, data):
    return look(name, data[: checks.HEAD_BYTES], len(data))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.psd", psd_bytes()),
        ("a.PSB", psd_bytes(version=2, width_px=100_000)),
        ("a.aep", aep_bytes()),
        ("a.aepx", aepx_bytes()),
        ("a.aepx", b"\xef\xbb\xbf  <!-- made\nby hand --><AfterEffectsProject/>"),
        ("a.aepx", '<?xml version="1.0" encoding="UTF-16"?><AfterEffectsProject/>'.encode("utf-16")),
    ],
)
def test_a_file_that_is_what_it_says_has_no_problem(name, data):
    assert problem(name, data) == ""


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.psd", b"", "is not a Photoshop document"),
        ("a.psd", b"\x89PNG\r\n", "is not a Photoshop document"),
        ("a.psd", b"8BPS\0\1", "is cut short"),
        ("a.psd", psd_bytes(version=3), "version 3"),
        ("a.psd", psd_bytes(width_px=40_000), "damaged"),
        ("a.psd", psd_bytes(height_px=0), "damaged"),
        ("a.psd", psd_bytes(channels=57), "damaged"),
        ("a.aep", b"", "is not an After Effects project"),
        ("a.aep", aep_bytes()[:14], "is cut short"),
        ("a.aep", b"RIFX\0\0\0\4WAVE", "is not an After Effects project"),
        ("a.aep", aepx_bytes(), "must end in .aepx"),
        ("a.aepx", aep_bytes(), "must end in .aep"),
        ("a.aepx", b"<svg>AfterEffectsProject</svg>", "is not an After Effects project"),
        ("a.aepx", b"<!DOCTYPE x [<!ENTITY a 'b'>]><AfterEffectsProject/>", "is not an After Effects project"),
        ("a.aepx", b"<AfterEffectsProjects/>", "is not an After Effects project"),
    ],
)
def test_a_file_that_is_something_else_says_what_is_wrong(name, data, words):
    assert words in problem(name, data)


def test_the_limits_of_size_come_from_the_settings(settings):
    settings.MAX_PSD_BYTES = settings.MAX_PROJECT_BYTES = 10
    assert "MB are allowed" in problem("a.psd", psd_bytes())
    assert "MB are allowed" in problem("a.aepx", aepx_bytes())


def test_the_real_files_are_what_they_say(shared_data):
    for path in [*shared_data.glob("aepx/*"), shared_data / "psd" / "player-card.psd"]:
        assert problem(path.name, path.read_bytes()) == "", path.name


@pytest.fixture
def root(tmp_path):
    return put_in_root(tmp_path / "assets", a_psd=psd_bytes(), a_aepx=aepx_bytes())


def test_a_file_below_an_asset_root_is_found(blue, root):
    (root / "deep").mkdir()
    (root / "a.psd").rename(root / "deep" / "a.psd")
    assert Finder(blue, {}).find("deep\\a.psd").problem == ""


def test_a_missing_file_says_where_it_was_looked_for(blue, root):
    assert "neither among the files sent along nor below the asset roots" in Finder(blue, {}).find("b.psd").problem


@pytest.mark.parametrize(
    "path", ["../assets/a.psd", "/etc/a.psd", "C:\\a.psd", "x/../../a.psd", "a\0.psd", "x" * 400 + ".psd"]
)
def test_nothing_outside_the_roots_is_reached(blue, root, path):
    assert Finder(blue, {}).find(path).problem


@pytest.mark.parametrize("path", ["link.psd", "folder/a.psd"])
def test_a_link_out_of_the_root_is_not_followed(blue, root, tmp_path, path):
    outside = put_in_root(tmp_path / "outside", a_psd=psd_bytes())
    (root / "link.psd").symlink_to(outside / "a.psd")
    (root / "folder").symlink_to(outside)
    assert "through a link" in Finder(blue, {}).find(path).problem


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_says_so(blue, root):
    (root / "a.psd").chmod(0)
    assert "cannot be read" in Finder(blue, {}).find("a.psd").problem


def test_the_roots_of_another_team_are_not_searched(blue, red, tmp_path, settings):
    settings.ASSET_ROOTS = [tmp_path / "{team}"]
    put_in_root(tmp_path / "blue", a_psd=psd_bytes())
    assert Finder(blue, {}).find("a.psd").problem == ""
    assert Finder(red, {}).find("a.psd").problem


@pytest.fixture
def stored(blue, tmp_path):
    def store(name, data):
        path = tmp_path / "sent" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return put_asset(path, team=blue, kind="upload", name=path.name)

    return store


def test_a_file_that_was_sent_along_outranks_the_roots(blue, root, stored):
    found = Finder(blue, {"a.psd": stored("a.psd", b"no psd")}).find("a.psd")
    assert found.uploaded == "a.psd"
    assert "is not a Photoshop document" in found.problem


@pytest.mark.parametrize("path", ["designs/a.psd", "DESIGNS\\A.PSD", "./designs/a.psd", "a.psd", "elsewhere/a.psd"])
def test_a_file_that_was_sent_along_is_found_by_path_or_by_name(blue, stored, path):
    assert Finder(blue, {"designs/a.psd": stored("a.psd", psd_bytes())}).find(path).uploaded == "designs/a.psd"


def test_a_name_that_several_sent_files_have_is_ambiguous_unless_the_path_tells(blue, stored):
    finder = Finder(blue, {name: stored(name, psd_bytes()) for name in ("x/a.psd", "y/a.psd")})
    assert "may be any of 2 files" in finder.find("a.psd").problem
    assert finder.find("y/a.psd").uploaded == "y/a.psd"


def test_a_file_that_many_rows_share_is_looked_at_once(blue, root, monkeypatch):
    looks = []
    monkeypatch.setattr(checks, "look", lambda *args: looks.append(args) or "")
    finder = Finder(blue, {})
    for path in ("a.psd", "./a.psd", "a.psd", "a.aepx"):
        finder.find(path)
    assert len(looks) == 2
