"""aeproject.settings: fails loudly, and every variable is documented."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent


def start(tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), **variables}
    code = "import aeproject.settings as s; print(s.WORKERS, s.SECRET_KEY)"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("WORKERS", "many"),
        ("WORKERS", "0"),
        ("DEBUG", "perhaps"),
        ("ASSET_ROOTS", "relative/folder"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("LEASE_SECONDS", "1"),
        ("LOG_FORMAT", "xml"),
        ("REDIS_URL", "http://:a-password@localhost"),
        ("S3_ENDPOINT_URL", "s3.internal"),
        ("S3_ENDPOINT_URL", "https://an-id:a-password@s3.internal"),
        ("S3_OUTPUT_BUCKET", "output"),
        ("GOOGLE_SERVICE_ACCOUNT", "/nowhere/a-password.json"),
        ("GOOGLE_SERVICE_ACCOUNT", '{"private_key": "a-password"}'),
        ("GOOGLE_SERVICE_ACCOUNT", '{"private_key": "a-password'),
        ("SITE_URL", "jobs.example.com"),
        ("WEBHOOK_ALLOWED_NETWORKS", "10.0.0.0/8, home"),
        ("DATA_KEYS", "a-password,another"),
        ("DATA_KEYS", ","),
    ],
)
def test_a_wrong_value_stops_the_start_and_names_the_variable(tmp_path, variable, value):
    result = start(tmp_path, **{variable: value})
    assert result.returncode != 0
    assert variable in result.stderr
    assert "a-password" not in result.stderr


def test_the_secret_key_is_made_once_and_kept_to_ourselves(tmp_path):
    first, second = start(tmp_path), start(tmp_path)
    assert first.stdout == second.stdout
    assert len(first.stdout) > 50
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0


@pytest.mark.django_db
def test_a_server_gives_up_on_machines_that_went_dark():
    """It would keep their locks for hours, and every supervisor would wait for them."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no server")
    with connection.cursor() as cursor:
        shown = {}
        for name in ("tcp_user_timeout", "tcp_keepalives_idle", "idle_in_transaction_session_timeout"):
            cursor.execute(f"SHOW {name}")
            shown[name] = cursor.fetchone()[0]
    assert shown == {
        "tcp_user_timeout": "20000",
        "tcp_keepalives_idle": "10",
        "idle_in_transaction_session_timeout": "1min",
    }


def test_every_variable_is_in_the_guide():
    source = (ROOT / "aeproject" / "settings.py").read_text()
    readers = "whole_number|yes_or_no|paths|networks|keys|site|choice|broker|service_account"
    named = set(re.findall(rf'\b(?:{readers})\(\s*"([A-Z_]+)"', source))
    named |= set(re.findall(r'(?:environ\.get|env\.list|env\.db_url|env\.email_url)\("([A-Z_]+)"', source))
    guide = (ROOT / "docs" / "operations.md").read_text()
    assert named
    assert not {name for name in named if f"`{name}`" not in guide}
