"""jobs.durability: a commit that does not wait for the disk, and only that one."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.db import connection, transaction

from jobs.compiled import Delete, given
from jobs.durability import SoonOnDisk
from jobs.models import Team

IS_SQLITE = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
GONE = Delete(lambda: Team.objects.filter(SoonOnDisk(), slug=given(Team, "slug")))


def waits() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        return str(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(IS_SQLITE, reason="SQLite's commits never wait")
def test_only_a_commit_of_rows_that_met_it_does_not_wait():
    for slug in ("one", "two"):
        Team.objects.create(name=slug, slug=slug)
    assert waits() == "on"
    with transaction.atomic():
        assert GONE(slug="nobody") == 0
        assert waits() == "on"
        assert GONE(slug="one") == 1
        assert waits() == "off"
    assert waits() == "on"
    assert GONE(slug="two") == 1
    assert waits() == "on"


@pytest.mark.django_db(transaction=True)
def test_it_chooses_nothing():
    for slug in ("one", "two"):
        Team.objects.create(name=slug, slug=slug)
    assert Team.objects.filter(SoonOnDisk()).count() == 2
    assert GONE(slug="one") == 1
    assert [team.slug for team in Team.objects.all()] == ["two"]
