"""What browsers may do with our answers: the rules that every answer carries, so that an injected line finds no door.

Answers with rules of their own (stored files, shared links) keep them: they are stricter.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

NOT_SHOWN = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
PAGES = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "media-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "object-src 'none'",
        "frame-ancestors 'none'",
    ]
)
"""No script and no style stands in a page: what is in one was put there by somebody else."""
API_PAGES = PAGES.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'").replace(
    "img-src 'self'", "img-src 'self' data:"
)
"""The browsable API and its documentation style themselves in place, by the libraries that draw them."""
UNUSED = ("camera", "display-capture", "geolocation", "microphone", "payment", "serial", "usb")
PERMISSIONS = ", ".join(f"{feature}=()" for feature in UNUSED)


class BrowserRules:
    """Middleware around all others, so that refusals and errors have the rules too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        response.headers.setdefault("Content-Security-Policy", _policy(request, response))
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        response.headers.setdefault("Referrer-Policy", "same-origin")
        response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        # Nobody keeps what does not say for itself how long it may be kept: most pages are one person's.
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response


def _policy(request: HttpRequest, response: HttpResponseBase) -> str:
    if not response.get("Content-Type", "").startswith("text/html"):
        return NOT_SHOWN
    return API_PAGES if request.path.startswith("/api/") else PAGES
