"""manage.py encrypt_secrets: after a change of keys, everything is encrypted with the first one."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from jobs.encryption import WrongKey, decrypt, encrypt, is_by_first_key
from jobs.models import WebhookEndpoint

COLUMNS = ("encrypted_secret", "encrypted_old_secret")


class Command(BaseCommand):
    help = (
        "Encrypts the secrets of webhook endpoints with the first of DATA_KEYS, so that the others can be taken away. "
        "Exit code 1 when one cannot be decrypted with any of them; it is left as it is."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        rewritten = unreadable = 0
        for endpoint in WebhookEndpoint.objects.select_related("team").iterator():
            for column in COLUMNS:
                token = getattr(endpoint, column)
                if not token or is_by_first_key(token):
                    continue
                try:
                    fresh = encrypt(decrypt(token))
                except WrongKey as error:
                    unreadable += 1
                    self.stderr.write(f"endpoint {endpoint.pk} of {endpoint.team.slug}, {column}: {error}")
                    continue
                # Only where nobody gave it another secret meanwhile.
                rewritten += WebhookEndpoint.objects.filter(pk=endpoint.pk, **{column: token}).update(**{column: fresh})
        self.stdout.write(f"{rewritten} secrets encrypted with the first key, {unreadable} cannot be decrypted")
        if unreadable:
            sys.exit(1)
