"""After Effects XML projects (.aepx): the chunk tree of an .aep, written as XML. Both directions, in memory."""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from lxml import etree

from rendering.aftereffects import riff
from rendering.aftereffects.aepx_grammar import (
    FILE_REFERENCE_KEYS,
    LIST_TYPES,
    NAME_ELEMENTS,
    NAMESPACE,
    NUMBER_ELEMENTS,
    RAW_ELEMENTS,
    ROOT,
    XMP,
    file_reference_json,
    pack_number,
)
from rendering.aftereffects.aepx_writer import write_aepx
from rendering.aftereffects.riff import Chunk, ChunkTree
from rendering.errors import FormatError, is_the_machines

_LEAF_ID = re.compile(r"[ -~]{1,4}")


def is_aepx(data: bytes) -> bool:
    """Whether the content begins as an After Effects XML project does."""
    head = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    return head.startswith((b"<?xml", b"<AfterEffectsProject", b"<!--")) and b"<AfterEffectsProject" in data[:65536]


@dataclass(slots=True)
class _Element:
    tag: str
    attributes: dict[str, str]
    children: list[Chunk] = field(default_factory=list)
    text: list[str] = field(default_factory=list)


class _Compiler:
    """lxml parser target: builds chunks as elements close, so no XML tree is ever held."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.open: list[_Element] = []
        self.count = 0
        self.xmp = ""
        self.tree: ChunkTree | None = None

    def fail(self, cause: str, cure: str = "") -> FormatError:
        return FormatError(self.name, cause, cure)

    def doctype(self, *_: Any) -> None:
        raise self.fail("it has a document type declaration, which no After Effects project has.")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        namespace, _, local = tag.rpartition("}")
        if namespace.lstrip("{") != NAMESPACE:
            raise self.fail(f"the element <{local}> is not in After Effects' namespace.")
        if bool(self.open) is (local == ROOT):
            raise self.fail(f"the element <{local}> stands where it cannot: an AEPX has one outer <{ROOT}>.")
        self.count += 1
        if len(self.open) > riff.MAX_DEPTH or self.count > riff.MAX_CHUNKS:
            raise self.fail(f"it nests deeper than {riff.MAX_DEPTH} levels or has more than {riff.MAX_CHUNKS:,} items.")
        self.open.append(_Element(local, dict(attributes)))

    def data(self, text: str) -> None:
        if self.open:
            self.open[-1].text.append(text)

    def comment(self, _text: str) -> None:
        """Hand-annotated files hold comments; they are no part of the project."""

    def pi(self, _target: str, _data: str | None = None) -> None:
        """Processing instructions outside the XMP packet mean nothing to After Effects."""

    def end(self, _tag: str) -> None:
        element = self.open.pop()
        if not self.open:
            self.require_container(element)
            self.tree = ChunkTree(tuple(element.children), self.xmp.encode("utf-8"))
        elif element.tag == XMP and len(self.open) == 1:
            self.xmp = "".join(element.text)
        else:
            self.open[-1].children.append(self.chunk(element))

    def close(self) -> ChunkTree | None:
        """lxml calls this after a syntax error too, so a missing tree is not an error here."""
        return self.tree

    def chunk(self, element: _Element) -> Chunk:
        tag = element.tag
        if "bdata" in element.attributes:
            return self.leaf(element)
        if tag == "fileReference":
            return self.file_reference(element)
        if element.attributes:
            raise self.fail(f"the element <{tag}> has the unknown attribute {next(iter(element.attributes))}.")
        if tag == "string":
            if element.children:
                raise self.fail("a <string> holds elements.")
            return Chunk(b"Utf8", data="".join(element.text).encode("utf-8"))
        if tag in NUMBER_ELEMENTS:
            return self.number(element)
        self.require_container(element)
        children = tuple(element.children)
        if tag in NAME_ELEMENTS:
            return Chunk(tag.encode("ascii"), children=children, holds_chunks=bool(children))
        if tag not in LIST_TYPES:
            raise self.fail(
                f"it has the container <{tag}>, which is not known here.",
                "Open it in After Effects and save it as .aep.",
            )
        return Chunk(b"LIST", list_type=tag.encode("ascii").ljust(4), children=children, holds_chunks=True)

    def require_container(self, element: _Element) -> None:
        if "".join(element.text).strip():
            raise self.fail(f"the element <{element.tag}> holds text where only elements belong.")

    def leaf(self, element: _Element) -> Chunk:
        tag = element.tag
        if len(element.attributes) > 1 or element.children or "".join(element.text).strip():
            raise self.fail(f"the element <{tag}> has more than its bdata.")
        if not _LEAF_ID.fullmatch(tag) or tag in ("LIST", "RIFX"):
            raise self.fail(f"<{tag}> cannot be the id of a chunk.")
        try:
            data = bytes.fromhex(element.attributes["bdata"])
        except ValueError as error:
            raise self.fail(f"the bdata of <{tag}> is not hexadecimal.") from error
        if tag in RAW_ELEMENTS:
            return Chunk(b"LIST", data=data, list_type=tag.encode("ascii"))
        kind = tag.encode("ascii").ljust(4)
        if kind in riff.NAME_CHUNKS:
            return _name_chunk(kind, data)
        return Chunk(kind, data=data)

    def number(self, element: _Element) -> Chunk:
        form = NUMBER_ELEMENTS[element.tag]
        try:
            text = b"".join(child.data for child in element.children).decode("utf-8").strip()
            return Chunk(element.tag.encode("ascii"), data=pack_number(form, text))
        except (ValueError, struct.error, OverflowError) as error:
            raise self.fail(f"the element <{element.tag}> does not hold a number.") from error

    def file_reference(self, element: _Element) -> Chunk:
        unknown = sorted(set(element.attributes) - FILE_REFERENCE_KEYS)
        if unknown or element.children:
            raise self.fail(f"a <fileReference> has the unknown part {unknown[0] if unknown else 'element'}.")
        try:
            return Chunk(b"alas", data=file_reference_json(element.attributes))
        except ValueError as error:
            raise self.fail("a <fileReference> has a count that is no number.") from error


def _name_chunk(kind: bytes, data: bytes) -> Chunk:
    """The bytes of a name that happen to be one whole Utf8 chunk are read back as that chunk: keep both ways alike."""
    if data[:4] == b"Utf8" and len(data) >= 8:
        (size,) = struct.unpack_from(">I", data, 4)
        if 8 + size + (size & 1) == len(data):
            return Chunk(kind, children=(Chunk(b"Utf8", data=data[8 : 8 + size]),), holds_chunks=True)
    return Chunk(kind, data=data)


def compile_aepx(data: bytes, *, name: str) -> bytes:
    """The AEP file that an AEPX file stands for. ``name`` is the file's name, for messages.

    Raises FormatError when the XML is not well-formed, cut off, declares a document type, or holds an element that
    has no certain counterpart (which the message names).
    """
    if len(data) > riff.MAX_PROJECT_BYTES:
        raise FormatError(name, f"it is larger than {riff.MAX_PROJECT_BYTES:,} bytes.", "Is it a template?")
    if not data.strip():
        raise FormatError(name, "it is empty.")
    parser = etree.XMLParser(
        target=_Compiler(name),  # type: ignore[arg-type]  # the stubs ask for more than lxml calls
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=True,  # one attribute may hold megabytes; size, depth and number are limited above
    )
    prolog = data[: data.find(b"<" + ROOT.encode("ascii"))]
    if b"<!DOCTYPE" in prolog or b"<!ENTITY" in prolog:
        raise FormatError(name, "it has a document type declaration, which no After Effects project has.")
    try:
        tree: ChunkTree | None = etree.fromstring(data, parser)  # type: ignore[assignment]  # the target's result
    except etree.XMLSyntaxError as error:
        message = " ".join(str(error.msg).split()).rstrip(".")
        raise FormatError(name, f"its XML is cut off or damaged: {message}.", "Copy or save it again.") from error
    if tree is None:
        raise FormatError(name, f"it has no <{ROOT}>.")
    return riff.write_chunks(tree)


def decompile_aep(data: bytes, *, name: str) -> bytes:
    """The AEPX file of an AEP file. Raises FormatError as ``riff.read_chunks`` does, and for an unknown LIST type."""
    return write_aepx(riff.read_chunks(data, name=name), name=name)


def convert_project(source: Path, destination: Path) -> None:
    """Converts between .aepx and .aep; the destination's suffix says which, the source is told by its content.

    The destination appears whole or not at all. Raises FormatError for a source or suffix that does not fit and
    FileExistsError when the destination exists already.
    """
    if destination.exists():
        raise FileExistsError(f"{destination.name}: it exists already and is never overwritten.")
    data = read_limited(source, limit_bytes=riff.MAX_PROJECT_BYTES)
    suffix = destination.suffix.lower()
    if suffix == ".aep":
        result = compile_aepx(data, name=source.name) if is_aepx(data) else _checked_aep(data, name=source.name)
    elif suffix == ".aepx":
        binary = compile_aepx(data, name=source.name) if is_aepx(data) else data
        result = decompile_aep(binary, name=source.name)
    else:
        raise FormatError(destination.name, "its name must end in .aep or .aepx.")
    _write_new(destination, result)


def _checked_aep(data: bytes, *, name: str) -> bytes:
    riff.read_chunks(data, name=name)
    return data


def read_limited(path: Path, *, limit_bytes: int) -> bytes:
    """The file's content. Raises FormatError when it cannot be read or is larger than the limit."""
    try:
        with path.open("rb") as file:
            # By its size first: what is too large is not read at all.
            data = b"" if (is_larger := os.fstat(file.fileno()).st_size > limit_bytes) else file.read(limit_bytes + 1)
    except OSError as error:
        if is_the_machines(error):
            raise
        raise FormatError(path.name, f"it cannot be read: {error.strerror or error}.") from error
    if is_larger or len(data) > limit_bytes:
        raise FormatError(path.name, f"it is larger than {limit_bytes:,} bytes.", "Is it a template?")
    return data


def _write_new(destination: Path, data: bytes) -> None:
    with NamedTemporaryFile(dir=destination.parent, prefix=f".{destination.name}.", delete=False) as temporary:
        temporary.write(data)
        temporary.flush()
        os.fsync(temporary.fileno())
    try:
        # A hard link fails where the name exists, also when another process made it a moment ago.
        os.link(temporary.name, destination)
        os.chmod(destination, 0o644)
    finally:
        os.unlink(temporary.name)
