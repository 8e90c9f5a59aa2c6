from django.db import migrations


class Migration(migrations.Migration):
    # Apart from the copying of rows: PostgreSQL alters no table with pending checks of foreign keys.
    dependencies = [("batches", "0004_upload_rows")]

    operations = [migrations.RemoveField(model_name="upload", name="verdicts")]
