"""Files that are sent in pieces: begun, added to, resumed after a cut, put together, used by uploads, or forgotten.

No more than one piece of a file is ever in memory. One writer at a time: it holds the row for ``WRITER_SECONDS`` and
holds it longer while bytes arrive, so that a connection that went silent does not keep its successor out.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import PurePosixPath
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q, Sum
from django.db.models.functions import Now

from jobs import clock, leftovers, pieces, store
from jobs.errors import Conflict, Invalid
from jobs.models import Asset, SentFile, Team
from jobs.teams import require_verb

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PIECE_BYTES = 8 * 2**20
RECEIVED_AT_ONCE_BYTES = 2**16
MOST_PIECES = 5_000
MOST_FILES = 5_000
WRITER_SECONDS = 20
RENEWED_AFTER_SECONDS = 4.0
CHECKSUMS = ("sha256", "sha1")
SWEPT_AT_ONCE = 200


class Locked(Exception):
    """Somebody else adds to the file in this moment."""


class WrongOffset(Conflict):
    """The bytes do not begin where the file ends so far."""


class WrongChecksum(Exception):
    """The bytes are not what their sender says; none of them was kept."""


class Cut(Exception):
    """The connection ended before all announced bytes had come. What came is kept, unless it has a checksum."""


class Stream(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


@dataclass(frozen=True)
class Checksum:
    """The digest that the bytes must have. ``algorithm`` is one of ``CHECKSUMS``."""

    algorithm: str
    digest: bytes


def begin(user: User, team: Team, *, name: str, size_bytes: int, metadata: str = "") -> SentFile:
    """A new file, empty so far. Raises NotAllowed, or Invalid (fields ``size``, ``quota``) beyond the limits."""
    require_verb(user, team, "start")
    if size_bytes > settings.MAX_UPLOAD_BYTES:
        raise Invalid(f"{name} has {_mb(size_bytes)}; at most {_mb(settings.MAX_UPLOAD_BYTES)} allowed.", field="size")
    with transaction.atomic():
        Team.objects.select_for_update(no_key=True).get(pk=team.pk)
        _check_quota(team, size_bytes)
        sent = SentFile.objects.create(
            team=team, user=user, name=name, size_bytes=size_bytes, metadata=metadata, expires_at=_expiry()
        )
    if not size_bytes:
        finish(sent)
    return sent


def _check_quota(team: Team, size_bytes: int) -> None:
    waiting = SentFile.objects.filter(team=team, used_at=None).aggregate(
        files=Count("pk"), bytes=Sum("size_bytes", default=0)
    )
    if waiting["files"] < MOST_FILES and waiting["bytes"] + size_bytes <= settings.SENT_FILES_BYTES:
        return
    raise Invalid(
        f"The team has {waiting['files']:,} sent files with {_mb(waiting['bytes'])} waiting;"
        f" {MOST_FILES:,} files and {_mb(settings.SENT_FILES_BYTES)} are allowed."
        f" Delete some, or wait: what is not used goes after {settings.SENT_FILES_HOURS} h.",
        field="quota",
    )


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:,.1f} MB"


def _expiry() -> Any:
    return clock.now() + timedelta(hours=settings.SENT_FILES_HOURS)


# Writing --------------------------------------------------------------------------------------------------------------
@dataclass
class _Writer:
    """Who may add to the file. ``tick`` holds on to it, and raises Locked when somebody else took over."""

    sent: SentFile
    token: uuid.UUID = field(default_factory=uuid.uuid4)
    _renewed_at: float = field(default_factory=monotonic)

    def tick(self) -> None:
        if monotonic() - self._renewed_at >= RENEWED_AFTER_SECONDS:
            self._renewed_at = monotonic()
            self.change(writer_until=Now() + timedelta(seconds=WRITER_SECONDS))

    def change(self, **values: Any) -> None:
        if not SentFile.objects.filter(pk=self.sent.pk, writer=self.token).update(**values):
            raise Locked(f"{self.sent.name}: another connection has taken over.")


@contextmanager
def _writing(sent: SentFile) -> Iterator[_Writer]:
    """Holds the file, and has ``sent`` say how it is now. Raises Locked when another holds it."""
    writer = _Writer(sent)
    free = Q(writer=None) | Q(writer_until__lt=Now())
    until = Now() + timedelta(seconds=WRITER_SECONDS)
    if not SentFile.objects.filter(free, pk=sent.pk).update(writer=writer.token, writer_until=until):
        raise Locked(f"{sent.name}: another connection adds to it.")
    try:
        sent.refresh_from_db()
        yield writer
    finally:
        SentFile.objects.filter(pk=sent.pk, writer=writer.token).update(writer=None, writer_until=None)


class _Piece:
    """The next bytes of a connection as a file that is read once: as many as fit into a piece, fewer after a cut."""

    def __init__(self, stream: Stream, size_bytes: int, writer: _Writer, digest: Any) -> None:
        self.size_bytes = 0
        self.cut = False
        self._left = size_bytes
        self._stream = stream
        self._writer = writer
        self._digest = digest

    def seek(self, offset: int, /) -> int:
        if offset or self.size_bytes:
            raise ValueError("a piece is read once, from its beginning")
        return 0

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        parts = []
        while wanted and (part := self._receive(min(wanted, RECEIVED_AT_ONCE_BYTES))):
            parts.append(part)
            wanted -= len(part)
        return b"".join(parts)

    def _receive(self, size: int) -> bytes:
        if self.cut:
            return b""
        try:
            part = self._stream.read(size)
        except OSError:
            part = b""
        self.cut = not part
        self._writer.tick()
        self._digest.update(part)
        self._left -= len(part)
        self.size_bytes += len(part)
        return part


def append(sent: SentFile, stream: Stream, *, offset: int, length: int, checksum: Checksum | None = None) -> None:
    """Adds ``length`` bytes at ``offset``, piece by piece; with the last one the file is put together.

    Raises Locked, WrongOffset, Invalid for bytes beyond the announced size, WrongChecksum, Cut.
    """
    with _writing(sent) as writer:
        if offset != sent.received_bytes:
            raise WrongOffset(f"{sent.name} has {sent.received_bytes} bytes so far; these begin at {offset}.")
        if offset + length > sent.size_bytes:
            raise Invalid(f"{sent.name} was announced with {sent.size_bytes} bytes; these are more.", field="size")
        _receive(writer, stream, length, checksum)
        if sent.received_bytes == sent.size_bytes:
            _put_together(writer)


def _receive(writer: _Writer, stream: Stream, length: int, checksum: Checksum | None) -> None:
    sent, file_id = writer.sent, writer.sent.pk.hex
    digest = hashlib.new(checksum.algorithm if checksum else "sha1", usedforsecurity=False)
    pending: list[list[Any]] = []
    left, cut = length, False
    try:
        while left and not cut:
            if len(sent.pieces) + len(pending) >= MOST_PIECES:
                raise Invalid(f"{sent.name} came in too many small pieces: send at least 1 MB at once.", field="size")
            piece = _Piece(stream, min(left, PIECE_BYTES), writer, digest)
            name = f"{sent.received_bytes + length - left:015d}-{uuid.uuid4().hex[:12]}"
            pieces.write(file_id, name, piece)
            pending.append([name, piece.size_bytes])
            left, cut = left - piece.size_bytes, piece.cut
            if checksum is None and piece.size_bytes:
                _record(writer, pending)
        if checksum is not None and not cut:
            if digest.digest() != checksum.digest:
                raise WrongChecksum(
                    f"{sent.name}: the {checksum.algorithm} of these bytes is another. Send them again."
                )
            _record(writer, pending)
    finally:
        pieces.delete(file_id, [name for name, _ in pending])
    if cut:
        raise Cut(f"{sent.name}: {left} of {length} bytes did not arrive. Go on at {sent.received_bytes}.")


def _record(writer: _Writer, pending: list[list[Any]]) -> None:
    """Makes stored pieces count, and takes them off the list of what is to be removed."""
    sent = writer.sent
    added = [*sent.pieces, *pending]
    received = sent.received_bytes + sum(size for _, size in pending)
    until = Now() + timedelta(seconds=WRITER_SECONDS)
    writer.change(pieces=added, received_bytes=received, expires_at=_expiry(), writer_until=until)
    sent.pieces, sent.received_bytes = added, received
    pending.clear()


def finish(sent: SentFile) -> None:
    """Puts a file together whose bytes are all there, if that was not done. Raises Locked."""
    with _writing(sent) as writer:
        if sent.received_bytes == sent.size_bytes:
            _put_together(writer)


def _put_together(writer: _Writer) -> None:
    sent, file_id = writer.sent, writer.sent.pk.hex
    if sent.asset_id is not None:
        return
    names = [name for name, _ in sent.pieces]
    joined = pieces.Joined(file_id, names)
    try:
        content = store.put_content(joined, suffix=PurePosixPath(sent.name).suffix, tick=writer.tick)
    finally:
        joined.close()
    if content.size_bytes != sent.size_bytes:
        raise OSError(f"{sent.name}: {content.size_bytes} of {sent.size_bytes} bytes are in the storage")
    with transaction.atomic():
        sent.asset = store.record(content, team=sent.team, kind="upload", name=PurePosixPath(sent.name).name)
        writer.change(asset=sent.asset, pieces=[], expires_at=_expiry())
    sent.pieces = []
    pieces.delete(file_id, names)


# Using and forgetting -------------------------------------------------------------------------------------------------
def copy_asset(sent: SentFile) -> Asset:
    """A record of a whole file's content for whoever uses it, which outlives the sent file (in the caller's
    transaction)."""
    assert sent.asset is not None
    whole = Asset.objects.get(pk=sent.asset.pk)
    whole.pk, whole._state.adding = None, True
    whole.created_at = clock.now()
    whole.save()
    return whole


def mark_used(files: Iterable[SentFile]) -> None:
    """Says that an upload used these files; from now on they wait the usual time for another use."""
    now = clock.now()
    SentFile.objects.filter(pk__in=[sent.pk for sent in files]).update(used_at=now, expires_at=_expiry())


def require_sender(user: User, sent: SentFile) -> None:
    """Raises NotAllowed unless the person may send files to the team of this one."""
    require_verb(user, sent.team, "start")


def discard(user: User, sent: SentFile) -> None:
    """Forgets a file. Uploads that use it keep it. Raises NotAllowed."""
    require_sender(user, sent)
    _forget(SentFile.objects.filter(pk=sent.pk))


def _forget(rows: Any) -> int:
    gone = 0
    for sent in rows:
        with transaction.atomic():
            removed, _ = rows.filter(pk=sent.pk).delete()
            if removed and sent.asset_id is not None:
                leftovers.delete_records(Asset.objects.filter(pk=sent.asset_id))
        if removed:
            pieces.delete(sent.pk.hex, [name for name, _ in sent.pieces])
            gone += 1
    return gone


def sweep() -> int:
    """Removes files that expired and pieces that no file counts, left by killed writers. Returns how many."""
    unheld = Q(writer=None) | Q(writer_until__lt=Now())
    expired = SentFile.objects.filter(unheld, expires_at__lt=Now()).order_by("expires_at")
    ids = list(expired.values_list("pk", flat=True)[:SWEPT_AT_ONCE])
    gone = sum(_forget(SentFile.objects.filter(unheld, pk=pk)) for pk in ids)
    return gone + _sweep_strays()


def _sweep_strays() -> int:
    found: dict[str, set[str]] = {}
    for file_id, name in pieces.stored():
        found.setdefault(file_id, set()).add(name)
    known = {sent.pk.hex: sent for sent in SentFile.objects.filter(pk__in=[one for one in found if _is_id(one)])}
    gone = 0
    for file_id, names in found.items():
        sent = known.get(file_id)
        if sent is None:
            pieces.delete(file_id, sorted(names))
            gone += len(names)
            continue
        with suppress(Locked, SentFile.DoesNotExist), _writing(sent):
            # Held, so that a writer that went silent cannot come back and count what is removed here.
            strays = names - {name for name, _ in sent.pieces}
            pieces.delete(file_id, sorted(strays))
            gone += len(strays)
    return gone


def _is_id(text: str) -> bool:
    return re.fullmatch("[0-9a-f]{32}", text) is not None
