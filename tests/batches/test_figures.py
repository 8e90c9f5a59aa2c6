"""batches.figures: what a list shows of a batch's work"""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings

from batches.figures import SEGMENTS, Figures, attach, figures_of
from batches.models import Batch
from jobs.models import Asset
from jobs.states import Stage, State
from tests.people import make_job


def design(team, size):
    return Asset.objects.create(team=team, kind="psd", name="a.psd", size_bytes=size)


@pytest.mark.parametrize(
    ("places", "percent"),
    [
        ([], 100),
        ([(Stage.INGESTION, State.PENDING)], 0),
        ([(Stage.MATCHING, State.RUNNING)], 25),
        ([(Stage.MATCHING, State.IN_REVIEW)], 25),
        ([(Stage.PREVIEW, State.FAILED)], 50),
        ([(Stage.DELIVERY, State.DONE)], 100),
        ([(Stage.DELIVERY, State.DONE), (Stage.INGESTION, State.CANCELLED)], 100),
        ([(Stage.INGESTION, State.CANCELLED)], 100),
        ([(Stage.DELIVERY, State.DONE), (Stage.INGESTION, State.PENDING)], 50),
    ],
)
def test_percent_done_counts_the_stages_behind(places, percent):
    assert Figures(jobs=dict.fromkeys(places, 3)).percent == percent


@pytest.mark.parametrize(
    ("jobs", "words", "bar"),
    [
        ({}, "100 % · 0 of 0 completed", ""),
        ({(Stage.INGESTION, State.PENDING): 3}, "0 % · 0 of 3 completed", "3 pending 0.000 100.000"),
        (
            {
                (Stage.DELIVERY, State.DONE): 1_000,
                (Stage.MATCHING, State.IN_REVIEW): 500,
                (Stage.PREVIEW, State.FAILED): 500,
            },
            "{percent} % · 1,000 of 2,000 completed, 500 in review, 500 failed",
            "1,000 completed 0.000 50.000, 500 in review 50.000 25.000, 500 failed 75.000 25.000",
        ),
        (
            {(Stage.INGESTION, State.ON_HOLD): 1, (Stage.INGESTION, State.CANCELLED): 2},
            "0 % · 0 of 3 completed",
            "1 on hold 0.000 33.333, 2 cancelled 33.333 66.667",
        ),
    ],
)
def test_the_bar_and_its_words(jobs, words, bar):
    figures = Figures(jobs=jobs)
    assert figures.words == words.format(percent=round(figures.percent))
    assert ", ".join(f"{segment} {segment.start} {segment.width}" for segment in figures.segments) == bar


def test_every_part_of_the_bar_has_a_colour():
    css = (Path(settings.BASE_DIR) / "static" / "aeproject.css").read_text()
    assert all(f".bar-{name} {{ fill: " in css for name in SEGMENTS)


def test_figures_of_many_batches_take_one_query(people, blue, batch, django_assert_num_queries):
    make_job(batch, psd=design(blue, 1000))
    make_job(batch, Stage.DELIVERY, State.DONE, psd=design(blue, 500), bytes_out=70)
    empty = Batch.objects.create(team=blue, name="Empty", created_by=people.olga)
    with django_assert_num_queries(1):
        attach([batch, empty])
    assert (batch.figures.bytes_in, batch.figures.bytes_out, batch.figures.total) == (1500, 70, 2)
    assert batch.counts["pending"] == batch.counts["completed"] == 1
    assert (empty.figures.total, empty.state, empty.figures.segments) == (0, "queued", ())


def test_the_key_changes_with_the_figures(batch):
    job = make_job(batch)
    before = figures_of([batch.pk])[batch.pk].key
    assert figures_of([batch.pk])[batch.pk].key == before
    type(job).objects.filter(pk=job.pk).update(bytes_out=1)
    assert figures_of([batch.pk])[batch.pk].key != before
