"""Sends a signed POST to an address that somebody typed in, without ever reaching into our own network.

Signatures follow Standard Webhooks.
"""

from __future__ import annotations

import http.client
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from standardwebhooks import Webhook

from jobs.outbound import Refused, answered, retry_after_seconds

SECONDS = 10.0
"""For the whole exchange, however slowly an answer drips."""
MOST_ANSWER_BYTES = 2_000
GONE = 410


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the receiver said; ``status`` None when there was no answer. ``text`` is its beginning, or the error."""

    status: int | None
    text: str
    retry_after_seconds: float | None = None

    @property
    def is_accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """The receiver says that it is there no more and wants nothing more."""
        return self.status == GONE


def send(
    url: str, secrets: Sequence[str], *, message_id: uuid.UUID, sent_at: datetime, payload: dict[str, Any]
) -> Answer:
    """POSTs the payload as JSON, signed with each of the secrets. Never raises for what the other side does: an answer
    without status says what failed. ``sent_at`` is signed along: receivers refuse what is minutes old by their clocks.

    Redirects are not followed: one leads wherever its sender likes, and a receiver that moved can be entered anew.
    """
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    try:
        headers = _headers(secrets, f"msg_{message_id.hex}", sent_at, body)
        with answered("POST", url, headers=headers, body=body.encode(), seconds=SECONDS) as response:
            return _answer(response)
    except Refused as error:
        return Answer(status=None, text=f"not sent: {error}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(status=None, text=f"{type(error).__name__}: {error}"[:MOST_ANSWER_BYTES])


def _headers(secrets: Sequence[str], message_id: str, sent_at: datetime, body: str) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "User-Agent": "aeproject",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(message_id, sent_at, body) for secret in secrets),
    }


def _answer(response: http.client.HTTPResponse) -> Answer:
    text = response.read(MOST_ANSWER_BYTES).decode("utf-8", "replace").replace("\0", "")
    if 300 <= response.status < 400:
        text = f"redirects are not followed: {response.headers.get('Location', '')}"[:MOST_ANSWER_BYTES]
    return Answer(status=response.status, text=text, retry_after_seconds=retry_after_seconds(response.headers))
