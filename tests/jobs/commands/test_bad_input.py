"""Bad input is one line on stderr that names file and cause, and exit code 2: for every command and kind of harm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from rendering.samples import tiny_project

ROOT = Path(__file__).resolve().parent.parent.parent.parent
Shell = Callable[..., tuple[int, str, str]]

HARMS = ["gone", "folder", "empty", "text", "noise", "cut.aep", "cut.aepx", "cut.psd", "device", "long", "below"]


@pytest.fixture
def harmed(tmp_path: Path, psd: Path, template: Path) -> Callable[[str], Path]:
    def make(harm: str) -> Path:
        path = tmp_path / harm
        if harm == "folder":
            path.mkdir()
        elif harm == "empty":
            path.touch()
        elif harm == "text":
            path.write_text("hello")
        elif harm == "noise":
            path.write_bytes(bytes(range(256)) * 20)
        elif harm.startswith("cut"):
            whole = {".psd": psd, ".aepx": template}.get(path.suffix) or tiny_project(tmp_path / "whole.aep")
            data = whole.read_bytes()
            path.write_bytes(data[: len(data) // 2])
        elif harm == "device":
            return Path(os.devnull)
        elif harm == "long":
            return tmp_path / ("x" * 300)
        elif harm == "below":
            return psd / "x"
        return path

    return make


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("command", ["inspect", "match", "convert_project", "render_preview", "validate_project"])
def test_every_harm_is_one_line(
    shell: Shell, harmed: Callable[[str], Path], tmp_path: Path, template: Path, command: str, harm: str
) -> None:
    path = harmed(harm)
    more = {"match": [template], "convert_project": [tmp_path / "new.aep"], "render_preview": ["--out", "new.png"]}
    code, out, err = shell(command, path, *more.get(command, []))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert path.name in err
    assert not (tmp_path / "new.aep").exists()


def test_a_file_that_may_not_be_read_is_named(shell: Shell, template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    for command in ("inspect", "validate_project"):
        code, out, err = shell(command, template)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "card.aepx" in err
        assert "ermission denied" in err


@pytest.mark.parametrize("arguments", [[], ["--nonsense", "x"], ["a", "b", "c"], ["--fonts", "/nowhere", "x"]])
def test_wrong_arguments_are_one_line_without_the_usage(shell: Shell, arguments: list[str]) -> None:
    code, out, err = shell("inspect", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")


def test_a_name_with_a_line_end_still_makes_one_line(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "two\nlines\x1b[31m.psd"
    path.write_bytes(b"8BPS")
    code, _, err = shell("inspect", path)
    assert (code, err.count("\n")) == (2, 1)
    assert "\x1b" not in err


def test_from_python_the_line_is_an_exception(tmp_path: Path) -> None:
    (tmp_path / "note.aep").write_text("hello")
    with pytest.raises(CommandError, match=r"note\.aep") as caught:
        call_command("inspect", str(tmp_path / "note.aep"))
    assert caught.value.returncode == 2
    with pytest.raises(CommandError, match="gone"):
        call_command("inspect", str(tmp_path / "gone.aep"))


def manage(*arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "manage.py", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
        timeout=60,
    )


def test_a_real_process_answers_and_refuses(template: Path, tmp_path: Path) -> None:
    unreadable_name = tmp_path / os.fsdecode(b"b\xffd \xf0\x9f\x91\xbd.aepx")
    template.rename(unreadable_name)
    answered = manage("inspect", unreadable_name, "--json", PYTHONIOENCODING="ascii")
    assert (answered.returncode, answered.stderr) == (0, b"")
    assert json.loads(answered.stdout)["name"] == unreadable_name.name
    refused = manage("inspect", tmp_path / "gone.psd", "--json")
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert refused.stderr.count(b"\n") == 1
    assert b"gone.psd" in refused.stderr


def test_what_a_library_logs_about_a_damaged_layer_is_not_printed(psd: Path) -> None:
    data = bytearray(psd.read_bytes())
    settings = data.index(b"8BIMTySh") + 12
    data[settings + 64 : settings + 72] = b"\xff" * 8
    psd.write_bytes(data)
    refused = manage("inspect", psd)
    assert (refused.returncode, refused.stdout, refused.stderr.count(b"\n")) == (2, b"", 1)
    assert refused.stderr.startswith(b"error: card.psd: layer ")


def test_a_look_at_a_project_needs_neither_scipy_nor_psd_tools(template: Path) -> None:
    script = (
        "import sys, django; django.setup();"
        "from django.core.management import call_command;"
        f"call_command('inspect', {str(template)!r});"
        "print(sorted({'scipy', 'psd_tools', 'skia', 'av'} & sys.modules.keys()), file=sys.stderr)"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "aeproject.settings"}
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert run.stderr == "[]\n"
