"""The tokens of before lay in the database as they were sent: they go, with their table. People make new ones."""

from django.db import migrations


def forget(apps, schema_editor):
    apps.get_model("contenttypes", "ContentType").objects.filter(app_label="authtoken").delete()


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0014_tokens'),
        ('auth', '0012_alter_user_first_name_max_length'),
        ('contenttypes', '0002_remove_content_type_name'),
    ]

    operations = [
        migrations.RunSQL('DROP TABLE IF EXISTS authtoken_token', migrations.RunSQL.noop),
        migrations.RunPython(forget, migrations.RunPython.noop),
    ]
