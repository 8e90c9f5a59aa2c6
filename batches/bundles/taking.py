"""Who takes a ZIP: the answer to a download, and the line that is written about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponseBase
from rest_framework.throttling import SimpleRateThrottle

from batches.bundles.models import Download, ShareLink
from batches.bundles.plan import plan
from batches.bundles.sending import Sending, answer
from batches.models import Batch
from jobs import clock
from jobs.models import Job

if TYPE_CHECKING:
    from django.contrib.auth.models import User

FORGOTTEN_AT_ONCE = 1000
UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


def take(
    request: HttpRequest,
    batch: Batch,
    job: Job | None,
    kinds: Sequence[str],
    *,
    user: User | None = None,
    link: ShareLink | None = None,
) -> HttpResponseBase:
    """The ZIP, or the part of it that was asked for; written down with what was sent. Raises Conflict."""

    def began(sending: Sending) -> Callable[[int], None]:
        download = Download.objects.create(
            team_id=batch.team_id,
            batch=batch,
            job=job,
            link=link,
            user=user,
            kinds=list(kinds),
            etag=sending.bundle.etag,
            size_bytes=sending.bundle.layout.size_bytes,
            first_byte=sending.start,
            address=address_of(request),
            agent=UNPRINTABLE.sub("?", request.headers.get("User-Agent", ""))[:200],
        )

        def sent(size_bytes: int) -> None:
            Download.objects.filter(pk=download.pk).update(sent_bytes=size_bytes, ended_at=clock.now())

        return sent

    return answer(request, plan(batch, job, kinds=kinds), began=began)


def forget_old() -> int:
    """Removes lines about downloads of more than DOWNLOAD_LOG_DAYS ago, a thousand at once. Returns how many."""
    old = Download.objects.filter(began_at__lt=Now() - timedelta(days=settings.DOWNLOAD_LOG_DAYS))
    keys = list(old.order_by("began_at").values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE])
    return Download.objects.filter(pk__in=keys).delete()[0]


class ByAddress(SimpleRateThrottle):
    """So many looks at links from one address: nobody tries tokens by the thousand."""

    scope = "share_address"
    rate = "60/min"

    def get_cache_key(self, request: HttpRequest, view: object) -> str:
        return self.cache_format % {"scope": self.scope, "ident": address_of(request)}


class FilmsByAddress(ByAddress):
    """Pictures and pieces of films: a page asks for many, and so does whoever winds a film on."""

    scope = "share_films"
    rate = "600/min"


def address_of(request: HttpRequest) -> str:
    """Where a request comes from, as far as the proxies before us can be believed."""
    ident = ByAddress().get_ident(request)  # type: ignore[arg-type]
    return UNPRINTABLE.sub("?", ident or "")[:64]
