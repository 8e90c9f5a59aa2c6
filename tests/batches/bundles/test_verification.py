"""batches.bundles.verification: whatever is done to a ZIP is found"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import zipfile

import pytest
from django.core.management import call_command

from batches.bundles.plan import manifest_bytes, plan
from batches.bundles.verification import verify


@pytest.fixture
def bundle(stocked):
    return plan(stocked)


@pytest.fixture
def path(bundle, tmp_path):
    target = tmp_path / "a.zip"
    target.write_bytes(b"".join(bundle.layout.chunks(0, bundle.layout.size_bytes)))
    return target


def problems(path):
    return [str(problem) for problem in verify(path).problems]


def members(path):
    with zipfile.ZipFile(path) as archive:
        return [(info, archive.read(info)) for info in archive.infolist()]


def repack(path, files):
    """Packs files as we do, so that nothing but what was changed betrays it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for info, data in files:
            archive.writestr(info, data)


def with_manifest(path, change):
    """Edits the manifest and packs everything again, in our own way of writing it."""
    files = members(path)
    manifest = json.loads(files[0][1])
    change(manifest)
    repack(path, [(files[0][0], manifest_bytes(manifest)), *files[1:]])


def test_what_we_send_is_good(path, bundle):
    verdict = verify(path)
    assert verdict.problems == []
    assert (verdict.files, verdict.size_bytes) == (bundle.manifest["files"], bundle.manifest["size_bytes"])


def test_a_zip_of_before_without_a_list_of_sheets_is_good(path):
    with_manifest(path, lambda manifest: manifest.pop("sheets"))
    assert problems(path) == []


def test_packed_by_another_program_it_is_not_ours(path):
    """Also with the same content: what lies between the contents is no longer known."""
    files = members(path)
    repack(path, files)
    assert problems(path) == []
    files[2][0].date_time = (2000, 1, 1, 0, 0, 0)
    repack(path, files)
    assert problems(path)[0] == f"{files[2][0].filename}: What the ZIP itself says of it was changed."
    files[2][0].compress_type = zipfile.ZIP_DEFLATED
    repack(path, files)
    assert any("another program" in words for words in problems(path))


def test_any_flipped_byte_is_found(path):
    data = path.read_bytes()
    dice = random.Random(3)
    ends = {0, 3, 10, 11, 12, 13, len(data) - 1, len(data) - 2, len(data) - 22, len(data) - 46}
    for position in sorted(ends | set(dice.sample(range(len(data)), 250))):
        bad = bytearray(data)
        bad[position] ^= 1 << dice.randrange(8)
        path.write_bytes(bad)
        assert problems(path), f"byte {position} of {len(data)}"


@pytest.mark.parametrize("keep", [0, 1, 100, -1, -22, -1000])
def test_a_zip_that_was_cut_off_is_found(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    assert problems(path)


@pytest.mark.parametrize("where", ["before", "behind", "between"])
def test_bytes_that_belong_nowhere_are_found(path, where):
    data = path.read_bytes()
    extra = b"hidden payload"
    if where == "between":
        with zipfile.ZipFile(path) as archive:
            middle = archive.infolist()[3].header_offset
        data = data[:middle] + extra + data[middle:]
    path.write_bytes({"before": extra + data, "behind": data + extra, "between": data}[where])
    assert problems(path)


def test_a_removed_member_is_named(path):
    files = [one for one in members(path) if not one[0].filename.endswith("out.aep")]
    repack(path, files)
    assert any("out.aep: It is missing." in words for words in problems(path))


def test_an_added_member_is_named(path):
    files = members(path)
    root = files[0][0].filename.partition("/")[0]
    repack(path, [*files, (zipfile.ZipInfo(f"{root}/A_1/run me.exe"), b"MZ")])
    assert problems(path) == [f"{root}/A_1/run me.exe: The manifest does not know it."]


def test_a_renamed_member_is_named_twice(path):
    files = members(path)
    files[2][0].filename += ".bak"
    repack(path, files)
    found = "\n".join(problems(path))
    assert "It is missing." in found
    assert ".bak: The manifest does not know it." in found


def test_a_changed_content_is_named(path):
    files = members(path)
    target = files[3]
    repack(path, [*files[:3], (target[0], target[1][:-1] + b"!"), *files[4:]])
    assert problems(path) == [f"{target[0].filename}: Its content is not what the manifest says: the SHA-256 differs."]


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../x",
        "{root}/../../x",
        "{root}\\x",
        "C:/x",
        "{root}/x\n",
        "{root}//x",
        "{root}/./x",
        "{root}/dir/",
    ],
)
def test_tricks_with_paths_are_refused(path, name):
    files = members(path)
    root = files[0][0].filename.partition("/")[0]
    info = zipfile.ZipInfo("placeholder")
    info.filename = name.replace("{root}", root)
    repack(path, [*files, (info, b"" if name.endswith("/") else b"x")])
    assert any("name" in words for words in problems(path))


