"""Modules that are loaded when something of them is asked for, not when they are imported.

``importlib.util.LazyLoader`` is of no use for that: in Python 3.11 the next ``import`` asks a module for its
``__spec__``, which already loads it.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any


class _Lazy(ModuleType):
    def __getattr__(self, name: str) -> Any:
        """Called for what the module does not have yet: all of its own."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
            importlib.import_module(self.__name__)
        return getattr(sys.modules[self.__name__], name)


def load_at_first_use(name: str) -> None:
    """From now on ``import name`` loads nothing until something of the module is used.

    For modules that are not loaded yet. Raises ModuleNotFoundError.
    """
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"there is no module {name}", name=name)
    sys.modules[name] = module = _Lazy(name)
    module.__spec__ = spec  # the machinery of imports asks for it
