"""Writes the chunk tree of an .aep as AEPX.

One principle: a friendly element is written only where it compiles to the same bytes again; otherwise the chunk is
written as a plain ``bdata`` leaf. So AEP -> AEPX -> AEP is exact for every file.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from rendering.aftereffects.aepx_grammar import (
    FILE_REFERENCE_KEYS,
    LIST_TYPES,
    NAME_ELEMENTS,
    NAMESPACE,
    NUMBER_ELEMENTS,
    PLATFORMS,
    ROOT,
    XMP,
    file_reference_json,
    pack_number,
)
from rendering.aftereffects.riff import Chunk, ChunkTree
from rendering.errors import FormatError

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAG = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_PLATFORM_NAMES = {number: name for name, number in PLATFORMS.items()}
_BEFORE = (b"ExEn", b"Fold")
"""After Effects writes the XMP packet before the first of these."""


def write_aepx(tree: ChunkTree, *, name: str) -> bytes:
    """The AEPX file of a tree. Raises FormatError for a chunk that XML cannot hold and for an unknown LIST type."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines.append(f'<{ROOT} xmlns="{NAMESPACE}" majorVersion="1" minorVersion="0">')
    metadata = f"\t<{XMP}>{_cdata(_xmp_text(tree.xmp, name))}</{XMP}>"
    place = next((i for i, chunk in enumerate(tree.chunks) if chunk.list_type in _BEFORE), len(tree.chunks))
    for index, chunk in enumerate(tree.chunks):
        if index == place:
            lines.append(metadata)
        lines.extend(_lines(chunk, "\t", name))
    if place == len(tree.chunks):
        lines.append(metadata)
    lines.append(f"</{ROOT}>\n")
    return "\n".join(lines).encode("utf-8")


def _xmp_text(xmp: bytes, name: str) -> str:
    text = xmp.decode("utf-8")
    if _NOT_XML.search(text):
        raise FormatError(name, "the metadata at its end holds characters that XML cannot hold.")
    return text


def _cdata(text: str) -> str:
    if not text or "]]>" in text or "\r" in text:
        return _escape(text)
    return f"<![CDATA[{text}]]>"


def _escape(text: str) -> str:
    return escape(text, {"\r": "&#13;"})


def _lines(chunk: Chunk, indent: str, name: str) -> Iterator[str]:
    if not chunk.holds_chunks:
        for line in _leaf(chunk, name):
            yield indent + line
        return
    tag = (chunk.list_type or chunk.kind).decode("ascii").rstrip()
    if tag not in LIST_TYPES and tag not in NAME_ELEMENTS:
        raise FormatError(name, f"it has the container {tag!r}, which is not known here.", "Keep it as .aep.")
    yield f"{indent}<{tag}>"
    for child in chunk.children:
        yield from _lines(child, indent + "\t", name)
    yield f"{indent}</{tag}>"


def _leaf(chunk: Chunk, name: str) -> tuple[str, ...]:
    kind = chunk.kind.decode("ascii")
    if kind == "Utf8":
        return (_string(chunk.data),)
    if kind == "alas":
        return (_file_reference(chunk.data),)
    if kind in NUMBER_ELEMENTS:
        return _number(kind, chunk.data)
    padded = (chunk.list_type or chunk.kind).decode("ascii")
    tag = padded.rstrip()
    if not _TAG.fullmatch(tag) or tag.ljust(4) != padded:
        raise FormatError(name, f"the chunk {kind!r} cannot be written as XML.", "Keep it as .aep.")
    return (_plain(tag, chunk.data),)


def _plain(tag: str, data: bytes) -> str:
    return f'<{tag} bdata="{data.hex()}"/>'


def _string(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return _plain("Utf8", data)
    if _NOT_XML.search(text):
        return _plain("Utf8", data)
    return f"<string>{_escape(text)}</string>" if text else "<string/>"


def _number(kind: str, data: bytes) -> tuple[str, ...]:
    form = NUMBER_ELEMENTS[kind]
    if len(data) == struct.calcsize(form):
        (value,) = struct.unpack(form, data)
        texts = (str(value),) if form == ">I" else (f"{value:.9f}", repr(value))
        for text in texts:
            if math.isfinite(value) and pack_number(form, text) == data:
                return (f"<{kind}>", f"\t<string>{text}</string>", f"</{kind}>")
    return (_plain(kind, data),)


def _file_reference(data: bytes) -> str:
    try:
        record = json.loads(data)
    except (ValueError, RecursionError):
        return _plain("alas", data)
    if not isinstance(record, dict) or not record.keys() <= FILE_REFERENCE_KEYS:
        return _plain("alas", data)
    attributes = {key: _attribute_text(key, value) for key, value in record.items()}
    try:
        exact = file_reference_json(attributes) == data
    except ValueError:
        exact = False
    if not exact or any(_NOT_XML.search(text) for text in attributes.values()):
        return _plain("alas", data)
    written = " ".join(f"{key}={_quoted(text)}" for key, text in attributes.items())
    return f"<fileReference {written}/>"


def _attribute_text(key: str, value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if key == "platform" and isinstance(value, int):
        return _PLATFORM_NAMES.get(value, str(value))
    return str(value)


def _quoted(text: str) -> str:
    return quoteattr(text, {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"})
