"""review.figures and review.charts: the numbers by hand-made histories, the page by who may see what."""

from __future__ import annotations

from datetime import timedelta
from xml.etree import ElementTree

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from jobs.models import Event, StageRun
from jobs.states import Stage, State
from review import figures as module
from review.charts import draw, shown
from review.figures import Figure, Series, figures
from tests.people import make_job

pytestmark = pytest.mark.django_db

S = State


def history(job, *moves, ago=timedelta(0)):
    """Moves as (seconds after the first, verb, stage, from state, to state, actor)."""
    start = timezone.now() - ago - timedelta(seconds=max(move[0] for move in moves))
    for version, (seconds, verb, stage, before, after, *actor) in enumerate(moves, start=1):
        Event.objects.create(
            team=job.team,
            batch=job.batch,
            job=job,
            version=version,
            verb=verb,
            actor=actor[0] if actor else None,
            from_stage=stage,
            from_state=before,
            to_stage=stage,
            to_state=after,
            at=start + timedelta(seconds=seconds),
        )


def noon_of_yesterday():
    """How long ago it was: no midnight comes between moves around it."""
    noon = timezone.localtime(timezone.now() - timedelta(days=1)).replace(hour=12, minute=0)
    return timezone.now() - noon


def named(user, days=7):
    return {figure.key: figure for figure in figures(user, days).figures}


def values(figure):
    return {series.name: dict(zip(figure.labels, series.values, strict=True)) for series in figure.series}


def test_times_and_waits_come_from_the_history(people, batch):
    job = make_job(batch, Stage.MATCHING, S.IN_REVIEW)
    history(
        job,
        (0, "start", Stage.INGESTION, S.PENDING, S.QUEUED, people.olga),
        (5, "claim", Stage.INGESTION, S.QUEUED, S.RUNNING),
        (15, "ingest", Stage.INGESTION, S.RUNNING, S.QUEUED),
        (18, "claim", Stage.MATCHING, S.QUEUED, S.RUNNING),
        (20, "prepare", Stage.MATCHING, S.RUNNING, S.IN_REVIEW),
        (60, "amend", Stage.MATCHING, S.IN_REVIEW, S.IN_REVIEW, people.rita),
        (80, "approve_matches", Stage.MATCHING, S.IN_REVIEW, S.QUEUED, people.rita),
    )
    found = named(people.vera)
    assert values(found["time-per-stage"])["Half are done within"] == {
        "Ingestion": 10,
        "Matching": 2,
        "Preview": None,
        "Delivery": None,
    }
    waits = values(found["waits"])
    assert (waits["For a worker"]["Ingestion"], waits["For a worker"]["Matching"]) == (5, 3)
    assert waits["For a person"]["Matching"] == 60, "an amended match is one wait, not two"
    assert values(found["load"])["Decided"] == {"rita": 1}


def test_outcomes_count_a_job_once_a_day(people, batch):
    job = make_job(batch, Stage.PREVIEW, S.FAILED)
    history(
        job,
        (0, "fail", Stage.PREVIEW, S.RUNNING, S.FAILED),
        (1, "retry", Stage.PREVIEW, S.FAILED, S.QUEUED),
        (2, "fail", Stage.PREVIEW, S.RUNNING, S.FAILED),
        (3, "cancel", Stage.PREVIEW, S.FAILED, S.CANCELLED),
        ago=noon_of_yesterday(),
    )
    old = make_job(batch, Stage.DELIVERY, S.DONE)
    history(old, (0, "deploy", Stage.DELIVERY, S.RUNNING, S.DONE), ago=timedelta(days=3))
    older = make_job(batch, Stage.DELIVERY, S.DONE)
    history(older, (0, "deploy", Stage.DELIVERY, S.RUNNING, S.DONE), ago=timedelta(days=20))
    week = values(named(people.vera)["jobs-per-day"])
    assert {name: sum(days.values()) for name, days in week.items()} == {"Completed": 1, "Failed": 1, "Cancelled": 1}
    assert len(week["Completed"]) == 7
    month = values(named(people.vera, 30)["jobs-per-day"])
    assert sum(month["Completed"].values()) == 2


def test_nine_of_ten_is_the_nearest_rank():
    assert module._nine_of_ten([7.0]) == 7
    assert module._nine_of_ten([float(n) for n in range(1, 11)]) == 9
    assert module._nine_of_ten([float(n) for n in range(1, 12)]) == 10


def test_load_and_causes_show_what_is_open(people, batch):
    make_job(batch, Stage.MATCHING, S.IN_REVIEW, assignee=people.rita)
    make_job(batch, Stage.MATCHING, S.IN_REVIEW, assignee=people.rita)
    make_job(batch, Stage.MATCHING, S.RUNNING, assignee=people.rita)
    failed = make_job(batch, Stage.PREVIEW, S.FAILED)
    StageRun.objects.create(
        job=failed, stage=Stage.PREVIEW, input_hash="x", state=StageRun.FAILED, error="Font <b>X</b>\nmore"
    )
    found = named(people.vera)
    assert values(found["load"])["Waiting now"] == {"rita": 2}
    assert found["causes"].labels == ("Preview: Font <b>X</b>",)
    assert "<b>X</b>" not in draw(found["causes"])


