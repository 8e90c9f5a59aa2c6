"""batches.intake.upload and batches.intake.archive: files from strangers"""

from __future__ import annotations

import io
import stat
import struct
import zipfile

import pytest

from batches.intake import archive, upload
from batches.intake.upload import files_below, pick_sheet, received
from jobs.errors import Invalid
from tests.batches.sheets import zip_of


def take(*files):
    with received(files) as all_files:
        return {file.name: file.path.read_bytes() for file in all_files}


def refused(*files):
    with pytest.raises(Invalid) as error:
        take(*files)
    assert error.value.field == "files"
    return str(error.value)


def entry(name, mode=0):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def zip_with(info, data=b"x"):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        zipped.writestr(info, data)
    out.seek(0)
    return out


def test_plain_files_are_received_under_their_names():
    assert take(("a.psd", io.BytesIO(b"A")), ("é.aepx", io.BytesIO(b"B"))) == {"a.psd": b"A", "é.aepx": b"B"}


def test_a_zip_is_unpacked_with_its_folders_as_part_of_the_names():
    zipped = zip_of({"s.csv": b"1", "psd/a.psd": b"2", "./b.psd": b"3", "__MACOSX/._a": b"", "psd/.DS_Store": b""})
    assert take(("all.zip", zipped)) == {"s.csv": b"1", "psd/a.psd": b"2", "b.psd": b"3"}


def test_the_directory_of_what_was_received_is_removed_also_after_a_refusal(settings, tmp_path):
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "uploads"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()
    take(("a", io.BytesIO(b"A")))
    refused(("a.zip", io.BytesIO(b"no zip")))
    assert list(settings.FILE_UPLOAD_TEMP_DIR.iterdir()) == []


@pytest.mark.parametrize("name", ["../a.psd", "/a.psd", "a/../../b.psd", "C:\\a.psd", "\\\\host\\a.psd", "..\\a.psd"])
def test_a_name_that_leads_elsewhere_is_refused_inside_and_outside_of_a_zip(name):
    assert "leads out" in refused(("z.zip", zip_with(entry(name))))
    assert "leads out" in refused((name, io.BytesIO(b"")))


@pytest.mark.parametrize("name", ["", " ", ".", "./", "a\nb.psd", "a\ud800.psd", "x" * 251, "é" * 120, "a\0b"])
def test_a_name_that_no_file_should_have_is_refused(name):
    assert refused((name, io.BytesIO(b"")))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_in_a_zip_are_refused(kind):
    assert "is a link or a device" in refused(("z.zip", zip_with(entry("a.psd", kind | 0o777), b"/etc/passwd")))


@pytest.mark.parametrize("name", ["b.zip", "deep/b.7z", "b.tar.gz"])
def test_archives_in_archives_are_refused(name):
    assert "an archive in an archive" in refused(("z.zip", zip_of({name: b"x"})))


def test_an_encrypted_entry_is_refused():
    data = bytearray(zip_of({"a.psd": b"x"}).getvalue())
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    assert "is encrypted" in refused(("z.zip", io.BytesIO(bytes(data))))


def test_an_archive_bomb_is_refused_by_its_ratio(monkeypatch):
    monkeypatch.setattr(archive, "RATIO_MATTERS_FROM_BYTES", 10_000)
    assert "archive bomb" in refused(("z.zip", zip_of({"a.psd": bytes(1_000_000)})))


def test_an_archive_that_unpacks_to_too_much_is_refused(settings):
    settings.MAX_UPLOAD_BYTES = 2_000
    assert "unpacks to" in refused(("z.zip", zip_of({"a.psd": bytes(1500), "b.psd": bytes(1500)})))


def test_an_archive_that_lies_about_its_sizes_is_refused():
    data = bytearray(zip_of({"a.psd": bytes(100_000)}).getvalue())
    at = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 24, 10)
    assert "cannot be unpacked" in refused(("z.zip", io.BytesIO(bytes(data))))


def test_too_many_entries_are_refused(monkeypatch):
    monkeypatch.setattr(archive, "MOST_ENTRIES", 3)
    assert "at most 3" in refused(("z.zip", zip_of({f"{n}.psd": b"" for n in range(4)})))


def test_a_directory_that_is_too_large_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr(archive, "MOST_DIRECTORY_BYTES", 100)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    out = io.BytesIO(bytes(300) + archive.END + struct.pack("<HHHHIIH", 0, 0, 9, 9, 200, 50, 0))
    assert "far too many files" in refused(("z.zip", out))


@pytest.mark.parametrize("cut", [0, 1, 10, 60, -1, -30])
def test_a_truncated_zip_is_refused(cut):
    data = zip_of({"a.psd": bytes(1000), "b.psd": b"x"}).getvalue()
    assert "cannot be unpacked" in refused(("z.zip", io.BytesIO(data[:cut])))


def test_two_different_files_of_one_name_are_refused_and_equal_ones_are_one():
    assert take(("a", io.BytesIO(b"1")), ("a", io.BytesIO(b"1"))) == {"a": b"1"}
    assert "Two different files" in refused(("a", io.BytesIO(b"1")), ("z.zip", zip_of({"a": b"2"})))


def test_more_than_the_allowed_bytes_are_refused_while_they_arrive(settings):
    settings.MAX_UPLOAD_BYTES = 100

    class Endless:
        def read(self, size=-1):
            return b"x" * size

    assert "together" in refused(("a.psd", Endless()))


def test_too_many_files_are_refused(monkeypatch):
    monkeypatch.setattr(upload, "MOST_FILES", 2)
    assert "More than 2" in refused(*[(f"{n}", io.BytesIO(b"")) for n in range(3)])


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["a.psd", "s.csv"], "s.csv"),
        (["deep/t.csv", "s.csv"], "s.csv"),
        (["notes.txt", "d/s.csv"], "d/s.csv"),
        (["s.TSV"], "s.TSV"),
    ],
)
def test_the_sheet_is_found_among_the_files(names, chosen):
    with received([(name, io.BytesIO(name.encode())) for name in names]) as files:
        sheet, others = pick_sheet(files)
    assert sheet.name == chosen
    assert len(others) == len(names) - 1


@pytest.mark.parametrize("names", [["a.psd"], ["a.csv", "b.csv"], []])
def test_no_sheet_or_several_are_refused(names):
    with received([(name, io.BytesIO(name.encode())) for name in names]) as files, pytest.raises(Invalid):
        pick_sheet(files)


def test_links_and_hidden_files_of_a_directory_are_left_out(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.psd").write_bytes(b"A")
    (tmp_path / ".hidden").write_bytes(b"H")
    (tmp_path / "link.psd").symlink_to("/etc/passwd")
    (tmp_path / "folder").symlink_to("/etc")
    assert [name for name, _ in files_below(tmp_path)] == ["deep/a.psd"]
