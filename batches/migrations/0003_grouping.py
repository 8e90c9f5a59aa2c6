"""Prefix, day, number and directory of a batch; external ids; archived and deleted batches.

Batches that are there get a prefix from their files and numbers in the order in which they were opened. They keep
their names.
"""

from collections import Counter
from zoneinfo import ZoneInfo

from django.db import migrations, models

from batches.prefix import prefix_for


def number_batches(apps, schema_editor):
    Batch = apps.get_model("batches", "Batch")
    Job = apps.get_model("jobs", "Job")
    last = Counter()
    for batch in Batch.objects.select_related("team").order_by("id").iterator():
        rows = list(Job.objects.filter(batch=batch).values_list("psd_path", "client_name"))
        batch.prefix = prefix_for([design for design, _ in rows], [client for _, client in rows])
        batch.day = batch.created_at.astimezone(ZoneInfo(batch.team.time_zone)).date()
        last[batch.team_id, batch.prefix, batch.day] += 1
        batch.number = last[batch.team_id, batch.prefix, batch.day]
        batch.directory_name = f"{batch.prefix}_{batch.day:%Y-%m-%d}_batch-{batch.number}"
        batch.save(update_fields=["prefix", "day", "number", "directory_name"])


class Migration(migrations.Migration):
    dependencies = [("batches", "0002_initial"), ("jobs", "0013_team_time_zone")]

    operations = [
        migrations.AddField("batch", "prefix", models.CharField(default="BATCH", max_length=40)),
        migrations.AddField("batch", "day", models.DateField(editable=False, null=True)),
        migrations.AddField("batch", "number", models.PositiveIntegerField(editable=False, null=True)),
        migrations.AddField(
            "batch", "directory_name", models.CharField(default="", editable=False, max_length=80), preserve_default=False
        ),
        migrations.AddField("batch", "description", models.CharField(blank=True, max_length=500)),
        migrations.AddField("batch", "archived_at", models.DateTimeField(blank=True, editable=False, null=True)),
        migrations.AddField("batch", "deleted_at", models.DateTimeField(blank=True, editable=False, null=True)),
        migrations.RunPython(number_batches, migrations.RunPython.noop),
        migrations.AlterField("batch", "day", models.DateField(editable=False)),
        migrations.AlterField("batch", "number", models.PositiveIntegerField(editable=False)),
        migrations.CreateModel(
            name="ExternalId",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=60)),
                ("value", models.CharField(max_length=500)),
                (
                    "batch",
                    models.ForeignKey(
                        on_delete=models.deletion.CASCADE, related_name="external_ids", to="batches.batch"
                    ),
                ),
            ],
            options={"ordering": ["key"]},
        ),
        migrations.AddConstraint(
            "batch",
            models.UniqueConstraint(fields=("team", "prefix", "day", "number"), name="one_batch_per_number"),
        ),
        migrations.AddConstraint(
            "batch",
            models.UniqueConstraint(fields=("team", "directory_name"), name="one_batch_per_directory"),
        ),
        migrations.AddIndex(
            "batch",
            models.Index(condition=models.Q(("deleted_at__isnull", False)), fields=["id"], name="batch_deleted"),
        ),
        migrations.AddConstraint(
            "externalid", models.UniqueConstraint(fields=("batch", "key"), name="one_external_id_per_key")
        ),
        migrations.AddIndex("externalid", models.Index(fields=["key", "value"], name="external_id_by_value")),
    ]
