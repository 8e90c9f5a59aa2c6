"""All settings, in one file. Everything comes from the environment through typed readers that fail loudly.

``docs/operations.md`` lists every variable; ``tests/test_settings.py`` checks that it does.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django_stubs_ext
import environ
from django.core.exceptions import ImproperlyConfigured

# Lets annotations such as ModelAdmin[Job] stand in class statements.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = str(tomllib.loads((BASE_DIR / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
env = environ.Env()


def _int(name: str, default: int, *, least: int = 0) -> int:
    """A whole number of at least ``least``; anything else stops the start with the name of the variable."""
    raw = os.environ.get(name, str(default))
    try:
        value = int(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={raw!r} is not a whole number") from None
    if value < least:
        raise ImproperlyConfigured(f"{name}={value} is below {least}")
    return value


def _bool(name: str, default: bool) -> bool:
    raw = os.environ.get(name, "1" if default else "0").strip().lower()
    if raw not in {"1", "0", "true", "false", "yes", "no", "on", "off"}:
        raise ImproperlyConfigured(f"{name}={raw!r} is not yes or no")
    return raw in {"1", "true", "yes", "on"}


def _choice(name: str, allowed: tuple[str, ...]) -> str:
    """One of the words; the first is the default."""
    value = os.environ.get(name, allowed[0]).strip().lower()
    if value not in allowed:
        raise ImproperlyConfigured(f"{name}={value!r} is none of {', '.join(allowed)}")
    return value


def _paths(name: str, default: list[Path]) -> list[Path]:
    """Directories, separated by the platform's path separator. Each must be absolute."""
    raw = os.environ.get(name)
    if raw is None:
        return default
    paths = [Path(part) for part in raw.split(os.pathsep) if part]
    for path in paths:
        if not path.is_absolute():
            raise ImproperlyConfigured(f"{name}: {path} is not an absolute path")
    return paths


