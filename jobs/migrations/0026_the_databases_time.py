import jobs.clock
from django.db import migrations, models


class InTheState(migrations.SeparateDatabaseAndState):
    def state_forwards(self, app_label, state):
        # Rendered again once by who needs it, not with all relations for each field, which takes seconds.
        state.__dict__.pop('apps', None)
        super().state_forwards(app_label, state)


# In the state alone: defaults are Python's, but SQLite would rebuild the tables, and lose the triggers of the history.
class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0025_strays_without_team'),
    ]

    operations = [InTheState(state_operations=[
        migrations.AlterField(
            model_name='accesstoken',
            name='created_at',
            field=models.DateTimeField(default=jobs.clock.now, editable=False),
        ),
        migrations.AlterField(
            model_name='asset',
            name='created_at',
            field=models.DateTimeField(default=jobs.clock.now, editable=False),
        ),
        migrations.AlterField(
            model_name='attempt',
            name='started_at',
            field=models.DateTimeField(default=jobs.clock.now),
        ),
        migrations.AlterField(
            model_name='delivery',
            name='available_at',
            field=models.DateTimeField(default=jobs.clock.now),
        ),
        migrations.AlterField(
            model_name='delivery',
            name='created_at',
            field=models.DateTimeField(default=jobs.clock.now, editable=False),
        ),
        migrations.AlterField(
            model_name='event',
            name='at',
            field=models.DateTimeField(default=jobs.clock.now, editable=False),
        ),
        migrations.AlterField(
            model_name='idempotentrequest',
            name='created_at',
            field=models.DateTimeField(db_index=True, default=jobs.clock.now),
        ),
        migrations.AlterField(
            model_name='integration',
            name='created_at',
            field=models.DateTimeField(default=jobs.clock.now, editable=False),
        ),
        migrations.AlterField(
            model_name='job',
            name='created_at',
            field=models.DateTimeField(default=jobs.clock.now, editable=False),
        ),
        migrations.AlterField(
            model_name='job',
            name='moved_at',
            field=models.DateTimeField(default=jobs.clock.now),
        ),
        migrations.AlterField(
            model_name='match',
            name='changed_at',
            field=models.DateTimeField(default=jobs.clock.now),
        ),
        migrations.AlterField(
            model_name='notice',
            name='told_at',
            field=models.DateTimeField(default=jobs.clock.now),
        ),
        migrations.AlterField(
            model_name='pause',
            name='at',
            field=models.DateTimeField(default=jobs.clock.now),
        ),
        migrations.AlterField(
            model_name='pin',
            name='at',
            field=models.DateTimeField(default=jobs.clock.now, editable=False),
        ),
        migrations.AlterField(
            model_name='retentionpolicy',
            name='changed_at',
            field=models.DateTimeField(default=jobs.clock.now, editable=False),
        ),
        migrations.AlterField(
            model_name='sentfile',
            name='created_at',
            field=models.DateTimeField(default=jobs.clock.now),
        ),
        migrations.AlterField(
            model_name='stagerun',
            name='available_at',
            field=models.DateTimeField(default=jobs.clock.now),
        ),
        migrations.AlterField(
            model_name='stagerun',
            name='queued_at',
            field=models.DateTimeField(default=jobs.clock.now),
        ),
        migrations.AlterField(
            model_name='team',
            name='created_at',
            field=models.DateTimeField(default=jobs.clock.now, editable=False),
        ),
        migrations.AlterField(
            model_name='warning',
            name='created_at',
            field=models.DateTimeField(default=jobs.clock.now),
        ),
        migrations.AlterField(
            model_name='webhookendpoint',
            name='created_at',
            field=models.DateTimeField(default=jobs.clock.now, editable=False),
        ),
    ])]
