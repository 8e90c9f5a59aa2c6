"""A client of the API in one file, on Python's standard library: sends a sheet, starts its batch, waits, downloads.

python client.py http://localhost:8000 TOKEN demo-studio jobs.csv design.psd template.aepx
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

MOST_REMEMBERED = 100
"""Answers that are kept, to be told that they did not change."""


class Counts(TypedDict):
    total: int
    pending: int
    processing: int
    in_review: int
    on_hold: int
    failed: int
    completed: int
    cancelled: int


class Progress(TypedDict):
    id: int
    state: str
    percent: float
    counts: Counts


class ApiError(Exception):
    """What the API refused: ``status``, and ``problem``, which names the fields or has a ``detail``."""

    def __init__(self, status: int, problem: Any) -> None:
        super().__init__(f"{status}: {problem}")
        self.status, self.problem = status, problem


@dataclass
class Client:
    """Speaks for the owner of a token. Waits when it is told to (429) and repeats changes safely (Idempotency-Key)."""

    site: str
    token: str = ""
    patience_seconds: float = 60.0
    _seen: dict[str, tuple[str, Any]] = field(default_factory=dict)

    @classmethod
    def log_in(cls, site: str, username: str, password: str, **wishes: Any) -> Client:
        """With a new token for a password; ``wishes``: name, scopes, days."""
        client = cls(site)
        client.token = client.post("/api/token/", {"username": username, "password": password, **wishes})["token"]
        return client

    def get(self, path: str, **query: str | int) -> Any:
        """An answer. One that did not change since the last time (304) is not sent again."""
        address = f"{path}?{urlencode(query)}" if query else path
        etag, known = self._seen.pop(address, ("", None))
        status, headers, body = self._ask("GET", address, {"If-None-Match": etag} if etag else {})
        answer = known if status == 304 else json.loads(body)
        if "ETag" in headers:
            self._seen[address] = (headers["ETag"], answer)
        while len(self._seen) > MOST_REMEMBERED:
            del self._seen[next(iter(self._seen))]  # what was not asked for the longest
        return answer

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = json.dumps(body or {}).encode()
        return json.loads(self._ask("POST", path, {"Content-Type": "application/json", **_key()}, data)[2])

    def rows(self, path: str, **query: str | int) -> Iterator[dict[str, Any]]:
        """Every row of a list, page by page."""
        page = self.get(path, **query)
        yield from page["results"]
        while page["next"]:
            page = self.get(page["next"].removeprefix(self.site))
            yield from page["results"]

    def upload(self, team: str, sheet: Path, files: list[Path]) -> dict[str, Any]:
        """Sends a sheet with its files. Returns the preview, with a verdict on every row."""
        boundary = uuid.uuid4().hex
        parts = [("sheet", sheet), *(("files", file) for file in files)]
        body = f'--{boundary}\r\nContent-Disposition: form-data; name="team"\r\n\r\n{team}\r\n'.encode()
        for name, path in parts:
            disposition = f'Content-Disposition: form-data; name="{name}"; filename="{path.name}"'
            body += f"--{boundary}\r\n{disposition}\r\n\r\n".encode()
            body += path.read_bytes() + b"\r\n"
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", **_key()}
        preview: dict[str, Any] = json.loads(
            self._ask("POST", "/api/uploads/", headers, body + f"--{boundary}--\r\n".encode())[2]
        )
        return preview

    def wait(self, batch: int, *, until: tuple[str, ...], every_seconds: float = 2.0) -> Progress:
        """Asks how far the batch is until it is in one of the states."""
        while True:
            progress: Progress = self.get(f"/api/batches/{batch}/progress/")
            if progress["state"] in until:
                return progress
            time.sleep(every_seconds)

    def download(self, asset: dict[str, Any], folder: Path) -> Path:
        target = folder / Path(asset["name"]).name
        target.write_bytes(self._ask("GET", asset["download"].removeprefix(self.site), {})[2])
        return target

    def events(self, since: int = 0) -> Iterator[dict[str, Any]]:
        """What happened after the event with that number, each exactly once. Keep the last number for the next time."""
        return self.rows("/api/events/", since=since)

    def follow(self, bookmark: Path, *, every_seconds: float = 5.0) -> Iterator[dict[str, Any]]:
        """The history as it is written, without end, beginning after the number that the file ``bookmark`` holds.

        The bookmark moves when the next event is asked for: what was being worked on when the program died comes again.
        """
        since = int(bookmark.read_text()) if bookmark.exists() else 0
        while True:
            for event in self.events(since):
                yield event
                since = event["number"]
                bookmark.write_text(str(since))
            time.sleep(every_seconds)

    def _ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> tuple[int, Any, bytes]:
        credentials = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        request = Request(  # noqa: S310 - the site is ours
            self.site + path, body, {**credentials, **headers}, method=method
        )
        give_up = time.monotonic() + self.patience_seconds
        while True:
            try:
                with urlopen(request) as answer:  # noqa: S310 - as above
                    return answer.status, answer.headers, answer.read()
            except HTTPError as error:
                if error.code == 304:
                    return 304, error.headers, b""
                wait = float(error.headers.get("Retry-After", 1))
                if error.code not in {429, 503} or time.monotonic() + wait > give_up:
                    raise ApiError(error.code, _problem(error.read())) from None
            except OSError:  # the connection broke: with the same key nothing is done twice
                wait = 1.0
                if time.monotonic() + wait > give_up:
                    raise
            time.sleep(wait)


def _key() -> dict[str, str]:
    return {"Idempotency-Key": uuid.uuid4().hex}


def _problem(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def main(site: str, token: str, team: str, sheet: str, *files: str) -> int:
    client = Client(site, token)
    preview = client.upload(team, Path(sheet), [Path(file) for file in files])
    for row in preview["rows"]:
        for error in row["errors"]:
            print(f"line {row['line']}: {error['message']}")
    if not preview["good"]:
        return 1
    batch = client.post(f"/api/uploads/{preview['id']}/commit/", {"rows": "good"})
    client.post(f"/api/batches/{batch['id']}/start/")
    ends = ("awaiting_review", "completed", "completed_with_errors", "failed", "cancelled")
    progress = client.wait(batch["id"], until=ends)
    print(f"{batch['name']}: {progress['state']}, {progress['percent']} %")
    for job in client.rows("/api/jobs/", batch=batch["id"], fields="id,job_id,state"):
        print(f"{job['job_id']}: {job['state']}")
        for asset in client.rows(f"/api/jobs/{job['id']}/assets/"):
            if asset["kind"] == "final":
                print(client.download(asset, Path.cwd()))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
