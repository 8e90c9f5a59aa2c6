"""batches.bundles.names: every name can be unpacked everywhere, and is given once"""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batches.bundles.names import MOST_BYTES, RESERVED, Folder, safe


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("photo.png", "photo.png"),
        ("größe 🎬.mp4", "größe 🎬.mp4"),
        ("a/b\\c:d", "a_b_c_d"),
        ('<>|?*"', "______"),
        ("line\nbreak\x00\u202e.png", "line_break__.png"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("com¹.log", "_com¹.log"),
        ("console", "console"),
        ("ends. . ", "ends"),
        ("..", "file"),
        ("", "file"),
        (" ", "file"),
        ("e\u0301.png", "é.png"),
        ("\ud800.png", "_.png"),
        ("a\u00a0b", "a_b"),
    ],
)
def test_names_are_made_safe(name, expected):
    assert safe(name) == expected


@given(st.text(max_size=300))
def test_whatever_the_name_it_is_safe_and_stays_so(name):
    made = safe(name)
    assert made
    assert len(made.encode()) <= MOST_BYTES + 1
    assert made.isprintable()
    assert not set(made) & set('<>:"|?*\\/')
    assert made not in {".", ".."}
    assert made == made.strip()
    assert not made.endswith(".")
    assert not RESERVED.fullmatch(made.partition(".")[0])


@given(st.lists(st.text(alphabet="aAéE\u0301ß./\\ (2)", max_size=8), max_size=12))
def test_no_two_paths_meet(paths):
    folder = Folder()
    made = [folder.place(path) for path in paths]
    keys = [unicodedata.normalize("NFKD", path).casefold() for path in made]
    assert len(set(keys)) == len(keys)
    parents = {
        "/".join(parts[:depth]) for path in keys for parts in [path.split("/")] for depth in range(1, len(parts))
    }
    assert not parents & set(keys), "a file has the name of a folder"
    assert not any({"", ".", ".."} & set(path.split("/")) for path in made)


def test_the_same_name_again_gets_a_number():
    folder = Folder()
    assert [folder.place(name) for name in ("a.png", "A.PNG", "a.png", "a (2).png")] == [
        "a.png",
        "A (2).PNG",
        "a (3).png",
        "a (2) (2).png",
    ]


def test_folders_stay_and_nothing_leaves_them():
    folder = Folder()
    assert folder.place("footage/a.png") == "footage/a.png"
    assert folder.place("footage\\b.png") == "footage/b.png"
    assert folder.place("../../etc/passwd") == "etc/passwd"
    assert folder.place("/root.txt") == "root.txt"
    assert folder.place("footage") == "footage (2)"


def test_long_names_are_cut_and_keep_their_ending():
    folder = Folder()
    first, second = (folder.place("ä" * 300 + ".png") for _ in range(2))
    assert first.endswith("ä.png")
    assert second.endswith("ä (2).png")
    assert max(len(name.encode()) for name in (first, second)) <= MOST_BYTES
