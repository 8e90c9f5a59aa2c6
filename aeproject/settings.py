"""All settings, in one file. Everything comes from the environment through typed readers (``environment.py``).

``docs/operations.md`` lists every variable; ``tests/test_settings.py`` checks that it does.
"""

from __future__ import annotations

import os
import socket
import tomllib
from pathlib import Path
from typing import Any

import django_stubs_ext
import environ
from django.core.exceptions import ImproperlyConfigured

from aeproject.environment import (
    broker,
    choice,
    keys,
    networks,
    paths,
    service_account,
    site,
    whole_number,
    yes_or_no,
)

# Lets annotations such as ModelAdmin[Job] stand in class statements.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = str(tomllib.loads((BASE_DIR / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
env = environ.Env()


# Where things lie -----------------------------------------------------------------------------------------------------
DATA_DIR = Path(os.environ.get("DATA_DIR", str(BASE_DIR / "var"))).absolute()
ASSET_ROOTS = paths("ASSET_ROOTS", [DATA_DIR / "assets" / "{team}"])
FONT_DIRS = paths("FONT_DIRS", [DATA_DIR / "fonts"])
SYSTEM_FONTS = yes_or_no("SYSTEM_FONTS", True)

# Security -------------------------------------------------------------------------------------------------------------
DEBUG = yes_or_no("DEBUG", False)
SECRET_KEY = os.environ.get("SECRET_KEY", "")
if not SECRET_KEY:
    # Embedded defaults (make demo, tests): a key of this machine, kept so that sessions and tickets outlive a restart.
    _key_file = DATA_DIR / "secret_key"
    if not _key_file.exists():
        from django.core.management.utils import get_random_secret_key

        DATA_DIR.mkdir(parents=True, exist_ok=True)
        _fresh = _key_file.with_name(f"secret_key.{os.getpid()}")
        _fresh.touch(mode=0o600)
        _fresh.write_text(get_random_secret_key())
        try:
            os.link(_fresh, _key_file)
        except FileExistsError:
            pass  # another process was first: its key is the key
        finally:
            _fresh.unlink()
    SECRET_KEY = _key_file.read_text()
SECRET_KEY_FALLBACKS = list(keys("SECRET_KEY_FALLBACKS"))
DATA_KEYS = keys("DATA_KEYS", SECRET_KEY)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]", "testserver"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
HTTPS = yes_or_no("HTTPS", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
# Probes come past the proxy, without TLS.
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|metrics)$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
# On the server: what a page shows once waits in the session, and must not travel in its cookie.
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"

# Applications ---------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "aeproject.apps.AeprojectAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_q",
    "django_htmx",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "aeproject.apps.AeprojectConfig",
    "jobs",
    "batches",
    "review",
]
MIDDLEWARE = [
    "aeproject.logs.RequestLog",
    "aeproject.browser_rules.BrowserRules",
    "aeproject.arriving.BodyLimit",
    "aeproject.answers.ApiAnswers",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "aeproject.throttling.PageLimits",
]
ROOT_URLCONF = "aeproject.urls"
WSGI_APPLICATION = "aeproject.wsgi.application"
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    *(
        {"NAME": f"django.contrib.auth.password_validation.{name}"}
        for name in (
            "UserAttributeSimilarityValidator",
            "MinimumLengthValidator",
            "CommonPasswordValidator",
            "NumericPasswordValidator",
        )
    ),
    {"NAME": "jobs.tokens.TokensEndWithThePassword"},
]

# Database: SQLite that survives many processes (docs/decisions/0002), or DATABASE_URL ---------------------------------
_database: dict[str, Any] = env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'db.sqlite3'}")
if _database["ENGINE"] == "django.db.backends.sqlite3":
    _database["CONN_MAX_AGE"] = 60
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # recursive_triggers: REPLACE is a deletion too, which the history refuses.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA recursive_triggers=ON;",
    }
    if _database["NAME"] != ":memory:":
        Path(_database["NAME"]).parent.mkdir(parents=True, exist_ok=True)
    # Tests race threads against each other: that takes a file, as in earnest, not memory.
    _database["TEST"] = {"NAME": str(DATA_DIR / f"test-{os.getpid()}.sqlite3")}
