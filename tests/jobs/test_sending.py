"""jobs.sending and jobs.pieces: files that arrive in pieces, whatever happens to their senders."""

from __future__ import annotations

import hashlib
import io
import threading
import tracemalloc
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.storage import storages
from django.db import connection
from django.utils import timezone

from jobs import pieces, sending
from jobs.errors import Invalid, NotAllowed
from jobs.models import Asset, SentFile
from jobs.sending import Checksum, Cut, Locked, WrongChecksum, WrongOffset
from jobs.storage import storage_named
from jobs.storage_check import files_without_record
from jobs.store import open_asset

pytestmark = pytest.mark.django_db
DATA = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    """And writers that are taken for dead when a test says so, not when this machine is slow."""
    monkeypatch.setattr(sending, "PIECE_BYTES", 1000)
    monkeypatch.setattr(sending, "WRITER_SECONDS", 3600)


@pytest.fixture
def sent(people, blue):
    return sending.begin(people.olga, blue, name="in/a.psd", size_bytes=len(DATA))


class Line:
    """A connection that gives ``data`` in bits, and then breaks (or ends, as servers tell it)."""

    def __init__(self, data, *, breaks=False, then=None):
        self._data = io.BytesIO(data)
        self._breaks = breaks
        self._then = then

    def read(self, size=-1):
        part = self._data.read(min(size, 300))
        if not part and self._then:
            self._then()
        if not part and self._breaks:
            raise OSError("connection reset")
        return part


def append(sent, data, **options):
    options = {"offset": sent.received_bytes, "length": len(data), **options}
    sending.append(sent, options.pop("stream", None) or Line(data), **options)


def stray_pieces():
    known = {name for sent in SentFile.objects.all() for name, _ in sent.pieces}
    return [name for _, name in pieces.stored() if name not in known]


def content(sent):
    with open_asset(sent.asset) as file:
        return file.read()


# Whole ----------------------------------------------------------------------------------------------------------------
def test_a_file_in_one_go_is_stored_under_its_content(sent):
    append(sent, DATA)
    sent.refresh_from_db()
    assert content(sent) == DATA
    assert sent.asset.sha256 == hashlib.sha256(DATA).hexdigest()
    assert (sent.asset.name, sent.asset.kind, sent.asset.size_bytes) == ("a.psd", "upload", len(DATA))
    assert (sent.pieces, sent.writer, list(pieces.stored())) == ([], None, [])


def test_a_file_in_several_goes(sent):
    for start in range(0, len(DATA), 3333):
        append(sent, DATA[start : start + 3333])
    assert content(sent) == DATA


def test_an_empty_file_is_whole_at_once(people, blue):
    sent = sending.begin(people.olga, blue, name="empty.psd", size_bytes=0)
    assert content(sent) == b""


def test_the_same_content_is_stored_once(people, blue, sent):
    append(sent, DATA)
    other = sending.begin(people.olga, blue, name="b.psd", size_bytes=len(DATA))
    append(other, DATA)
    assert other.asset.storage_name == sent.asset.storage_name
    assert len(list(storage_named("default").names())) == 1


def test_pieces_are_no_contents_without_a_record(sent):
    append(sent, DATA[:5000])
    assert list(pieces.stored())
    assert list(files_without_record("default", grace=timedelta(0))) == []


def test_memory_does_not_grow_with_the_file(people, blue, monkeypatch):
    monkeypatch.setattr(sending, "PIECE_BYTES", 2 * 2**20)
    size_bytes = 48 * 2**20

    class Zeros:
        left = size_bytes

        def read(self, size=-1):
            given = min(size, self.left)
            self.left -= given
            return bytes(given)

    sent = sending.begin(people.olga, blue, name="large.psd", size_bytes=size_bytes)
    tracemalloc.start()
    sending.append(sent, Zeros(), offset=0, length=size_bytes)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sent.asset.size_bytes == size_bytes
    assert peak_bytes < 12 * 2**20


