from django.db import migrations, models

import jobs.models.team


class Migration(migrations.Migration):
    dependencies = [("jobs", "0012_sent_files")]

    operations = [
        migrations.AddField(
            model_name="team",
            name="time_zone",
            field=models.CharField(
                default=jobs.models.team.default_time_zone,
                help_text="By which the team's days begin, as in Europe/Warsaw.",
                max_length=64,
                validators=[jobs.models.team.check_time_zone],
            ),
        ),
    ]
