"""Typed readers of the environment, for the settings. A wrong value stops the start with the name of its variable.

Secret values stand in no message.
"""

from __future__ import annotations

import ipaddress
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured


def whole_number(name: str, default: int, *, least: int = 0) -> int:
    """A whole number of at least ``least``; anything else stops the start with the name of the variable."""
    raw = os.environ.get(name, str(default))
    try:
        value = int(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={raw!r} is not a whole number") from None
    if value < least:
        raise ImproperlyConfigured(f"{name}={value} is below {least}")
    return value


def yes_or_no(name: str, default: bool) -> bool:
    raw = os.environ.get(name, "1" if default else "0").strip().lower()
    if raw not in {"1", "0", "true", "false", "yes", "no", "on", "off"}:
        raise ImproperlyConfigured(f"{name}={raw!r} is not yes or no")
    return raw in {"1", "true", "yes", "on"}


def choice(name: str, allowed: tuple[str, ...]) -> str:
    """One of the words; the first is the default."""
    value = os.environ.get(name, allowed[0]).strip().lower()
    if value not in allowed:
        raise ImproperlyConfigured(f"{name}={value!r} is none of {', '.join(allowed)}")
    return value


def paths(name: str, default: list[Path]) -> list[Path]:
    """Directories, separated by the platform's path separator. Each must be absolute."""
    raw = os.environ.get(name)
    if raw is None:
        return default
    paths = [Path(part) for part in raw.split(os.pathsep) if part]
    for path in paths:
        if not path.is_absolute():
            raise ImproperlyConfigured(f"{name}: {path} is not an absolute path")
    return paths


def keys(name: str, *default: str) -> tuple[str, ...]:
    """Keys, separated by commas; the first is the one that encrypts and must be long."""
    raw = os.environ.get(name, "").strip()
    if not raw:
        return default
    keys = tuple(part.strip() for part in raw.split(","))
    if not all(keys) or len(keys[0]) < 32:
        # Without the value, which is secret.
        raise ImproperlyConfigured(f"{name}: keys separated by commas, the first with at least 32 characters")
    return keys


def networks(name: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Networks such as 10.1.0.0/16, separated by commas."""
    parts = [part.strip() for part in os.environ.get(name, "").split(",") if part.strip()]
    try:
        return [ipaddress.ip_network(part) for part in parts]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}") from None


def broker(name: str) -> dict[str, Any]:
    """Where tickets go: into the database, or to a Redis that is given little time to answer."""
    url = os.environ.get(name, "")
    if not url:
        return {"orm": "default", "broker_class": "jobs.ticket_broker.TicketBroker"}
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


def site(name: str, default: str) -> str:
    """The address under which people reach us, without a slash at its end."""
    value = os.environ.get(name, default).rstrip("/")
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ImproperlyConfigured(f"{name}={value!r} is not an address such as https://jobs.example.com")
    return value


def service_account(name: str) -> dict[str, str]:
    """The key of a Google service account: the path of its file, or its JSON. No message repeats any of it."""
    text = os.environ.get(name, "").strip()
    if not text:
        return {}
    try:
        key = json.loads(text if text.startswith("{") else Path(text).read_bytes())
    except OSError as error:
        raise ImproperlyConfigured(f"{name}: the key file cannot be read ({error.strerror})") from None
    except ValueError:
        raise ImproperlyConfigured(f"{name} is neither the path of a key file nor its JSON") from None
    needed = ("client_email", "private_key", "token_uri")
    if not isinstance(key, dict) or not all(isinstance(key.get(part), str) and key[part] for part in needed):
        raise ImproperlyConfigured(f"{name} is not the JSON key of a service account: it needs {', '.join(needed)}")
    return key