# Cut ------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("breaks", [True, False])
def test_what_arrived_before_a_cut_is_kept_to_the_byte(sent, breaks):
    with pytest.raises(Cut, match="6710 of 10240 bytes did not arrive"):
        append(sent, DATA, stream=Line(DATA[:3530], breaks=breaks))
    sent.refresh_from_db()
    assert (sent.received_bytes, sent.writer, stray_pieces()) == (3530, None, [])
    append(sent, DATA[3530:])
    assert content(sent) == DATA


def test_of_bytes_with_a_checksum_all_or_nothing_is_kept(sent):
    right = Checksum("sha256", hashlib.sha256(DATA[:5000]).digest())
    with pytest.raises(Cut):
        append(sent, DATA[:5000], stream=Line(DATA[:4000]), checksum=right)
    with pytest.raises(WrongChecksum, match="sha256"):
        append(sent, DATA[1:5001], checksum=right)
    sent.refresh_from_db()
    assert (sent.received_bytes, list(pieces.stored())) == (0, [])
    append(sent, DATA[:5000], checksum=right)
    append(sent, DATA[5000:], checksum=Checksum("sha1", hashlib.sha1(DATA[5000:]).digest()))
    assert content(sent) == DATA


@pytest.mark.parametrize("offset", [0, 4999, 5001, 10**17])
def test_bytes_must_begin_where_the_file_ends(sent, offset):
    append(sent, DATA[:5000])
    with pytest.raises(WrongOffset, match="has 5000 bytes so far"):
        append(sent, DATA[5000:], offset=offset)
    sent.refresh_from_db()
    assert sent.received_bytes == 5000


def test_more_bytes_than_announced_are_refused(sent):
    with pytest.raises(Invalid, match="announced with 10240 bytes"):
        append(sent, DATA + b"x")
    assert SentFile.objects.get().received_bytes == 0


def test_very_many_tiny_pieces_are_refused_and_nothing_is_lost(sent, monkeypatch):
    monkeypatch.setattr(sending, "MOST_PIECES", 3)
    for _ in range(3):
        append(sent, DATA[sent.received_bytes :][:10])
    with pytest.raises(Invalid, match="small pieces"):
        append(sent, DATA[30:])
    assert SentFile.objects.get().received_bytes == 30
    assert stray_pieces() == []


# Writers --------------------------------------------------------------------------------------------------------------
def test_a_second_writer_is_kept_out_while_the_first_lives(sent):
    def second():
        with pytest.raises(Locked, match="another connection adds to it"):
            append(SentFile.objects.get(pk=sent.pk), DATA[:10])

    with pytest.raises(Cut):
        append(sent, DATA, stream=Line(DATA[:2500], then=second))
    assert SentFile.objects.get().received_bytes == 2500


def test_a_silent_writer_is_taken_over_and_can_no_longer_add(sent):
    def later():
        SentFile.objects.update(writer_until=timezone.now() - timedelta(seconds=1))
        append(SentFile.objects.get(pk=sent.pk), DATA[2000:])

    with pytest.raises(Locked, match="taken over"):
        append(sent, DATA, stream=Line(DATA[:2500], then=later))
    whole = SentFile.objects.get()
    assert content(whole) == DATA
    assert list(pieces.stored()) == []


@pytest.mark.django_db(transaction=True)
def test_of_many_writers_at_once_each_byte_counts_once(sent):
    start, outcomes = threading.Barrier(5), []

    def write():
        start.wait()
        try:
            append(SentFile.objects.get(pk=sent.pk), DATA, offset=0)
            outcomes.append("done")
        except (Locked, WrongOffset) as refused:
            outcomes.append(type(refused).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=write) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 5
    assert outcomes.count("done") == 1
    sent.refresh_from_db()
    assert content(sent) == DATA


