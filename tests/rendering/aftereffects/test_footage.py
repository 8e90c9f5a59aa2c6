"""Footage paths of other machines, and the roots that nothing leads out of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rendering.aftereffects.footage import file_name, found_footage, resolve_footage, slot_pictures
from rendering.aftereffects.project import Project, read_project
from rendering.aftereffects.slots import find_slots
from rendering.samples import tiny_project


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = (tmp_path / "project").resolve()
    (folder / "footage").mkdir(parents=True)
    (folder / "(Footage)" / "Layers").mkdir(parents=True)
    for name in ("beside.png", "footage/cutout.png", "(Footage)/Layers/card.psd", "ö 🎈.png"):
        (folder / name).write_bytes(b"x")
    (tmp_path / "secret.png").write_bytes(b"x")
    return folder


@pytest.mark.parametrize(
    ("recorded", "found"),
    [
        ("footage/cutout.png", "footage/cutout.png"),
        ("./footage/cutout.png", "footage/cutout.png"),
        ("footage\\cutout.png", "footage/cutout.png"),
        ("/Users/ben/Downloads/cutout.png", "footage/cutout.png"),
        ("D:\\Projects\\assets\\cutout.png", "footage/cutout.png"),
        ("\\\\server\\share\\cutout.png", "footage/cutout.png"),
        ("/Users/ben/beside.png", "beside.png"),
        ("beside.png", "beside.png"),
        ("/Users/ben/old folder/(Footage)/Layers/card.psd", "(Footage)/Layers/card.psd"),
        ("../elsewhere/footage/cutout.png", "footage/cutout.png"),
        ("/a/ö 🎈.png", "ö 🎈.png"),
        ("footage/../beside.png", "beside.png"),
    ],
)
def test_a_recorded_path_is_found_beside_the_project(root: Path, recorded: str, found: str) -> None:
    assert resolve_footage(recorded, project_folder=root) == root / found


@pytest.mark.parametrize(
    "recorded",
    [
        "",
        ".",
        "/",
        "C:\\",
        "gone.png",
        "footage",
        "/Users/ben/footage",
        "../secret.png",
        "footage/../../secret.png",
        "..\\secret.png",
        "/etc/passwd",
        "nul\0.png",
        "x" * 5000,
        "beside.png/cutout.jpg",
    ],
)
def test_nothing_else_is_found(root: Path, recorded: str) -> None:
    assert resolve_footage(recorded, project_folder=root) is None


def test_an_absolute_path_counts_only_inside_a_root(root: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    assert resolve_footage(str(secret), project_folder=root) is None
    assert resolve_footage(str(secret), project_folder=root, search=[tmp_path]) == secret.resolve()
    inside = root / "(Footage)" / "Layers" / "card.psd"
    assert resolve_footage(str(inside), project_folder=root) == inside


def test_roots_are_searched_in_order(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "cutout.png").write_bytes(b"y")
    (other / "logo.png").write_bytes(b"y")
    assert resolve_footage("/a/cutout.png", project_folder=root, search=[other]) == root / "footage" / "cutout.png"
    assert resolve_footage("/a/logo.png", project_folder=root, search=[other]) == other.resolve() / "logo.png"


def test_links_inside_a_root_are_not_followed(root: Path, tmp_path: Path) -> None:
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    (root / "out").symlink_to(tmp_path)
    assert resolve_footage("link.png", project_folder=root) is None
    assert resolve_footage("out/secret.png", project_folder=root) is None


def test_nothing_outside_the_roots_is_ever_looked_at(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []
    real = os.lstat

    def lstat(path: str | Path, **kwargs: object) -> os.stat_result:
        looked_at.append(os.fspath(path))
        return real(path)

    monkeypatch.setattr("rendering.aftereffects.footage.os.lstat", lstat)
    monkeypatch.setattr("rendering.aftereffects.footage.os.path.realpath", os.path.abspath)
    for recorded in ("/etc/passwd", "../secret.png", "C:\\Windows\\x.png", "a/../../../etc/passwd"):
        assert resolve_footage(recorded, project_folder=root) is None
    assert looked_at
    assert all(Path(path).is_relative_to(root) for path in looked_at)


@pytest.mark.parametrize(
    ("recorded", "name"),
    [("/a/b.png", "b.png"), ("D:\\a\\b.png", "b.png"), ("a/b.png", "b.png"), ("b.png", "b.png"), ("", "")],
)
def test_the_name_is_the_last_part_in_any_style(recorded: str, name: str) -> None:
    assert file_name(recorded) == name


class TestItems:
    @pytest.fixture
    def project(self, tmp_path: Path) -> Project:
        return read_project(tiny_project(tmp_path / "tiny.aep"))

    def test_every_item_whose_file_is_there_is_found(self, project: Project, tmp_path: Path) -> None:
        (item,) = project.footage
        found = found_footage(project, project_folder=tmp_path)
        assert found == {item.id: tmp_path.resolve() / "footage" / "tiny_photo.png"}
        assert found_footage(project, project_folder=tmp_path / "footage" / "elsewhere") == {}

    def test_the_picture_of_an_image_slot_is_known_where_it_is_a_png(self, project: Project, tmp_path: Path) -> None:
        slots = find_slots(project)
        (image_slot,) = (slot for slot in slots if slot.kind == "image")
        (item,) = project.footage
        assert slot_pictures(project, slots, {item.id: tmp_path / "a.PNG"}) == {image_slot.id: tmp_path / "a.PNG"}
        assert slot_pictures(project, slots, {item.id: tmp_path / "a.mov"}) == {}
        assert slot_pictures(project, slots, {}) == {}
