import jobs.clock
from django.db import migrations, models


# In the state alone: defaults are Python's, but SQLite would rebuild the tables, and lose the triggers of the history.
class Migration(migrations.Migration):

    dependencies = [
        ('review', '0001_initial'),
    ]

    operations = [migrations.SeparateDatabaseAndState(state_operations=[
        migrations.AlterField(
            model_name='comment',
            name='at',
            field=models.DateTimeField(default=jobs.clock.now),
        ),
        migrations.AlterField(
            model_name='decision',
            name='at',
            field=models.DateTimeField(default=jobs.clock.now),
        ),
    ])]