elif _database["ENGINE"] == "django.db.backends.postgresql":
    _database["CONN_MAX_AGE"] = 600
    # After a restart of the server the first request of each process would fail without it.
    _database["CONN_HEALTH_CHECKS"] = True
    # A connection whose other end is unreachable ends after seconds, not hours, at both ends: supervisors must not hang
    # on it, and the server must not keep the locks of a machine that went dark in a transaction.
    _dead_after = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
    _of_server = {name if name.startswith("tcp_") else f"tcp_{name}": value for name, value in _dead_after.items()}
    _of_server["idle_in_transaction_session_timeout"] = 60_000
    _database["OPTIONS"] = {
        **_dead_after,
        "connect_timeout": 10,
        "prepare_threshold": 2,  # of jobs/compiled.py alone: what Django writes itself is never the same twice
        "options": " ".join(f"-c {name}={value}" for name, value in _of_server.items()),
        **_database.get("OPTIONS", {}),
    }
else:
    raise ImproperlyConfigured("DATABASE_URL must be sqlite:// or postgres://")
DATABASES = {"default": _database}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Files: in DATA_DIR, or in S3-compatible storage where S3_BUCKET names a bucket (docs/operations.md) ------------------
S3_BUCKET = os.environ.get("S3_BUCKET", "")
S3_OUTPUT_BUCKET = os.environ.get("S3_OUTPUT_BUCKET", "") or S3_BUCKET
S3_ENDPOINT_URL = os.environ.get("S3_ENDPOINT_URL", "") or None
S3_REGION = os.environ.get("S3_REGION", "") or None
if S3_ENDPOINT_URL and "@" in S3_ENDPOINT_URL:
    raise ImproperlyConfigured("S3_ENDPOINT_URL holds credentials: put them into AWS_ACCESS_KEY_ID and its secret")
if S3_ENDPOINT_URL and not S3_ENDPOINT_URL.startswith(("http://", "https://")):
    raise ImproperlyConfigured("S3_ENDPOINT_URL must begin with https:// or http://")
if S3_OUTPUT_BUCKET and not S3_BUCKET:
    raise ImproperlyConfigured("S3_OUTPUT_BUCKET needs S3_BUCKET")


def _file_storage(folder: str, bucket: str) -> dict[str, Any]:
    if not bucket:
        options: dict[str, Any] = {"location": DATA_DIR / folder, "base_url": None}
        return {"BACKEND": "jobs.storage.AtomicFileSystemStorage", "OPTIONS": options}
    options = {
        "bucket_name": bucket,
        "location": folder,
        "endpoint_url": S3_ENDPOINT_URL,
        "region_name": S3_REGION,
    }
    return {"BACKEND": "jobs.object_storage.S3ObjectStorage", "OPTIONS": options}


