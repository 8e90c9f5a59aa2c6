"""The guide is true: what it names exists, and what exists by contract is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from jobs.states import PUBLIC_STATES, VERBS, State

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
PATH = re.compile(r"`((?:aeproject|batches|jobs|review|rendering|tests|docs|templates|static)/[\w./*{}-]+)`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")
COMMAND = re.compile(r"manage\.py (\w+)")
BUILT_IN = {"migrate", "createcachetable", "createsuperuser", "spectacular", "collectstatic"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_path_command_and_link_of_a_page_exists(page):
    text = page.read_text(encoding="utf-8")
    for path in PATH.findall(text):
        module, _, name = path.rpartition(".")
        exists = (ROOT / path).exists() or list(ROOT.glob(path)) or ((ROOT / f"{module}.py").exists() and name)
        assert exists, f"{page.name} names {path}"
    for target in LINK.findall(text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
    for command in COMMAND.findall(text):
        assert command in get_commands() or command in BUILT_IN, f"{page.name} names manage.py {command}"


def test_the_pipeline_page_names_every_verb_and_state():
    text = (ROOT / "docs" / "pipeline.md").read_text()
    for name in [*VERBS, *PUBLIC_STATES, *State]:
        assert f"`{name}`" in text, name


def test_the_makefile_targets_of_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make (\w+)", (ROOT / "README.md").read_text()):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
