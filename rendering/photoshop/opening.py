"""Opens a document once; describing, exporting and compositing all use that one reading."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psd_tools import PSDImage
from psd_tools.compression import PSDDecompressionWarning

from rendering.errors import FormatError, is_the_machines
from rendering.photoshop.document import CompositeImage, Document, LayerImage
from rendering.photoshop.drawing import drawn_composite, embedded_composite, layer_pixels
from rendering.photoshop.layers import Entry, describe, entries_of
from rendering.photoshop.structure import MAX_FILE_BYTES, Header, check_pixels, check_structure
from rendering.pixels import write_png

MAX_ALLOCATION_BYTES = 4 * 1024**3


@dataclass(frozen=True)
class OpenDocument:
    """A document in memory. Not to be shared between threads."""

    file_name: str
    header: Header
    source: PSDImage
    entries: tuple[Entry, ...]

    def describe(self) -> Document:
        """All layers at every depth; FormatError when one cannot be read."""
        layers = []
        for entry in self.entries:
            with _reading(self.file_name, f"layer {entry.source.name!r} cannot be read"):
                layers.append(describe(entry))
        return Document(
            file_name=self.file_name,
            width_px=self.header.width_px,
            height_px=self.header.height_px,
            color_mode=self.header.color_mode,
            depth_bits=self.header.depth_bits,
            layers=tuple(layers),
            has_composite=self.source.has_preview(),
        )

    def export(self, directory: Path, *, progress: Callable[[float], None] | None = None) -> tuple[LayerImage, ...]:
        """Writes every visible leaf layer that has pixels to ``layer-<layer_id>.png``, from the bottom up.

        An image shows the layer alone, with its masks, opacity and the effects that psd-tools draws. ``progress`` is
        told the share that is done, 0..1. The directory is made when it is missing.
        """
        directory.mkdir(parents=True, exist_ok=True)
        leaves = [entry for entry in self.entries if entry.visible and entry.is_leaf]
        images = []
        for done, entry in enumerate(leaves, start=1):
            with _reading(self.file_name, f"layer {entry.source.name!r} cannot be drawn"):
                drawn = layer_pixels(self.source, entry, file_name=self.file_name)
            if drawn is not None:
                rgba, box = drawn
                path = directory / f"layer-{entry.layer_id}.png"
                write_png(rgba, path)
                height_px, width_px = rgba.shape[:2]
                images.append(
                    LayerImage(layer_id=entry.layer_id, path=path, box=box, width_px=width_px, height_px=height_px)
                )
            if progress is not None:
                progress(done / len(leaves))
        return tuple(images)

    def composite(self, path: Path) -> CompositeImage:
        """Writes the flattened document to that path: Photoshop's own where there is one, else drawn by psd-tools."""
        with _reading(self.file_name, "its flattened image cannot be read"):
            embedded = embedded_composite(self.source)
            rgba = drawn_composite(self.source) if embedded is None else embedded
        write_png(rgba, path)
        return CompositeImage(
            path=path,
            width_px=rgba.shape[1],
            height_px=rgba.shape[0],
            source="drawn" if embedded is None else "embedded",
        )


def open_document(path: Path, *, max_file_bytes: int = MAX_FILE_BYTES) -> OpenDocument:
    """Reads the file once; FormatError when it is no whole Photoshop document or is over the limits."""
    header = check_structure(path, max_file_bytes=max_file_bytes)
    with _reading(path.name, "it cannot be read as a Photoshop document"):
        source = PSDImage.open(path, max_alloc_bytes=MAX_ALLOCATION_BYTES)
        entries = entries_of(source, file_name=path.name)
        for entry in entries:
            if entry.is_leaf:
                check_pixels(path.name, f"layer {entry.source.name!r}", entry.source.width, entry.source.height)
    return OpenDocument(path.name, header, source, entries)


def read_document(path: Path) -> Document:
    """What is in the document; to export it too, use ``open_document`` and read the file only once."""
    return open_document(path).describe()


def export_layers(
    path: Path, directory: Path, *, progress: Callable[[float], None] | None = None
) -> tuple[LayerImage, ...]:
    """See ``OpenDocument.export``."""
    return open_document(path).export(directory, progress=progress)


def read_composite(path: Path, target: Path) -> CompositeImage:
    """See ``OpenDocument.composite``."""
    return open_document(path).composite(target)


@contextmanager
def _reading(file_name: str, cause: str) -> Iterator[None]:
    """The one place where psd-tools' errors become ours: a damaged file makes it raise almost anything."""
    try:
        with warnings.catch_warnings():
            # It would go on with black pixels.
            warnings.simplefilter("error", PSDDecompressionWarning)
            yield
    except FormatError:
        raise
    except Exception as error:
        if is_the_machines(error):
            raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise FormatError(file_name, f"{cause} ({reason}).", "Save it again from Photoshop.") from error