def _networks(name: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Networks such as 10.1.0.0/16, separated by commas."""
    parts = [part.strip() for part in os.environ.get(name, "").split(",") if part.strip()]
    try:
        return [ipaddress.ip_network(part) for part in parts]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}") from None


def _broker(name: str) -> dict[str, Any]:
    """Where tickets go: into the database, or to a Redis that is given little time to answer."""
    url = os.environ.get(name, "")
    if not url:
        return {"orm": "default"}
    from redis.backoff import NoBackoff
    from redis.connection import parse_url
    from redis.retry import Retry

    try:
        address: dict[str, Any] = {**parse_url(url)}  # type: ignore[no-untyped-call]
    except ValueError:
        # Without the value: it may hold a password.
        raise ImproperlyConfigured(f"{name} is not an address such as redis://:password@host:6379/0") from None
    if "path" in address:
        address["unix_socket_path"] = address.pop("path")
    elif address.pop("connection_class", None) is not None:
        address["ssl"] = True
    address.pop("connection_class", None)
    waits = {"socket_connect_timeout": 2.0, "socket_timeout": 5.0, "retry": Retry(NoBackoff(), 0)}
    return {"redis": {**waits, **address}}


def _site(name: str, default: str) -> str:
    """The address under which people reach us, without a slash at its end."""
    value = os.environ.get(name, default).rstrip("/")
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ImproperlyConfigured(f"{name}={value!r} is not an address such as https://jobs.example.com")
    return value


# Where things lie -----------------------------------------------------------------------------------------------------
DATA_DIR = Path(os.environ.get("DATA_DIR", str(BASE_DIR / "var"))).absolute()
ASSET_ROOTS = _paths("ASSET_ROOTS", [DATA_DIR / "assets" / "{team}"])
FONT_DIRS = _paths("FONT_DIRS", [DATA_DIR / "fonts"])
SYSTEM_FONTS = _bool("SYSTEM_FONTS", True)

# Security -------------------------------------------------------------------------------------------------------------
DEBUG = _bool("DEBUG", False)
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
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]", "testserver"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
HTTPS = _bool("HTTPS", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
# Probes come past the proxy, without TLS.
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|metrics)$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
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
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
CACHE_DIR = DATA_DIR / "cache"
CACHE_BYTES = _int("CACHE_BYTES", 20 * 2**30)
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WORK_DIR = DATA_DIR / "work"
MAX_SHEET_BYTES = _int("MAX_SHEET_BYTES", 100 * 2**20, least=1)
MAX_SHEET_ROWS = _int("MAX_SHEET_ROWS", 100_000, least=1)
SHEET_ROWS_AT_ONCE = _int("SHEET_ROWS_AT_ONCE", 500)
MAX_WORKBOOK_BYTES = _int("MAX_WORKBOOK_BYTES", 500 * 2**20, least=1)
MAX_WORKBOOK_MEMORY_BYTES = _int("MAX_WORKBOOK_MEMORY_BYTES", 2**30, least=2**28)
MAX_PSD_BYTES = _int("MAX_PSD_BYTES", 2 * 2**30, least=1)
MAX_PROJECT_BYTES = _int("MAX_PROJECT_BYTES", 200 * 2**20, least=1)
MAX_UPLOAD_BYTES = _int("MAX_UPLOAD_BYTES", 4 * 2**30, least=1)
BATCH_REPEAT_HOURS = _int("BATCH_REPEAT_HOURS", 24)
SENT_FILES_BYTES = _int("SENT_FILES_BYTES", 100 * 2**30, least=1)
SENT_FILES_HOURS = _int("SENT_FILES_HOURS", 24, least=1)
DATA_UPLOAD_MAX_NUMBER_FILES = 1_000
FILE_UPLOAD_MAX_MEMORY_SIZE = 2**20
FILE_UPLOAD_TEMP_DIR = DATA_DIR / "uploads"
FILE_UPLOAD_TEMP_DIR.mkdir(parents=True, exist_ok=True)

# The queue (docs/operations.md). Our rows are the truth; a django-q2 task is only a ticket. ---------------------------
WORKERS = _int("WORKERS", min(os.cpu_count() or 2, 4), least=1)
WORKERS_LIGHT = _int("WORKERS_LIGHT", WORKERS)
WORKERS_HEAVY = _int("WORKERS_HEAVY", WORKERS)
WORKERS_IO = _int("WORKERS_IO", 2)
QUEUE_WORKERS = {"light": WORKERS_LIGHT, "heavy": WORKERS_HEAVY, "io": WORKERS_IO}
WORKER_NAME = os.environ.get("WORKER_NAME", "") or socket.gethostname()
STAGE_BLOCK_SECONDS = _int("STAGE_BLOCK_SECONDS", 600, least=1)
AERENDER = os.environ.get("AERENDER", "")
LEASE_SECONDS = _int("LEASE_SECONDS", 30, least=2)
STUCK_SECONDS = _int("STUCK_SECONDS", 15, least=1)
STAGE_TIMEOUT_SECONDS = _int("STAGE_TIMEOUT_SECONDS", 900, least=10)
STAGE_MEMORY_BYTES = _int("STAGE_MEMORY_BYTES", 8 * 2**30, least=2**28)
STAGE_FILE_BYTES = _int("STAGE_FILE_BYTES", 8 * 2**30, least=2**20)
TEAM_RUNNING_LIMIT = _int("TEAM_RUNNING_LIMIT", 0)
BATCH_RUNNING_LIMIT = _int("BATCH_RUNNING_LIMIT", 0)
USER_REQUESTS_PER_MINUTE = _int("USER_REQUESTS_PER_MINUTE", 60)
FILE_REQUESTS_PER_MINUTE = _int("FILE_REQUESTS_PER_MINUTE", 1200)
PROJECT_REQUESTS_PER_MINUTE = _int("PROJECT_REQUESTS_PER_MINUTE", 300)
IDEMPOTENCY_HOURS = _int("IDEMPOTENCY_HOURS", 24, least=1)
DEAD_LETTER_DAYS = _int("DEAD_LETTER_DAYS", 30)
PREVIEW_MAX_SECONDS = _int("PREVIEW_MAX_SECONDS", 30, least=1)
MATCH_THRESHOLD = _int("MATCH_THRESHOLD", 50)
Q_CLUSTER = {
    "name": "aeproject",
    **_broker("REDIS_URL"),
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
SITE_URL = _site("SITE_URL", "http://127.0.0.1:8000")
_mail: dict[str, Any] = env.email_url("EMAIL_URL", default="consolemail://")
EMAIL_BACKEND = _mail["EMAIL_BACKEND"]
EMAIL_USE_TLS, EMAIL_USE_SSL = bool(_mail.get("EMAIL_USE_TLS")), bool(_mail.get("EMAIL_USE_SSL"))
EMAIL_HOST = _mail.get("EMAIL_HOST") or "localhost"
EMAIL_PORT = _mail.get("EMAIL_PORT") or (465 if EMAIL_USE_SSL else 587 if EMAIL_USE_TLS else 25)
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail.get("EMAIL_HOST_USER") or "", _mail.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = os.environ.get("MAIL_FROM", "aeproject@localhost")
WEBHOOK_ALLOWED_NETWORKS = _networks("WEBHOOK_ALLOWED_NETWORKS")
NOTICE_DAYS = _int("NOTICE_DAYS", 30, least=1)
SHARE_MAX_DAYS = _int("SHARE_MAX_DAYS", 30, least=1)
WAITING_HOURS = _int("WAITING_HOURS", 24)
DIGEST_HOUR = _int("DIGEST_HOUR", 7)
if DIGEST_HOUR > 23:
    raise ImproperlyConfigured("DIGEST_HOUR must be an hour of the day, 0 to 23")
# Whoever sends it may read /metrics; without one only superusers may.
METRICS_TOKEN = os.environ.get("METRICS_TOKEN", "")

# API ------------------------------------------------------------------------------------------------------------------
TOKEN_MAX_DAYS = _int("TOKEN_MAX_DAYS", 365, least=1)
TOKEN_DAYS = min(_int("TOKEN_DAYS", 90, least=1), TOKEN_MAX_DAYS)
# How many proxies of ours a request comes through: so many addresses at the end of X-Forwarded-For are true.
PROXIES = _int("PROXIES", 0)
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

LOG_FORMAT = _choice("LOG_FORMAT", ("line", "json"))
LOG_LEVEL = os.environ.get("LOG_LEVEL", "INFO").upper()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "aeproject.logs.LineFormatter"},
        "json": {"()": "aeproject.logs.JsonFormatter"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        # A line for every ticket, and for every chunk of a file that they do not know.
        **{name: {"level": "WARNING"} for name in ("django-q", "psd_tools", "py_aep")},
        # At DEBUG these write whole requests, signatures included.
        **{name: {"level": "INFO"} for name in ("boto3", "botocore", "s3transfer", "urllib3")},
        # Lines of the server look like ours.
        **{name: {"handlers": [], "propagate": True} for name in ("gunicorn.error", "gunicorn.access")},
        "django.server": {"handlers": [], "propagate": False},
    },
}
