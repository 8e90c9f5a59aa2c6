"""A real browser on a real server, and a worker process on the same database and files."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.db import connection
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from tests.people import PASSWORD

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE_MS = 60_000
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    # Playwright's synchronous calls run an event loop in this thread, which Django takes for asynchronous code.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    with sync_playwright() as running:
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
        yield running
        if before is None:
            del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("there is no browser: Debian's package chromium is not installed")
    expect.set_options(timeout=PATIENCE_MS)
    browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
    yield browser
    browser.close()


def opened(page: Page, heading: str) -> None:
    """Waits for the page of this heading and its scripts: what is chosen or typed before they run is lost on it."""
    expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
    page.wait_for_load_state()


TOASTS = """
(() => {
  const seen = new Set();
  new MutationObserver(() => document.querySelectorAll(".toast").forEach((toast) => seen.add(toast)))
    .observe(document, {childList: true, subtree: true});
  window.wasTold = (words) => [...seen].some((toast) => toast.textContent.includes(words));
})();
"""
"""Remembers what the page told: toasts go by themselves, and a test may look a moment later."""


class Visitor:
    """A person in front of a browser window of their own. ``complaints`` are errors that the console showed."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        context.set_default_timeout(PATIENCE_MS)
        self.context = context
        self.address = address
        self.complaints: list[str] = []
        context.add_init_script(TOASTS)
        self.page: Page = context.new_page()
        self.page.on("console", lambda message: self._note(message.type, f"{message.text} ({message.location['url']})"))
        self.page.on("pageerror", lambda error: self._note("error", str(error)))

    def _note(self, kind: str, text: str) -> None:
        if kind == "error":
            self.complaints.append(f"{self.page.url}: {text}")

    def go(self, path: str) -> None:
        self.page.goto(self.address + path)

    def is_told(self, words: str) -> None:
        """Waits until a toast of the present page has said so, though it may be gone again."""
        self.page.wait_for_function("words => window.wasTold(words)", arg=words)

    def log_in(self, user: User) -> None:
        """Through the login page, as everybody."""
        self.go("/")
        self.page.get_by_label("User name").fill(user.get_username())
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.get_by_role("navigation", name="Main")).to_be_visible()


Visit = Callable[..., Visitor]


@pytest.fixture(autouse=True)
def _steady_network(network: Any) -> Iterator[None]:
    with network(fcntl.LOCK_SH):
        yield


@pytest.fixture
def visit(chromium: Browser, live_server: Any) -> Iterator[Visit]:
    """Opens a window for a person: ``visit(user, **options of the browser context)``."""
    contexts: list[BrowserContext] = []

    def open_window(user: User, **options: Any) -> Visitor:
        context = chromium.new_context(**options)
        contexts.append(context)
        visitor = Visitor(context, live_server.url)
        visitor.log_in(user)
        return visitor

    yield open_window
    for context in contexts:
        context.close()


@pytest.fixture
def worker(live_server: Any, settings: Any, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``manage.py work`` on the database and the files of the test."""
    environment = {
        **os.environ,
        "DATA_DIR": str(tmp_path),
        "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
        "ASSET_ROOTS": os.pathsep.join(str(root) for root in settings.ASSET_ROOTS),
        "SECRET_KEY": django_settings.SECRET_KEY,
        "SYSTEM_FONTS": "no",
        "MATCH_THRESHOLD": "0",
        "WORKERS": "1",
        "LOG_LEVEL": "WARNING",
    }
    if connection.vendor != "sqlite":
        pytest.skip("the worker of the browser test shares an SQLite file with the server")
    process = subprocess.Popen([sys.executable, "manage.py", "work"], cwd=ROOT, env=environment)
    yield process
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(60)
    finally:
        process.kill()