STORAGES = {
    # Content-addressed: inputs, previews, everything that workers make.
    "default": _file_storage("store", S3_BUCKET),
    # What was deployed. Nothing here is ever overwritten.
    "outputs": _file_storage("output", S3_OUTPUT_BUCKET),
    # Heads of the history, noted outside of the database: never changed, never removed.
    "heads": _file_storage("heads", S3_BUCKET),
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
CACHE_DIR = DATA_DIR / "cache"
CACHE_BYTES = whole_number("CACHE_BYTES", 20 * 2**30)
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WORK_DIR = DATA_DIR / "work"
MAX_SHEET_BYTES = whole_number("MAX_SHEET_BYTES", 100 * 2**20, least=1)
MAX_SHEET_ROWS = whole_number("MAX_SHEET_ROWS", 100_000, least=1)
SHEET_ROWS_AT_ONCE = whole_number("SHEET_ROWS_AT_ONCE", 500)
MAX_WORKBOOK_BYTES = whole_number("MAX_WORKBOOK_BYTES", 500 * 2**20, least=1)
MAX_WORKBOOK_MEMORY_BYTES = whole_number("MAX_WORKBOOK_MEMORY_BYTES", 2**30, least=2**28)
MAX_PSD_BYTES = whole_number("MAX_PSD_BYTES", 2 * 2**30, least=1)
MAX_PROJECT_BYTES = whole_number("MAX_PROJECT_BYTES", 200 * 2**20, least=1)
MAX_UPLOAD_BYTES = whole_number("MAX_UPLOAD_BYTES", 4 * 2**30, least=1)
MAX_BODY_BYTES = whole_number("MAX_BODY_BYTES", 100 * 2**20, least=2**20)
FILE_UPLOAD_HANDLERS = [
    "aeproject.arriving.FilesOfMembers",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]
BATCH_REPEAT_HOURS = whole_number("BATCH_REPEAT_HOURS", 24)
SENT_FILES_BYTES = whole_number("SENT_FILES_BYTES", 100 * 2**30, least=1)
SENT_FILES_HOURS = whole_number("SENT_FILES_HOURS", 24, least=1)
DATA_UPLOAD_MAX_NUMBER_FILES = 1_000
FILE_UPLOAD_MAX_MEMORY_SIZE = 2**20
FILE_UPLOAD_TEMP_DIR = DATA_DIR / "uploads"
FILE_UPLOAD_TEMP_DIR.mkdir(parents=True, exist_ok=True)

# The queue (docs/operations.md). Our rows are the truth; a django-q2 task is only a ticket. ---------------------------
WORKERS = whole_number("WORKERS", min(os.cpu_count() or 2, 4), least=1)
WORKERS_LIGHT = whole_number("WORKERS_LIGHT", WORKERS)
WORKERS_HEAVY = whole_number("WORKERS_HEAVY", WORKERS)
WORKERS_IO = whole_number("WORKERS_IO", 2)
QUEUE_WORKERS = {"light": WORKERS_LIGHT, "heavy": WORKERS_HEAVY, "io": WORKERS_IO}
WORKER_NAME = os.environ.get("WORKER_NAME", "") or socket.gethostname()
STAGE_BLOCK_SECONDS = whole_number("STAGE_BLOCK_SECONDS", 600, least=1)
AERENDER = os.environ.get("AERENDER", "")
LEASE_SECONDS = whole_number("LEASE_SECONDS", 30, least=2)
STUCK_SECONDS = whole_number("STUCK_SECONDS", 15, least=1)
STAGE_TIMEOUT_SECONDS = whole_number("STAGE_TIMEOUT_SECONDS", 900, least=10)
STAGE_MEMORY_BYTES = whole_number("STAGE_MEMORY_BYTES", 8 * 2**30, least=2**28)
STAGE_FILE_BYTES = whole_number("STAGE_FILE_BYTES", 8 * 2**30, least=2**20)
TEAM_RUNNING_LIMIT = whole_number("TEAM_RUNNING_LIMIT", 0)
BATCH_RUNNING_LIMIT = whole_number("BATCH_RUNNING_LIMIT", 0)
USER_REQUESTS_PER_MINUTE = whole_number("USER_REQUESTS_PER_MINUTE", 60)
FILE_REQUESTS_PER_MINUTE = whole_number("FILE_REQUESTS_PER_MINUTE", 1200)
LOG_IN_TRIES = whole_number("LOG_IN_TRIES", 10)
PROJECT_REQUESTS_PER_MINUTE = whole_number("PROJECT_REQUESTS_PER_MINUTE", 300)
IDEMPOTENCY_HOURS = whole_number("IDEMPOTENCY_HOURS", 24, least=1)
DEAD_LETTER_DAYS = whole_number("DEAD_LETTER_DAYS", 30)
PREVIEW_MAX_SECONDS = whole_number("PREVIEW_MAX_SECONDS", 30, least=1)
MATCH_THRESHOLD = whole_number("MATCH_THRESHOLD", 50)
Q_CLUSTER = {
    "name": "aeproject",
    **broker("REDIS_URL"),
    "workers": WORKERS,
    "queue_limit": WORKERS,
    # One cluster a queue; django-q2 picks its own by the variable Q_CLUSTER_NAME, which the supervisor sets.
    "ALT_CLUSTERS": {
        name: {"workers": max(1, count), "queue_limit": max(1, count)} for name, count in QUEUE_WORKERS.items()
    },
    "bulk": 1,
    "poll": 0.2,
    "timeout": STAGE_TIMEOUT_SECONDS + 60,
    "retry": (STAGE_TIMEOUT_SECONDS + 60) * 3,
    "ack_failures": True,
    "max_attempts": 1,
    "save_limit": -1,
    "catch_up": False,
    "recycle": 50,
    "scheduler": False,
    # Its statistics, written twice a second, are of no use here.
    "cache": "nothing",
    "label": "Tickets",
}

# What goes out (docs/operations.md): e-mail and webhooks --------------------------------------------------------------
SITE_URL = site("SITE_URL", "http://127.0.0.1:8000")
_mail: dict[str, Any] = env.email_url("EMAIL_URL", default="consolemail://")
EMAIL_BACKEND = _mail["EMAIL_BACKEND"]
EMAIL_USE_TLS, EMAIL_USE_SSL = bool(_mail.get("EMAIL_USE_TLS")), bool(_mail.get("EMAIL_USE_SSL"))
EMAIL_HOST = _mail.get("EMAIL_HOST") or "localhost"
EMAIL_PORT = _mail.get("EMAIL_PORT") or (465 if EMAIL_USE_SSL else 587 if EMAIL_USE_TLS else 25)
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail.get("EMAIL_HOST_USER") or "", _mail.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = os.environ.get("MAIL_FROM", "aeproject@localhost")
# By a name that Django's own debug pages take for a secret.
GOOGLE_SERVICE_ACCOUNT_KEY = service_account("GOOGLE_SERVICE_ACCOUNT")
GOOGLE_SHEETS_URL = site("GOOGLE_SHEETS_URL", "https://sheets.googleapis.com")
GOOGLE_DOCS_URL = site("GOOGLE_DOCS_URL", "https://docs.google.com")
WEBHOOK_ALLOWED_NETWORKS = networks("WEBHOOK_ALLOWED_NETWORKS")
NOTICE_DAYS = whole_number("NOTICE_DAYS", 30, least=1)
SHARE_MAX_DAYS = whole_number("SHARE_MAX_DAYS", 30, least=1)
DOWNLOAD_LOG_DAYS = whole_number("DOWNLOAD_LOG_DAYS", 90, least=1)
WAITING_HOURS = whole_number("WAITING_HOURS", 24)
DIGEST_HOUR = whole_number("DIGEST_HOUR", 7)
if DIGEST_HOUR > 23:
    raise ImproperlyConfigured("DIGEST_HOUR must be an hour of the day, 0 to 23")
# Whoever sends it may read /metrics; without one only superusers may.
METRICS_TOKEN = os.environ.get("METRICS_TOKEN", "")

# API ------------------------------------------------------------------------------------------------------------------
TOKEN_MAX_DAYS = whole_number("TOKEN_MAX_DAYS", 365, least=1)
TOKEN_DAYS = min(whole_number("TOKEN_DAYS", 90, least=1), TOKEN_MAX_DAYS)
# How many proxies of ours a request comes through: so many addresses at the end of X-Forwarded-For are true.
PROXIES = whole_number("PROXIES", 0)
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "jobs.api_access.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated", "jobs.api_access.HasScope"],
    "NUM_PROXIES": PROXIES,
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["aeproject.throttling.UserLimit", "aeproject.throttling.ProjectLimit"],
    "EXCEPTION_HANDLER": "aeproject.api.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "aeproject",
    "DESCRIPTION": "Batches of Photoshop designs become After Effects projects: upload, watch, decide, download.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "jobs.api_bodies.describe",
        "jobs.idempotency.describe",
        "aeproject.schema.describe",
    ],
}

# Throttles count in the database, so that all processes share one count. ----------------------------------------------
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"},
    "nothing": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
}

LANGUAGE_CODE = "en-gb"
TIME_ZONE = os.environ.get("TIME_ZONE", "UTC")
USE_TZ = True
USE_I18N = False

LOG_FORMAT = choice("LOG_FORMAT", ("line", "json"))
LOG_LEVEL = os.environ.get("LOG_LEVEL", "INFO").upper()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "jobs.log_lines.LineFormatter"},
        "json": {"()": "jobs.log_lines.JsonFormatter"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        # A line for every ticket, and for every chunk of a file that they do not know.
        **{name: {"level": "WARNING"} for name in ("django-q", "psd_tools", "py_aep")},
        # At DEBUG these write whole requests, signatures included.
        **{name: {"level": "INFO"} for name in ("boto3", "botocore", "s3transfer", "urllib3", "google")},
        # Lines of the server look like ours.
        **{name: {"handlers": [], "propagate": True} for name in ("gunicorn.error", "gunicorn.access")},
        "django.server": {"handlers": [], "propagate": False},
    },
}