def test_another_team_sees_nothing_of_it(people, batch):
    job = make_job(batch, Stage.MATCHING, S.IN_REVIEW, assignee=people.rita)
    history(job, (0, "deploy", Stage.DELIVERY, S.RUNNING, S.DONE), (1, "requeue", Stage.DELIVERY, S.DONE, S.QUEUED))
    assert all(figure.is_empty for figure in named(people.oscar).values())
    assert not all(figure.is_empty for figure in named(people.vera).values())


def test_too_long_a_history_is_cut_and_says_so(people, batch, monkeypatch, client):
    monkeypatch.setattr(module, "MOST_MOVES", 2)
    job = make_job(batch)
    history(job, *((n, "hold", Stage.INGESTION, S.PENDING, S.ON_HOLD) for n in range(3)))
    found = figures(people.vera, 7)
    assert found.cut_at == Event.objects.order_by("-id")[1].at
    client.force_login(people.vera)
    assert "Much happened" in client.get(reverse("admin:dashboard_charts")).content.decode()


def test_the_answer_has_every_chart_with_its_table(client, people, batch):
    job = make_job(batch, Stage.DELIVERY, S.DONE)
    history(job, (0, "claim", Stage.DELIVERY, S.QUEUED, S.RUNNING), (4, "deploy", Stage.DELIVERY, S.RUNNING, S.DONE))
    client.force_login(people.vera)
    with CaptureQueriesContext(connection) as queries:
        html = client.get(reverse("admin:dashboard_charts"), {"days": "30"}).content.decode()
    for key in ("jobs-per-day", "time-per-stage", "waits", "load", "causes"):
        assert f'id="chart-{key}"' in html
    assert ">4 s</td>" in html
    assert "The last 30 days" in html
    assert "<script" not in html
    assert len(queries) <= 10


@pytest.mark.parametrize("days", ["", "0", "-1", "8", "x", "7" * 50, "٧"])
def test_an_odd_period_is_the_first(client, people, days):
    client.force_login(people.vera)
    assert "The last 7 days" in client.get(reverse("admin:dashboard_charts"), {"days": days}).content.decode()


def test_strangers_are_led_to_the_login(client, people):
    assert client.get(reverse("admin:dashboard_charts")).status_code == 302
    client.force_login(people.nobody)
    assert client.get(reverse("admin:dashboard_charts")).status_code in (302, 403)
    client.force_login(people.vera)
    assert client.post(reverse("admin:dashboard_charts")).status_code == 405


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (None, "seconds", "–"),
        (0, "seconds", "0 s"),
        (4.25, "seconds", "4.25 s"),
        (59.9, "seconds", "59.9 s"),
        (60, "seconds", "1 min"),
        (5400, "seconds", "1.5 h"),
        (200_000, "seconds", "2.31 d"),
        (12_345, "jobs", "12,345"),
        (0, "jobs", "0"),
    ],
)
def test_values_in_words(value, unit, words):
    assert shown(value, unit) == words


@pytest.mark.parametrize(
    ("unit", "longest", "words"),
    [
        ("jobs", 1, ["0", "1"]),
        ("jobs", 13, ["0", "5", "10", "15"]),
        ("jobs", 70_000, ["0", "20,000", "40,000", "60,000", "80,000"]),
        ("seconds", 3.4, ["0 s", "1 s", "2 s", "3 s", "4 s"]),
        ("seconds", 48, ["0 s", "15 s", "30 s", "45 s", "1 min"]),
        ("seconds", 386, ["0 s", "2 min", "4 min", "6 min", "8 min"]),
        ("seconds", 11_000, ["0 s", "1 h", "2 h", "3 h"]),
        ("seconds", 1_500_000, ["0 s", "5 d", "10 d", "15 d", "20 d"]),
    ],
)
def test_an_axis_is_marked_at_even_steps(unit, longest, words):
    series = (Series(name="s", colour="ok", values=(longest, 1)),)
    figure = Figure(
        key="k", title="t", note="n", first_column="c", unit=unit, kind="bars", labels=("a", "b"), series=series
    )
    svg = ElementTree.fromstring(draw(figure))
    axis = next(part for part in svg.iter() if part.get("class") == "axis x")
    assert [text.text for text in axis.iter() if text.tag.endswith("text")] == words


@pytest.mark.parametrize("kind", ["days", "bars"])
def test_a_drawing_is_one_svg_whatever_the_labels(kind):
    figure = Figure(
        key="k",
        title="t",
        note="n",
        first_column="c",
        unit="jobs",
        kind=kind,
        stacked=kind == "days",
        labels=("<script>alert(1)</script>", "名前" * 40, "", "a"),
        series=(Series(name="<i>", colour="ok", values=(1, None, 0, 1_000_000)),),
    )
    svg = draw(figure)
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert "<script" not in svg
    assert "<style" not in svg
    assert "style=" not in svg
    assert "chart-key-ok" in svg
