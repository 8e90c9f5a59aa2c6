"""An S3 server in this process, for the tests that want one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from botocore.config import Config
from django.core.files.storage import storages

BUCKET = "files"


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@contextmanager
def refusing(settings: Any, status: int, **headers: str) -> Iterator[None]:
    """A server in the place of the storages' own that answers everything so."""

    class Handler(BaseHTTPRequestHandler):
        def refuse(self) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()

        do_HEAD = do_GET = do_PUT = refuse

        def log_message(self, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    there = settings.STORAGES
    asked_once = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    instead = {"endpoint_url": f"http://127.0.0.1:{server.server_port}", "client_config": asked_once}
    ours = ("default", "outputs", "heads")
    settings.STORAGES = {
        **there,
        **{name: {**there[name], "OPTIONS": {**there[name]["OPTIONS"], **instead}} for name in ours},
    }
    try:
        yield
    finally:
        settings.STORAGES = there
        server.shutdown()
        server.server_close()


@pytest.fixture
def s3(s3_endpoint: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """All storages lie in one empty bucket. Gives the client to look into it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-ours")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    client = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    common = {"bucket_name": BUCKET, "endpoint_url": s3_endpoint, "region_name": "us-east-1"}
    backend = "jobs.object_storage.S3ObjectStorage"
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": backend, "OPTIONS": {**common, "location": "store"}},
        "outputs": {"BACKEND": backend, "OPTIONS": {**common, "location": "output"}},
        "heads": {"BACKEND": backend, "OPTIONS": {**common, "location": "heads"}},
    }
    assert storages["default"].location == "store"
    yield client
    for upload in client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ()):
        client.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
    for entry in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        client.delete_object(Bucket=BUCKET, Key=entry["Key"])
    client.delete_bucket(Bucket=BUCKET)
