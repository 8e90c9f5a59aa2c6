"""jobs.sources: nothing outside the asset roots can be reached."""

from __future__ import annotations

import pytest

from jobs.sources import find_in_roots, roots_of
from rendering.errors import FormatError


@pytest.fixture
def root(blue, settings, tmp_path):
    settings.ASSET_ROOTS = [tmp_path / "roots" / "{team}"]
    root = roots_of(blue)[0]
    root.mkdir(parents=True)
    (tmp_path / "secret.psd").write_bytes(b"8BPS")
    return root


def test_a_file_below_the_root_is_found(blue, root):
    (root / "a b").mkdir()
    (root / "a b" / "ü.psd").write_bytes(b"8BPS")
    assert find_in_roots(blue, "a b/ü.psd") == root / "a b" / "ü.psd"
    assert find_in_roots(blue, "a b\\ü.psd") == root / "a b" / "ü.psd"


def test_what_is_not_there_is_not_found(blue, root):
    assert find_in_roots(blue, "missing.psd") is None
    assert find_in_roots(blue, ".") is None


@pytest.mark.parametrize(
    "name", ["../secret.psd", "a/../../secret.psd", "/etc/passwd", "C:\\secret.psd", "\\\\host\\a.psd", "a\0.psd"]
)
def test_paths_that_lead_out_are_refused(blue, root, name):
    with pytest.raises(FormatError):
        find_in_roots(blue, name)


def test_links_that_lead_out_are_refused(blue, root, tmp_path):
    (root / "link.psd").symlink_to(tmp_path / "secret.psd")
    (root / "folder").symlink_to(tmp_path)
    for name in ("link.psd", "folder/secret.psd"):
        with pytest.raises(FormatError, match="link"):
            find_in_roots(blue, name)


def test_teams_have_roots_of_their_own(blue, red, root):
    (root / "a.psd").write_bytes(b"8BPS")
    assert find_in_roots(red, "a.psd") is None
