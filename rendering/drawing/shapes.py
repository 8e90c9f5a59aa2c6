"""Shape layers: groups with their transforms, and what lies in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import skia

from rendering.drawing.outlines import PATH_READERS
from rendering.drawing.shape_items import Content, Item, mapped, painted_group, read_transform
from rendering.drawing.shape_operations import OPERATION_READERS
from rendering.drawing.shape_paints import PAINT_READERS, note_blend_mode
from rendering.drawing.values import PropertyReader, child

MAX_DEPTH = 40
_ITEM_READERS = PAINT_READERS | OPERATION_READERS


class Shapes:
    """The contents of a shape layer. Everything is in the layer's own px."""

    single = False

    def __init__(self, layer: Any, reader: PropertyReader) -> None:
        root = child(layer, "ADBE Root Vectors Group")
        self._items = _read_items(root, reader, 0) if root is not None else ()
        self._values = [value for item in self._items for value in item.values]
        self.animated = any(value.animated for value in self._values)

    def signature(self, time_seconds: float) -> tuple[Any, ...]:
        return tuple(value.at(time_seconds) for value in self._values if value.animated)

    def bounds(self, time_seconds: float) -> skia.Rect | None:
        return None

    def draw(self, canvas: skia.Canvas, time_seconds: float, paint: skia.Paint) -> None:
        content = _content(self._items, time_seconds)
        for paint_one in reversed(content.painted):
            paint_one(canvas)


def _content(items: Sequence[Item], time_seconds: float) -> Content:
    content = Content()
    for item in items:
        item.apply(content, time_seconds)
    return content


def _read_items(group: Any, reader: PropertyReader, depth: int) -> tuple[Item, ...]:
    if depth > MAX_DEPTH:
        reader.notes.add("shape_not_drawn", reader.subject, f"Groups deeper than {MAX_DEPTH} levels are not drawn.")
        return ()
    items: list[Item] = []
    for entry in group.properties:
        if not getattr(entry, "enabled", True):
            continue
        match_name = str(entry.match_name)
        if match_name == "ADBE Vector Group":
            items.append(_read_group(entry, reader, depth))
        elif match_name in PATH_READERS:
            items.append(_path_item(entry, reader))
        elif match_name in _ITEM_READERS:
            items.append(_ITEM_READERS[match_name](entry, reader))
        else:
            reader.notes.add("shape_not_drawn", reader.subject, f'"{entry.name}" ({match_name}) is not drawn.')
    return tuple(items)


def _path_item(entry: Any, reader: PropertyReader) -> Item:
    values, build = PATH_READERS[entry.match_name](entry, reader)
    return Item(values, lambda content, time_seconds: content.paths.append(build(time_seconds)))


def _read_group(entry: Any, reader: PropertyReader, depth: int) -> Item:
    contents = child(entry, "ADBE Vectors Group")
    items = _read_items(contents, reader, depth + 1) if contents is not None else ()
    values, matrix_at = read_transform(child(entry, "ADBE Vector Transform Group"), reader)
    opacity = reader.number(child(entry, "ADBE Vector Transform Group"), "ADBE Vector Group Opacity", 100.0)
    note_blend_mode(entry, reader)

    def apply(content: Content, time_seconds: float) -> None:
        inner = _content(items, time_seconds)
        matrix = matrix_at(time_seconds)
        content.paths += [mapped(path, matrix) for path in inner.paths]
        content.painted.append(painted_group(inner.painted, matrix, opacity.at(time_seconds) / 100))

    return Item([*(value for item in items for value in item.values), *values, opacity], apply)
