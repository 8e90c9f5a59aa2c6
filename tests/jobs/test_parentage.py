"""jobs.parentage: no child outlives the process that started it, however early that one died."""

from __future__ import annotations

import os
import subprocess
import sys

from jobs.parentage import PARENT_VARIABLE, child_environment

CHILD = "from jobs.parentage import end_with_parent; end_with_parent(); print('at work')"


def run(**variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "aeproject.settings", **variables}
    return subprocess.run([sys.executable, "-c", CHILD], env=environment, capture_output=True, text=True)


def test_a_child_of_the_one_that_is_named_goes_to_work():
    assert run(**child_environment()).stdout == "at work\n"


def test_a_child_without_a_name_goes_to_work():
    environment = {key: value for key, value in os.environ.items() if key != PARENT_VARIABLE}
    assert subprocess.run([sys.executable, "-c", CHILD], env=environment, capture_output=True).returncode == 0


def test_a_child_whose_parent_died_before_it_could_look_ends_at_once():
    result = run(**{PARENT_VARIABLE: "1"})
    assert (result.returncode, result.stdout) == (1, "")
    assert "supervisor is gone" in result.stderr
