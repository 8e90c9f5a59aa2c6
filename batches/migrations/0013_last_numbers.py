"""The last number given of each prefix and day. Names that batches once had count too: the history tells them."""

import re

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Max

NAME = re.compile(r"(.+)_(\d{4}-\d\d-\d\d)_batch-(\d+)")


def fill(apps, schema_editor):
    last = {}
    Batch = apps.get_model("batches", "Batch")
    highest = Batch.objects.order_by().values_list("team", "prefix", "day").annotate(Max("number"))
    for team, prefix, day, number in highest.iterator():
        last[team, prefix, day.isoformat()] = number
    amended = apps.get_model("jobs", "Event").objects.filter(verb="amend_batch").order_by()
    for team, data in amended.values_list("team", "data").iterator():
        for name in data.get("directory_name", ()):
            if found := NAME.fullmatch(name):
                prefix, day, number = found.groups()
                last[team, prefix, day] = max(last.get((team, prefix, day), 0), int(number))
    LastNumber = apps.get_model("batches", "LastNumber")
    LastNumber.objects.bulk_create(
        (
            LastNumber(team_id=team, prefix=prefix, day=day, number=number)
            for (team, prefix, day), number in last.items()
        ),
        batch_size=1000,
    )


class Migration(migrations.Migration):
    dependencies = [("batches", "0012_contents_of_sheets"), ("jobs", "0026_the_databases_time")]

    operations = [
        migrations.CreateModel(
            name="LastNumber",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("prefix", models.CharField(max_length=40)),
                ("day", models.DateField()),
                ("number", models.PositiveIntegerField(default=0)),
                (
                    "team",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="jobs.team"
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            "lastnumber",
            models.UniqueConstraint(fields=("team", "prefix", "day"), name="one_last_number_per_prefix_and_day"),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
