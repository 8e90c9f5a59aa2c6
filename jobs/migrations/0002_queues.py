import jobs.models
from django.db import migrations, models


def give_video_to_the_heavy_queue(apps, schema_editor):
    apps.get_model("jobs", "StageRun").objects.filter(stage=3).update(queue="heavy")


class Migration(migrations.Migration):

    dependencies = [
        ("jobs", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="stagerun",
            name="queue",
            field=models.CharField(choices=jobs.models.queue_choices, default="light", max_length=10),
        ),
        migrations.RunPython(give_video_to_the_heavy_queue, migrations.RunPython.noop),
    ]
