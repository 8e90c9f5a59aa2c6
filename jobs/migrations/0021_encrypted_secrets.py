from django.db import migrations, models

from jobs.encryption import decrypt, encrypt
from jobs.models.notice import new_encrypted_secret


def encrypt_all(apps, schema_editor):
    endpoints = apps.get_model("jobs", "WebhookEndpoint").objects.using(schema_editor.connection.alias)
    for endpoint in endpoints.all():
        endpoint.encrypted_secret = encrypt(endpoint.secret)
        endpoint.encrypted_old_secret = encrypt(endpoint.old_secret) if endpoint.old_secret else ""
        endpoint.save(update_fields=["encrypted_secret", "encrypted_old_secret"])


def decrypt_all(apps, schema_editor):
    endpoints = apps.get_model("jobs", "WebhookEndpoint").objects.using(schema_editor.connection.alias)
    for endpoint in endpoints.all():
        endpoint.secret = decrypt(endpoint.encrypted_secret)
        endpoint.old_secret = decrypt(endpoint.encrypted_old_secret) if endpoint.encrypted_old_secret else ""
        endpoint.save(update_fields=["secret", "old_secret"])


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0020_old_secret'),
    ]

    operations = [
        migrations.AddField('webhookendpoint', 'encrypted_secret', models.TextField(default='', editable=False)),
        migrations.AddField(
            'webhookendpoint', 'encrypted_old_secret', models.TextField(blank=True, default='', editable=False)
        ),
        # Back again the plain columns are empty at first.
        migrations.AlterField('webhookendpoint', 'secret', models.CharField(default='', max_length=120)),
        migrations.AlterField(
            'webhookendpoint', 'old_secret', models.CharField(blank=True, default='', editable=False, max_length=120)
        ),
        migrations.RunPython(encrypt_all, decrypt_all),
        migrations.RemoveField('webhookendpoint', 'secret'),
        migrations.RemoveField('webhookendpoint', 'old_secret'),
        migrations.AlterField(
            'webhookendpoint', 'encrypted_secret', models.TextField(default=new_encrypted_secret, editable=False)
        ),
        migrations.AlterField('webhookendpoint', 'encrypted_old_secret', models.TextField(blank=True, editable=False)),
    ]
