"""What machines ask us: whether we live, whether we can serve, and what Prometheus collects."""

from __future__ import annotations

import hmac
import logging
import math
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import Error as DatabaseTrouble
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from jobs.metrics import CONTENT_TYPE, exposition

STORAGE_SECONDS = 10.0
"""A probe writes no more often than this, however often it is asked."""
PATIENCE_SECONDS = 5.0
"""So long a probe waits for the storage, whose client tries again for minutes: the next probe comes before that."""

logger = logging.getLogger(__name__)


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers. Says nothing of the database: restarting us would not cure it."""
    return HttpResponse("ok", content_type="text/plain; charset=utf-8")


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when requests can be served, else 503 with what is missing. Details stay in the log."""
    checks: dict[str, Callable[[], None]] = {
        "database": _check_database,
        "migrations": _check_migrations,
        "storage": _check_storage,
    }
    answers = {name: _answer(name, check) for name, check in checks.items()}
    ready = all(answer == "ok" for answer in answers.values())
    return JsonResponse(answers, status=200 if ready else 503)


def _answer(name: str, check: Callable[[], None]) -> str:
    try:
        check()
    except Exception as error:
        logger.warning("not ready: %s: %s: %s", name, type(error).__name__, error)
        # Whatever a database, a migration or a storage raises means the same here: not ready.
        return type(error).__name__
    return "ok"


def _check_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _check_migrations() -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise MigrationsMissing


class MigrationsMissing(Exception):
    """The database is older than the code."""


class StorageProbe:
    """Writes to both storages, in a thread of its own: a storage that hangs holds up that thread, not each request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._good_at = -math.inf
        self.under_way: Future[None] | None = None

    def check(self) -> None:
        """Raises what the storage raised, and TimeoutError when it takes longer than PATIENCE_SECONDS."""
        with self._lock:
            if time.monotonic() - self._good_at < STORAGE_SECONDS:
                return
            if self.under_way is None or self.under_way.done():
                self.under_way = Future()
                threading.Thread(target=self._write, args=(self.under_way,), daemon=True).start()
            under_way = self.under_way
        under_way.result(PATIENCE_SECONDS)

    def _write(self, under_way: Future[None]) -> None:
        try:
            for alias in ("default", "outputs"):
                storage = storages[alias]
                storage.delete(storage.save(f"probes/{uuid.uuid4().hex}", ContentFile(b"ready?")))
        except Exception as error:
            under_way.set_exception(error)
        else:
            self._good_at = time.monotonic()
            under_way.set_result(None)


_storage = StorageProbe()


def _check_storage() -> None:
    _storage.check()


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """For superusers, and for whoever sends METRICS_TOKEN as a bearer token; closed to everybody else."""
    if not (_has_token(request) or getattr(request.user, "is_superuser", False)):
        return HttpResponseForbidden("Send METRICS_TOKEN as bearer token.", content_type="text/plain; charset=utf-8")
    try:
        return HttpResponse(exposition(), content_type=CONTENT_TYPE)
    except DatabaseTrouble as error:
        logger.warning("no metrics: %s: %s", type(error).__name__, error)
        return HttpResponse("The database does not answer.", status=503, content_type="text/plain; charset=utf-8")


def _has_token(request: HttpRequest) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    expected: str = settings.METRICS_TOKEN
    return bool(expected) and scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), expected.encode())
