"""Which picture stands for a job in a list."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from batches.models import Batch
from jobs.pictures import pictures_of
from jobs.states import Stage
from tests.people import make_job
from tests.review.builders import add_asset


def test_the_poster_comes_before_the_design_and_the_newest_before_the_older(
    batch: Batch, django_assert_num_queries: Any
) -> None:
    filmed, drawn, bare = make_job(batch), make_job(batch), make_job(batch)
    add_asset(filmed, Stage.PREVIEW, "poster", "old.jpg")
    poster = add_asset(filmed, Stage.PREVIEW, "poster", "poster.jpg")
    add_asset(filmed, Stage.MATCHING, "composite_preview", "design.png")
    design = add_asset(drawn, Stage.MATCHING, "composite_preview", "design.png")
    add_asset(drawn, Stage.MATCHING, "layer_preview", "layer.png")
    with django_assert_num_queries(1):
        assert pictures_of([filmed, drawn, bare]) == {filmed.pk: poster.pk, drawn.pk: design.pk}
    with django_assert_num_queries(0):
        assert pictures_of([]) == {}


def test_a_picture_that_retention_removed_is_none(batch: Batch) -> None:
    job = make_job(batch)
    design = add_asset(job, Stage.MATCHING, "composite_preview", "design.png")
    poster = add_asset(job, Stage.PREVIEW, "poster", "poster.jpg")
    poster.removed_at = timezone.now()
    poster.save()
    assert pictures_of([job]) == {job.pk: design.pk}
