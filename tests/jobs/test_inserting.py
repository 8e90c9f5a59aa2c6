"""jobs.inserting: the rows are as bulk_create would have made them"""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from django.forms.models import model_to_dict

from jobs.inserting import insert_many
from jobs.models import Asset, Job

pytestmark = pytest.mark.django_db
VARYING = ("job_id", "output_name", "row_data", "notes", "psd_id")


def test_rows_are_as_bulk_create_makes_them(batch, blue):
    psd = Asset.objects.create(team=blue, kind="psd", name="a", storage_name="a", size_bytes=1)
    rows = [("A", "a.aep", {"Größe": "1 % '\""}, "%s 🎬", psd.pk), ("B", "b.aep", {}, "", None)]
    common = {"team": blue, "batch": batch, "psd_path": "a.psd", "project_path": "a.aepx"}
    insert_many(Job(**common), VARYING, rows)
    made = [model_to_dict(job, exclude=["id"]) for job in Job.objects.order_by("id")]
    moments = set(Job.objects.values_list("created_at", "moved_at"))
    Job.objects.all().delete()
    Job.objects.bulk_create([Job(**common, **dict(zip(VARYING, row, strict=True))) for row in rows])
    expected = [model_to_dict(job, exclude=["id"]) for job in Job.objects.order_by("id")]
    for one in (*made, *expected):
        assert one.pop("moved_at")
    assert made == expected
    assert len(moments) == 1


def test_no_rows_are_no_rows(batch):
    insert_many(Job(batch=batch, team=batch.team), ["job_id"], [])
    assert not Job.objects.exists()


def test_a_row_that_is_there_already_takes_all_of_them_back(batch):
    example = Job(batch=batch, team=batch.team, psd_path="a.psd", project_path="a.aepx")
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_many(example, ["job_id", "output_name"], [("A", "a.aep"), ("B", "b.aep"), ("A", "c.aep")])
    assert not Job.objects.exists()
