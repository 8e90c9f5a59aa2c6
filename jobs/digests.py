"""The daily digest: one mail a team with what people asked for, after DIGEST_HOUR in the team's time zone."""

from __future__ import annotations

from datetime import date
from itertools import groupby
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from jobs import clock
from jobs.models import Delivery, MailSwitch, Membership, Notice, Team
from jobs.models.notice import DIGEST
from jobs.telling import address_of

MOST_LISTED = 100


def write_due() -> int:
    """Writes the digests that are due into the outbox. Returns how many mails. Any number of machines may look."""
    now = clock.now()
    waiting = Notice.objects.filter(for_digest=True).order_by().values("team_id")
    due = [
        (team, now.astimezone(team.zone).date())
        for team in Team.objects.filter(pk__in=waiting)
        if now.astimezone(team.zone).hour >= settings.DIGEST_HOUR
    ]
    return sum(_write(team, day) for team, day in due)


@transaction.atomic
def _write(team: Team, day: date) -> int:
    """The team's digests of that day. The one who changes the day writes them; everybody else finds it changed."""
    not_yet = Q(digested_on=None) | Q(digested_on__lt=day)
    if not Team.objects.filter(not_yet, pk=team.pk).update(digested_on=day):
        return 0
    kept = Notice.objects.kept().filter(team=team, for_digest=True).select_for_update(no_key=True)
    notices = list(kept.order_by("user_id", "-told_at", "-id"))
    addresses = _addresses(team)
    rows = [
        _delivery(team, addresses[user], list(found))
        for user, found in groupby(notices, key=lambda notice: notice.user_id)
        if user in addresses
    ]
    Delivery.objects.bulk_create(rows)
    Notice.objects.filter(pk__in=[notice.pk for notice in notices]).update(for_digest=False)
    return len(rows)


def _addresses(team: Team) -> dict[int, str]:
    """Those who may still be told: members with an address, while the team's mail is on."""
    if not MailSwitch.objects.filter(team=team, active=True).exists():
        return {}
    members = Membership.objects.filter(team=team).values("user_id")
    people = User.objects.filter(pk__in=members, is_active=True).exclude(email="")
    return dict(people.values_list("pk", "email"))


def _delivery(team: Team, address: str, notices: list[Notice]) -> Delivery:
    data: dict[str, Any] = {
        "team": team.slug,
        "notices": [_line(notice) for notice in notices[:MOST_LISTED]],
        "more": max(0, len(notices) - MOST_LISTED),
    }
    return Delivery(
        team=team,
        name=DIGEST,
        channel=Delivery.EMAIL,
        recipient=address,
        lane=Delivery.EMAIL,
        payload={"type": DIGEST, "timestamp": clock.now().isoformat(), "data": data},
        available_at=Now(),
    )


def _line(notice: Notice) -> dict[str, Any]:
    single = notice.times == 1
    return {
        "title": notice.title,
        "batch": notice.facts["batch"]["name"] if "batch" in notice.facts else notice.facts["what"],
        "job": notice.facts["job"]["job_id"] if single and "job" in notice.facts else "",
        "url": address_of(notice.job_id if single else None, notice.batch_id, notice.name),
    }