def test_links_are_refused(path):
    files = members(path)
    files[2][0].external_attr = 0o120777 << 16
    repack(path, files)
    assert any("no plain file" in words for words in problems(path))


def test_a_name_that_is_there_twice_is_refused(path):
    files = members(path)
    with pytest.warns(UserWarning, match="Duplicate"):
        repack(path, [*files, files[2]])
    assert any("in the ZIP 2 times" in words for words in problems(path))


def without(name):
    return lambda manifest: manifest.pop(name)


def put(*keys, value):
    def change(manifest):
        at = manifest
        for key in keys[:-1]:
            at = at[key]
        at[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        put("members", 3, "sha256", value="0" * 64),
        put("members", 3, "sha256", value="zz"),
        put("members", 3, "size_bytes", value=7),
        put("members", 3, "size_bytes", value=2**62),
        put("members", 3, "size_bytes", value=-1),
        put("members", 3, "size_bytes", value=True),
        put("members", 3, "stored_at", value="2020-01-01T00:00:00+00:00"),
        put("members", 3, "stored_at", value="yesterday"),
        put("members", 3, "job", value="nobody"),
        put("members", 3, "job", value=["a"]),
        put("members", 3, "kind", value="inputs"),
        put("members", 3, "kind", value="x"),
        put("members", 3, "path", value="/etc/passwd"),
        put("members", value={}),
        put("members", value=[1]),
        put("jobs", 0, "files", value=1),
        put("jobs", 0, "size_bytes", value=1),
        put("jobs", 0, "folder", value="elsewhere"),
        put("jobs", 0, "job_id", value="a:1"),
        put("jobs", 0, "decisions", value=None),
        put("jobs", 0, "decisions", 0, "verb", value=3),
        put("sheets", value={}),
        put("sheets", 0, "path", value="elsewhere.csv"),
        put("sheets", 0, "number", value="1"),
        put("sheets", 0, "applied_by", value=None),
        put("files", value=3),
        put("size_bytes", value=3),
        put("kinds", value=["project"]),
        put("history", value=7),
        put("history", "digest", value="?"),
        put("history", "position", value=0),
        put("kinds", value=[]),
        put("kinds", value=[{}]),
        put("job", value="A/1"),
        put("format", value="aeproject bundle 2"),
        without("jobs"),
        without("members"),
        lambda manifest: manifest["members"].pop(),
        lambda manifest: manifest["jobs"].pop(),
        lambda manifest: manifest["jobs"].append({**manifest["jobs"][0], "job_id": "new"}),
        lambda manifest: manifest["members"].append(manifest["members"][0]),
        lambda manifest: manifest["members"].reverse(),
    ],
)
def test_a_manifest_that_contradicts_the_members_or_itself_is_found(path, change):
    with_manifest(path, change)
    assert problems(path)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"a": 1, "a": 1}\n', b"null"])
def test_a_manifest_that_is_none_is_found(path, data):
    files = members(path)
    repack(path, [(files[0][0], data), *files[1:]])
    assert len(problems(path)) == 1


def test_a_zip_without_a_manifest_and_no_zip_at_all_are_told(path, tmp_path):
    repack(path, members(path)[1:])
    assert problems(path) == ["There is no manifest.json in it."]
    path.write_bytes(b"hello")
    assert problems(path)[0].startswith("It is not a whole ZIP")


def test_the_command_tells_and_exits(path, capsys):
    call_command("verify_bundle", str(path))
    assert "a.zip: good, 11 files" in capsys.readouterr().out
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SystemExit) as ended:
        call_command("verify_bundle", str(path), "--json")
    assert ended.value.code == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["good"], told["zip"]) == (False, "a.zip")
    assert told["problems"][0]["problem"]


def test_the_command_needs_no_database(path, tmp_path):
    """In a process of its own, whose database cannot be reached."""
    surroundings = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none", "DATA_DIR": str(tmp_path), "PATH": "/usr/bin"}
    command = [sys.executable, "manage.py", "verify_bundle", str(path)]
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "good" in done.stdout


def test_a_file_that_is_not_there_is_no_zip(tmp_path):
    with pytest.raises(FileNotFoundError):
        verify(tmp_path / "a.zip")
