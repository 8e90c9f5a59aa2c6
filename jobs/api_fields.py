"""``?fields=id,state,progress.percent``: answers with what was asked for alone. What is left out is not computed."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError

MOST_CHARACTERS = 2_000
Tree = dict[str, "Tree"]
"""The fields that were asked for, each with those inside it; an empty one stands for all."""


def read_fields(text: str | None) -> Tree:
    """``a,b.c`` as {"a": {}, "b": {"c": {}}}; no text asks for everything. One without names is a ValidationError."""
    tree: Tree = {}
    if text is None:
        return tree
    if not text.strip():
        raise ValidationError({"fields": ["No field is named: leave it out for all of them."]})
    if len(text) > MOST_CHARACTERS:
        raise ValidationError({"fields": [f"This is longer than {MOST_CHARACTERS} characters."]})
    whole: set[tuple[str, ...]] = set()
    for name in text.split(","):
        path = tuple(name.strip().split("."))
        inside = tree
        for part in path:
            inside = inside.setdefault(part, {})
        whole.add(path)
    # Who asks for “a” and “a.b” gets all of a.
    for path in whole:
        _inside(tree, path).clear()
    return tree


def narrow(serializer: Any, tree: Tree, where: str = "") -> Any:
    """Leaves the serializer the fields of the tree. Raises a ValidationError that names those that there are."""
    one = serializer.child if isinstance(serializer, serializers.ListSerializer) else serializer
    if not tree or not isinstance(one, serializers.Serializer):
        return serializer
    known = [str(name) for name in one.fields]
    _check(tree, known, where)
    for name in [name for name in known if name not in tree]:
        del one.fields[name]
    for name, inside in tree.items():
        if inside:
            _narrow_inside(one, name, inside, f"{where}{name}.")
    return serializer


def _narrow_inside(parent: Any, name: str, inside: Tree, where: str) -> None:
    field = parent.fields[name]
    if isinstance(field, serializers.SerializerMethodField):
        method = getattr(parent, field.method_name or f"get_{name}")
        shown = getattr(method, "_spectacular_annotation", {}).get("field")
        # What the method is annotated with belongs to the class, and to every request: only a copy may be narrowed.
        shown = shown() if isinstance(shown, type) else copy.deepcopy(shown)
        if isinstance(shown, serializers.BaseSerializer):
            narrow(shown, inside, where)
    elif isinstance(field, serializers.BaseSerializer):
        narrow(field, inside, where)
    elif not isinstance(field, serializers.DictField | serializers.JSONField):
        raise ValidationError({"fields": [f"“{where[:-1][:100]}” has no fields inside it."]})


def prune(data: Any, tree: Tree, where: str = "") -> Any:
    """What the tree leaves of an answer. Names that the serializers could not check are checked here."""
    if not tree:
        return data
    if isinstance(data, Mapping):
        if not where:
            _check(tree, data, where)
        return {name: prune(data[name], inside, f"{where}{name}.") for name, inside in tree.items() if name in data}
    return [prune(item, tree, where or ".") for item in data] if isinstance(data, list | tuple) else data


def _check(tree: Tree, known: Iterable[str], where: str) -> None:
    unknown = [name for name in tree if name not in known]
    if unknown:
        names = ", ".join(f"“{where}{name}”"[:100] for name in unknown[:5])
        there_are = f"There are: {', '.join(f'{where}{name}' for name in known)}."
        raise ValidationError({"fields": [f"There is no field {names}. {there_are}"]})


def _inside(tree: Tree, path: tuple[str, ...]) -> Tree:
    for part in path:
        tree = tree.get(part, {})
    return tree