def test_when_putting_together_fails_it_is_done_later(sent, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("jobs.store.put_content", lambda *a, **o: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            append(sent, DATA)
    sent.refresh_from_db()
    assert (sent.received_bytes, sent.asset, sent.writer) == (len(DATA), None, None)
    append(sent, b"", offset=len(DATA))
    assert content(sent) == DATA
    sending.finish(sent)
    assert Asset.objects.count() == 1


# Limits, people -------------------------------------------------------------------------------------------------------
def test_a_file_beyond_the_limit_is_refused_before_a_byte_is_sent(people, blue, settings):
    settings.MAX_UPLOAD_BYTES = 100
    with pytest.raises(Invalid, match="at most"):
        sending.begin(people.olga, blue, name="a.psd", size_bytes=101)


def test_a_team_has_a_quota_of_its_own(people, blue, red, settings, monkeypatch):
    settings.SENT_FILES_BYTES = 1000
    first = sending.begin(people.olga, blue, name="a.psd", size_bytes=900)
    with pytest.raises(Invalid, match="Delete some, or wait") as refused:
        sending.begin(people.olga, blue, name="b.psd", size_bytes=101)
    assert refused.value.field == "quota"
    sending.begin(people.oscar, red, name="b.psd", size_bytes=101)
    sending.discard(people.olga, first)
    sending.begin(people.olga, blue, name="b.psd", size_bytes=101)
    sending.mark_used(SentFile.objects.filter(team=blue))
    sending.begin(people.olga, blue, name="d.psd", size_bytes=1000)
    monkeypatch.setattr(sending, "MOST_FILES", 1)
    with pytest.raises(Invalid):
        sending.begin(people.olga, blue, name="c.psd", size_bytes=1)


def test_only_operators_send(people, blue, sent):
    for person in (people.rita, people.adam, people.vera, people.oscar):
        with pytest.raises(NotAllowed):
            sending.begin(person, blue, name="a.psd", size_bytes=1)
        with pytest.raises(NotAllowed):
            sending.discard(person, sent)


# The sweep ------------------------------------------------------------------------------------------------------------
def test_what_expired_goes_with_all_its_pieces(sent, people, blue):
    append(sent, DATA[:5000])
    kept = sending.begin(people.olga, blue, name="b.psd", size_bytes=10)
    SentFile.objects.filter(pk=sent.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    sending.sweep()
    assert list(SentFile.objects.all()) == [kept]
    assert list(pieces.stored()) == []
    assert not (Path(storages["default"].location) / pieces.FOLDER / sent.pk.hex).exists()


def test_an_expired_whole_file_leaves_what_uses_it(sent):
    append(sent, DATA)
    used = sending.copy_asset(sent)
    SentFile.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert sending.sweep() == 1
    assert list(Asset.objects.all()) == [used]
    with open_asset(used) as file:
        assert file.read() == DATA


def test_a_file_that_is_being_written_does_not_expire(sent):
    def expire():
        SentFile.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        assert sending.sweep() == 0

    append(sent, DATA[:1500])
    with pytest.raises(Cut):
        append(sent, DATA[1500:], stream=Line(b"", then=expire))
    assert SentFile.objects.exists()


def test_pieces_that_nobody_counts_go_and_those_of_a_writer_stay(sent):
    append(sent, DATA[:1500])
    pieces.write(sent.pk.hex, "left-by-a-killed-writer", io.BytesIO(b"x"))
    pieces.write(uuid.uuid4().hex, "of-no-file", io.BytesIO(b"x"))
    SentFile.objects.update(writer=uuid.uuid4(), writer_until=timezone.now() + timedelta(hours=1))
    assert sending.sweep() == 1
    SentFile.objects.update(writer_until=timezone.now() - timedelta(seconds=1))
    assert sending.sweep() == 1
    assert sending.sweep() == 0
    sent.refresh_from_db()
    append(sent, DATA[1500:])
    assert content(sent) == DATA


# In object storage ----------------------------------------------------------------------------------------------------
def test_pieces_reach_a_bucket_that_all_machines_share(s3, people, blue):
    sent = sending.begin(people.olga, blue, name="a.psd", size_bytes=len(DATA))
    with pytest.raises(Cut):
        append(sent, DATA, stream=Line(DATA[:2500]))
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket="files")["Contents"]]
    assert len(keys) == 3
    assert all(key.startswith("store/.incoming/") for key in keys)
    assert list(storage_named("default").names()) == []
    append(sent, DATA[2500:])
    assert content(sent) == DATA
    assert [e["Key"] for e in s3.list_objects_v2(Bucket="files")["Contents"]] == [f"store/{sent.asset.storage_name}"]
    pieces.write(uuid.uuid4().hex, "of-no-file", io.BytesIO(b"x"))
    assert sending.sweep() == 1
