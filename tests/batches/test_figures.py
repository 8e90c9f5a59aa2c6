"""batches.figures: what a list shows of a batch's work"""

from __future__ import annotations

import pytest

from batches.figures import Figures, attach, figures_of
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
