import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


def take_from_the_job(apps, schema_editor):
    Job = apps.get_model("jobs", "Job")
    mine = Job.objects.filter(pk=models.OuterRef("job_id"))
    apps.get_model("jobs", "StageRun").objects.update(
        team_id=models.Subquery(mine.values("team_id")),
        batch_id=models.Subquery(mine.values("batch_id")),
        rank=models.F("priority"),
    )
    if schema_editor.connection.vendor == "postgresql":
        # The table is altered next; the checks of the new references must not be waiting then.
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")


class Migration(migrations.Migration):

    dependencies = [
        ('batches', '0002_initial'),
        ('jobs', '0002_queues'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Pause',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=40, unique=True)),
                ('reason', models.TextField(blank=True)),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='RequestWindow',
            fields=[
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='request_window', serialize=False, to=settings.AUTH_USER_MODEL)),
                ('stamps', models.JSONField(default=list)),
                ('version', models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name='TokenBucket',
            fields=[
                ('key', models.CharField(max_length=80, primary_key=True, serialize=False)),
                ('tokens', models.FloatField()),
                ('filled_at', models.FloatField()),
                ('version', models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name='Turn',
            fields=[
                ('key', models.CharField(max_length=40, primary_key=True, serialize=False)),
                ('last', models.BigIntegerField(default=0)),
            ],
        ),
        migrations.RemoveIndex(
            model_name='stagerun',
            name='run_to_claim',
        ),
        migrations.AddField(
            model_name='stagerun',
            name='batch',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='batches.batch'),
        ),
        migrations.AddField(
            model_name='stagerun',
            name='fingerprint',
            field=models.CharField(blank=True, editable=False, max_length=16),
        ),
        migrations.AddField(
            model_name='stagerun',
            name='rank',
            field=models.PositiveSmallIntegerField(default=2, editable=False),
        ),
        migrations.AddField(
            model_name='stagerun',
            name='team',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='jobs.team'),
        ),
        migrations.RunPython(take_from_the_job, migrations.RunPython.noop),
        migrations.AlterField(
            model_name='stagerun',
            name='team',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='jobs.team'),
        ),
        migrations.AlterField(
            model_name='stagerun',
            name='batch',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='batches.batch'),
        ),
        migrations.AddField(
            model_name='team',
            name='running_limit',
            field=models.PositiveIntegerField(blank=True, help_text='Jobs of the team that run at once. Empty: as the settings say; 0: no limit.', null=True),
        ),
        migrations.AddIndex(
            model_name='stagerun',
            index=models.Index(condition=models.Q(('state', 'queued')), fields=['queue', 'rank', 'team', 'batch', 'available_at', 'id'], name='run_to_claim'),
        ),
        migrations.AddIndex(
            model_name='stagerun',
            index=models.Index(condition=models.Q(('state', 'queued')), fields=['priority', 'rank', 'queued_at'], name='run_to_raise'),
        ),
        migrations.AddIndex(
            model_name='stagerun',
            index=models.Index(condition=models.Q(('state', 'running')), fields=['team', 'batch'], name='run_by_load'),
        ),
        migrations.AddIndex(
            model_name='stagerun',
            index=models.Index(condition=models.Q(('state', 'failed')), fields=['team', 'fingerprint'], name='run_by_cause'),
        ),
        migrations.AddField(
            model_name='pause',
            name='by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='pause',
            name='team',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='pauses', to='jobs.team'),
        ),
    ]
