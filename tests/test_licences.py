"""The licences of what the product is installed with: read from the distributions themselves"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parent.parent
PAGE = HOME / "docs" / "licences.md"
PINNED = re.findall(r"^([A-Za-z0-9._-]+)==", (HOME / "requirements.txt").read_text(), re.MULTILINE)
ALLOWED = {
    "0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "LGPL-3.0-only", "LGPL-3.0-or-later",
    "MIT", "MIT-0", "MIT-CMU", "PSF-2.0", "Zlib",
}  # fmt: skip
REVIEWED = {
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "BSD 3-Clause OR Apache-2.0": "BSD-3-Clause OR Apache-2.0",
    "Dual License": "Apache-2.0 OR BSD-3-Clause",  # python-dateutil: its LICENSE says which
    "GNU LGPL v3+": "LGPL-3.0-or-later",
    "Python (MIT style)": "MIT-CMU",
    "OSI Approved :: BSD License": "BSD",
    "OSI Approved :: MIT License": "MIT",
}
"""What distributions say in words of their own, as somebody has read it."""
COPYLEFT = re.compile(
    r"lib(x264|x265|xvidcore|postproc|vidstab|rubberband|frei0r|cdio|aribb25|davs2|xavs2?|smbclient|readline|gdbm|gsl"
    r"|fftw3f?l?|mysqlclient|poppler|mupdf|gs)(-[0-9a-f]+)?\.so"
)
"""Libraries under the GPL or AGPL that wheels are known to bring along."""
ACCEPTED = {("av", "x264"), ("av", "x265")}
"""PyAV itself is BSD, its wheels bring an FFmpeg that is built with x264 and x265: nothing else makes the H.264 that
every browser plays. docs/licences.md says what that means for whoever hands it on."""


def licence_of(name: str) -> str:
    """In SPDX's words, as far as the distribution or REVIEWED has them."""
    told = metadata.metadata(name)
    for text in (told.get("License-Expression"), told.get("License")):
        if text and "\n" not in text:
            return REVIEWED.get(text, text)
    classifiers = [one.partition(" :: ")[2] for one in told.get_all("Classifier") or () if one.startswith("License")]
    return " OR ".join(sorted(REVIEWED.get(one, one) for one in classifiers)) or "unknown"


def is_allowed(expression: str) -> bool:
    """Of alternatives one is enough, of what holds together all. What is in brackets nobody has reviewed."""
    return any(all(one in ALLOWED for one in choice.split(" AND ")) for choice in expression.split(" OR "))


@pytest.mark.parametrize("name", PINNED)
def test_no_package_is_under_the_gpl_or_under_something_nobody_has_read(name):
    assert is_allowed(licence_of(name)), f"{name}: {licence_of(name)} is in neither ALLOWED nor REVIEWED"


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("LGPL-3.0-only", True),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("MIT OR GPL-2.0-or-later AND BSD-3-Clause", True),
        ("GPL-3.0-or-later", False),
        ("AGPL-3.0-only", False),
        ("(MIT OR GPL-3.0-only) AND AGPL-3.0-only", False),
        ("OSI Approved :: GNU General Public License v3 (GPLv3)", False),
        ("See the file", False),
        ("unknown", False),
    ],
)
def test_what_is_allowed(expression, allowed):
    assert is_allowed(expression) is allowed


def test_every_word_that_was_reviewed_is_still_said():
    said = set()
    for name in PINNED:
        told = metadata.metadata(name)
        said |= {told.get("License"), *(one.partition(" :: ")[2] for one in told.get_all("Classifier") or ())}
    assert set(REVIEWED) <= said


def test_wheels_bring_no_library_under_the_gpl_but_those_that_were_accepted():
    brought = {
        (name, found.group(1))
        for name in PINNED
        for file in metadata.files(name) or ()
        if (found := COPYLEFT.match(file.name))
    }
    assert brought == ACCEPTED


def test_the_page_lists_what_is_installed():
    rows = [f"| {name} | {licence_of(name)} |" for name in PINNED]
    listed = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and " licence " not in line]
    assert listed == rows, "\n".join(["docs/licences.md should have:", *rows])
