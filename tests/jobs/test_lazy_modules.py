"""jobs.lazy_modules: what is imported is loaded when it is used, and then is what it always was."""

from __future__ import annotations

import importlib
import sys

import pytest

from jobs.lazy_modules import load_at_first_use


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """A module of its own for each test; gives its name. When it is loaded it says so in ``sys.loaded``."""
    name = f"slow_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text("import sys\nsys.loaded.append(__name__)\nVALUE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "loaded", [], raising=False)
    yield name
    sys.modules.pop(name, None)


def test_a_module_is_loaded_when_something_of_it_is_used_and_once(slow):
    load_at_first_use(slow)
    first, second = importlib.import_module(slow), importlib.import_module(slow)
    assert sys.loaded == []
    assert (first.VALUE, second.VALUE) == (1, 1)
    assert sys.loaded == [slow]


def test_who_imports_it_later_gets_the_module_itself(slow):
    load_at_first_use(slow)
    early = importlib.import_module(slow)
    assert early.VALUE == 1
    late = importlib.import_module(slow)
    late.VALUE = 2
    assert early.VALUE == 2


def test_what_it_does_not_have_is_missed_as_ever(slow):
    load_at_first_use(slow)
    with pytest.raises(AttributeError, match=f"module '{slow}' has no attribute 'nothing'"):
        importlib.import_module(slow).nothing  # noqa: B018


def test_a_module_that_there_is_not_is_told_at_once():
    with pytest.raises(ModuleNotFoundError, match="no module no_such_module"):
        load_at_first_use("no_such_module")
