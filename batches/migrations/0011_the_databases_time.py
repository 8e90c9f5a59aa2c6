import jobs.clock
from django.db import migrations, models


# In the state alone: defaults are Python's, but SQLite would rebuild the tables, and lose the triggers of the history.
class Migration(migrations.Migration):

    dependencies = [
        ('batches', '0010_hidden_batches'),
    ]

    operations = [migrations.SeparateDatabaseAndState(state_operations=[
        migrations.AlterField(
            model_name='batch',
            name='created_at',
            field=models.DateTimeField(default=jobs.clock.now),
        ),
        migrations.AlterField(
            model_name='columnmapping',
            name='changed_at',
            field=models.DateTimeField(default=jobs.clock.now),
        ),
        migrations.AlterField(
            model_name='download',
            name='began_at',
            field=models.DateTimeField(default=jobs.clock.now, editable=False),
        ),
        migrations.AlterField(
            model_name='linkedsheet',
            name='created_at',
            field=models.DateTimeField(default=jobs.clock.now),
        ),
        migrations.AlterField(
            model_name='sharelink',
            name='created_at',
            field=models.DateTimeField(default=jobs.clock.now, editable=False),
        ),
        migrations.AlterField(
            model_name='upload',
            name='created_at',
            field=models.DateTimeField(default=jobs.clock.now),
        ),
    ])]
