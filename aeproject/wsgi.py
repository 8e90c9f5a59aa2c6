"""The entry point of the web server (gunicorn aeproject.wsgi)."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aeproject.settings")

application = get_wsgi_application()

import aeproject.urls  # noqa: E402, F401 - pages and API are loaded now, and not by whoever asks first
