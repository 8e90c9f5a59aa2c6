"""deploy/: the units and the compose file are valid, and name what exists."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
COMPOSE = DEPLOY / "compose.yaml"


def lint(path: Path) -> subprocess.CompletedProcess[str]:
    """Against the schema of the Compose specification that comes with check-jsonschema."""
    linter = Path(sys.executable).with_name("check-jsonschema")
    return subprocess.run(
        [linter, "--builtin-schema", "vendor.compose-spec", path], capture_output=True, text=True, timeout=60
    )


def test_the_compose_file_fits_the_specification(tmp_path):
    result = lint(COMPOSE)
    assert result.returncode == 0, result.stdout
    broken = tmp_path / "compose.yaml"
    broken.write_text(COMPOSE.read_text().replace("service_healthy", "sometime"))
    assert lint(broken).returncode != 0


def test_the_services_are_wired_to_each_other():
    compose = yaml.safe_load(COMPOSE.read_text())
    services = compose["services"]
    assert set(services) == {"web", "work", "migrate", "postgres", "redis"}
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in services, name
            assert how["condition"] != "service_healthy" or "healthcheck" in services[needed], needed
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in compose["volumes"]
    assert services["migrate"]["restart"] == "no"
    assert {services[name]["image"] for name in ("web", "work", "migrate")} == {"aeproject"}
    assert (COMPOSE.parent / services["web"]["build"]["context"] / services["web"]["build"]["dockerfile"]).is_file()


def test_the_image_takes_every_package_along():
    copied = set(re.findall(r"^COPY (?:.* )?(\w+) \1$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE))
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert copied == packages | {"static", "templates"}


@pytest.mark.parametrize("path", [COMPOSE, *UNITS], ids=lambda path: path.name)
def test_the_commands_exist(path):
    for command in re.findall(r'manage\.py"?,? "?(\w+)', path.read_text()):
        assert command in get_commands(), command


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_the_unit(unit, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not on this machine")
    # The unit's own paths do not exist here: our interpreter stands for them.
    text = re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", unit.read_text(), flags=re.MULTILINE)
    copy = tmp_path / unit.name
    copy.write_text(text)
    result = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert unit.name not in result.stderr, result.stderr


def test_a_supervisor_has_time_to_stop_before_systemd_kills():
    from jobs.supervisor import STOP_SECONDS

    text = (DEPLOY / "systemd" / "aeproject-work.service").read_text()
    assert int(re.search(r"TimeoutStopSec=(\d+)", text)[1]) > STOP_SECONDS
    assert "KillMode=mixed" in text
