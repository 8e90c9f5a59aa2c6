"""The sizes of a job's design and of what was deployed, and the index that a batch's figures are read from."""

from django.db import migrations, models
from django.db.models import OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce


def weigh_jobs(apps, schema_editor):
    Job = apps.get_model("jobs", "Job")
    Asset = apps.get_model("jobs", "Asset")
    design = Asset.objects.filter(pk=OuterRef("psd_id")).order_by().values("size_bytes")
    deployed = Asset.objects.filter(job=OuterRef("pk"), storage="outputs").order_by().values("job")
    deployed = deployed.annotate(bytes=Sum("size_bytes")).values("bytes")
    Job.objects.update(bytes_in=Coalesce(Subquery(design), 0), bytes_out=Coalesce(Subquery(deployed), 0))


class Migration(migrations.Migration):
    dependencies = [("jobs", "0017_retention")]

    operations = [
        migrations.AddField("job", "bytes_in", models.PositiveBigIntegerField(default=0, editable=False)),
        migrations.AddField("job", "bytes_out", models.PositiveBigIntegerField(default=0, editable=False)),
        migrations.RunPython(weigh_jobs, migrations.RunPython.noop),
        migrations.RemoveIndex("job", "job_by_batch"),
        migrations.AddIndex(
            "job",
            models.Index(
                fields=["batch", "state", "stage", "priority", "bytes_in", "bytes_out"], name="job_figures_by_batch"
            ),
        ),
        migrations.AddIndex("job", models.Index(fields=["team", "client_name", "batch"], name="job_by_client")),
        migrations.AddIndex(
            "stagerun",
            models.Index(
                condition=models.Q(("state", "done")), fields=["team", "stage", "id"], name="run_of_the_past"
            ),
        ),
    ]
