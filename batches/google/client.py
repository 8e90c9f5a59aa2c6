"""What is in a Google Sheet."""

from __future__ import annotations

from django.conf import settings

from batches.google import account, api, public, transport
from batches.google.addresses import SheetAddress
from batches.google.snapshot import Snapshot
from batches.google.transport import Hold, within
from batches.intake.sheet import HEADER_WITHIN
from batches.intake.table import MOST_COLUMNS
from jobs.errors import Invalid


def read(address: SheetAddress, *, hold: Hold | None = None) -> Snapshot:
    """The cells of an address as people see them now.

    ``hold`` is called before every request; none takes longer than ``transport.SECONDS``, and none is begun after
    ``transport.READ_SECONDS``. Raises Invalid (field ``url``
    or ``range``; NotShared and KeyRefused among them) where a person must change something first, RateLimited where
    Google says when to come back, and Unreachable (an OSError) where it may work the next time.
    """
    hold = within(transport.READ_SECONDS, hold)
    snapshot = api.read(address, hold=hold) if account.is_set() else public.read(address, hold=hold)
    _check(snapshot)
    return snapshot


def service_account_email() -> str:
    """Whom a sheet must be shared with; empty when there is no service account, and sheets must be public."""
    return account.email()


def _check(snapshot: Snapshot) -> None:
    """Refuses what is more than a sheet may be."""
    most = settings.MAX_SHEET_ROWS + HEADER_WITHIN
    if len(snapshot.rows) > most and sum(any(row) for row in snapshot.rows) > most:
        raise Invalid(f"The sheet has more than {settings.MAX_SHEET_ROWS:,} rows.", field="range")
    widest = max((place + 1 for row in snapshot.rows for place, cell in enumerate(row) if cell), default=0)
    if widest > MOST_COLUMNS:
        raise Invalid(
            f"The sheet has {widest} columns; at most {MOST_COLUMNS} are allowed. Name a range, such as A:H.",
            field="range",
        )
