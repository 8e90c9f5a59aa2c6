"""S3-compatible storage: whole objects or none, never overwritten, read as a stream, errors that mean what they say."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from storages.backends.s3 import S3Storage

from jobs.errors import RateLimited
from jobs.outbound import retry_after_seconds
from jobs.storage import PIECES, Content

PART_BYTES = 16 * 2**20
"""Objects up to this size go in one request, larger ones in parts of it (10,000 parts at most: 160 GB)."""
TRIES = 3
ABANDONED_AFTER = timedelta(hours=24)
"""No upload takes so long: what is older was left by a killed writer."""


LIMITED = (429, 503)
"""Too many requests, in HTTP's words and in S3's (Slow Down). An answer to HEAD has no body that tells more."""


class Busy(RateLimited, OSError):
    """The object storage wants fewer requests than we send: we go on when it allows."""


class S3ObjectStorage(S3Storage):  # type: ignore[misc]
    """One bucket, or a prefix of one. Options: bucket_name, location, endpoint_url, region_name.

    The credentials come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, a profile or the machine's
    role). Every failure is an OSError: FileNotFoundError, FileExistsError, or one that another try may cure.
    """

    def __init__(self, **options: Any) -> None:
        options.setdefault("file_overwrite", False)
        options.setdefault("client_config", _client_config(options.get("endpoint_url")))
        super().__init__(**options)
        self._process = os.getpid()

    @property
    def client(self) -> Any:
        """This thread's client. A forked process makes its own: it must not speak through its parent's sockets."""
        if self._process != os.getpid():
            self._connections = threading.local()
            self._process = os.getpid()
        return self.connection.meta.client

    def _key(self, name: str) -> str:
        return str(self._normalize_name(name))

    def put_if_absent(self, name: str, content: Content) -> None:
        if self.exists(name):
            raise FileExistsError(f"{name} is taken")
        target = {"Bucket": self.bucket_name, "Key": self._key(name)}
        content.seek(0)
        head = content.read(PART_BYTES)
        more = content.read(1)
        with _told(name):
            if more:
                self._put_parts(target, head, more, content)
            else:
                self._unless_taken(name, self.client.put_object, **target, Body=head)

    def _put_parts(self, target: dict[str, str], head: bytes, more: bytes, content: Content) -> None:
        upload = {**target, "UploadId": self.client.create_multipart_upload(**target)["UploadId"]}
        try:
            parts: list[dict[str, Any]] = []
            while head:
                number = len(parts) + 1
                answer = self.client.upload_part(**upload, PartNumber=number, Body=head)
                parts.append({"ETag": answer["ETag"], "PartNumber": number})
                head = more + content.read(PART_BYTES - len(more))
                more = b""
            complete = self.client.complete_multipart_upload
            self._unless_taken(target["Key"], complete, **upload, MultipartUpload={"Parts": parts})
        except BaseException:
            with suppress(ClientError, BotoCoreError):
                self.client.abort_multipart_upload(**upload)
            raise

    def _unless_taken(self, name: str, request: Any, **values: Any) -> None:
        """Sends a write that the server refuses when the name is taken. A server that cannot do so is trusted with
        the look that was taken just before."""
        for again in reversed(range(TRIES)):
            try:
                request(**values, IfNoneMatch="*")
            except ClientError as error:
                status = _status(error)
                if status == 501 or error.response["Error"]["Code"] == "NotImplemented":
                    request(**values)
                elif status == 412:
                    raise FileExistsError(f"{name} is taken") from None
                elif status == 409 and again:
                    continue  # somebody writes the same name in this moment
                else:
                    raise
            return

    def _save(self, name: str, content: Any) -> str:
        while True:
            try:
                self.put_if_absent(name, content)
            except FileExistsError:
                name = self.get_available_name(name)
            else:
                return name

    def open(self, name: str, mode: str = "rb") -> S3Reader:
        if mode != "rb":
            raise ValueError("objects are opened for reading only")
        with _told(name):
            head = self.client.head_object(Bucket=self.bucket_name, Key=self._key(name))
        return S3Reader(self, name, self._key(name), head["ContentLength"], head["ETag"])

    def exists(self, name: str) -> bool:
        try:
            self.size(name)
        except FileNotFoundError:
            return False
        return True

    def size(self, name: str) -> int:
        with _told(name):
            return int(self.client.head_object(Bucket=self.bucket_name, Key=self._key(name))["ContentLength"])

    def delete(self, name: str) -> None:
        with _told(name):
            self.client.delete_object(Bucket=self.bucket_name, Key=self._key(name))

    def listdir(self, name: str) -> tuple[list[str], list[str]]:
        with _told(name):
            folders, files = super().listdir(name)
        return folders, files

    def names(self) -> Iterator[str]:
        return (name for name in self.names_below("") if not name.startswith(f"{PIECES}/"))

    def names_below(self, folder: str) -> Iterator[str]:
        home = self._key("").rstrip("/")
        prefix = f"{home}/" if home else ""
        below = f"{prefix}{folder}/" if folder else prefix
        with _told(below):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket_name, Prefix=below)
            for page in pages:
                for entry in page.get("Contents", ()):
                    yield entry["Key"].removeprefix(prefix)

    def forget_folder(self, folder: str) -> None:
        """There are no folders in a bucket."""

    def sweep_parts(self) -> int:
        limit = datetime.now(UTC) - ABANDONED_AFTER
        gone = 0
        with _told("uploads"):
            pages = self.client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.bucket_name, Prefix=self._key("")
            )
            for page in pages:
                for upload in page.get("Uploads", ()):
                    if upload["Initiated"] < limit:
                        self.client.abort_multipart_upload(
                            Bucket=self.bucket_name, Key=upload["Key"], UploadId=upload["UploadId"]
                        )
                        gone += 1
        return gone


class S3Reader(io.RawIOBase):
    """An object as a file: one request from wherever reading begins, nothing kept in memory."""

    def __init__(self, storage: S3ObjectStorage, name: str, key: str, size_bytes: int, etag: str) -> None:
        self._storage = storage
        self._name = name
        self._key = key
        self.size = size_bytes
        self._etag = etag
        self._at = 0
        self._body: Any = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        at = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence] + offset
        if at < 0:
            raise ValueError(f"negative position {at}")
        if at != self._at:
            self._drop()
            self._at = at
        return at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self.size - self._at)
        wanted = left if size is None or size < 0 else min(size, left)
        if not wanted:
            return b""
        with _told(self._name):
            if self._body is None:
                self._body = self._storage.client.get_object(
                    Bucket=self._storage.bucket_name, Key=self._key, Range=f"bytes={self._at}-", IfMatch=self._etag
                )["Body"]
            chunk: bytes = self._body.read(wanted)
        if not chunk:
            raise OSError(f"{self._name}: the object storage broke off at byte {self._at} of {self.size}")
        self._at += len(chunk)
        return chunk

    def readinto(self, buffer: Any) -> int:
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        self._drop()
        super().close()

    def _drop(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None


def _client_config(endpoint_url: str | None) -> Config:
    """Bounded waits and a few tries. Servers other than Amazon's are spoken to in the oldest dialect they all know."""
    bounds = {"connect_timeout": 5, "read_timeout": 30, "retries": {"mode": "standard", "max_attempts": 4}}
    if endpoint_url is None:
        return Config(**bounds)
    return Config(
        **bounds,
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def _status(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Turns the client's errors into OSErrors that name the object and hold no request, header or credential."""
    try:
        yield
    except ClientError as error:
        if _status(error) == 404:
            raise FileNotFoundError(f"{name} is not in the object storage") from None
        code = error.response["Error"]["Code"]
        if _status(error) in LIMITED:
            asked = retry_after_seconds(error.response["ResponseMetadata"].get("HTTPHeaders", {}))
            words = f"{name}: the object storage takes no more requests for the moment ({_status(error)})"
            raise Busy(words, retry_after_seconds=asked) from None
        raise OSError(f"{name}: the object storage refused {error.operation_name} ({_status(error)} {code})") from None
    except BotoCoreError as error:
        raise OSError(f"{name}: the object storage does not answer ({type(error).__name__})") from None
