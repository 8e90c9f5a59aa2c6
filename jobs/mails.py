"""The e-mail that a delivery is sent as: text, HTML, and small pictures of what it is about."""

from __future__ import annotations

import logging
from email.mime.image import MIMEImage
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db.models import QuerySet
from django.template.loader import render_to_string
from django.urls import reverse

from jobs.history_chain import last_head, seal_pending
from jobs.models import Asset, Delivery
from jobs.models.notice import DIGEST, PEOPLES_NAMES, TEST
from jobs.pictures import PICTURES
from jobs.store import open_asset
from jobs.telling import address_of
from rendering.errors import FormatError

logger = logging.getLogger(__name__)

TITLES = {**PEOPLES_NAMES, DIGEST: "Your daily digest", TEST: "E-mail reaches you"}
MOST_PICTURES = 3
PICTURE_PX = 240
"""The longest side of a picture, and the width at which the HTML shows it at most."""


class _Mail(EmailMultiAlternatives):
    """Its pictures are parts of the HTML, not attachments."""

    mixed_subtype = "related"


def message_of(delivery: Delivery) -> EmailMultiAlternatives:
    """The message, to be sent. Its Message-ID is the delivery's over all attempts."""
    seal_pending()  # most often what the mail tells of is in the chain then
    facts = delivery.payload["data"]
    choices_link = f"{settings.SITE_URL.rstrip('/')}{reverse('admin:notice_choices')}"
    pictures = _pictures(delivery)
    context = {
        "title": TITLES[delivery.name],
        "facts": facts,
        "link": address_of(delivery.job_id, delivery.batch_id, delivery.name),
        "choices_link": choices_link,
        "pictures": [name for name, _ in pictures],
        "team": delivery.team,
        "head": last_head(delivery.team_id),
    }
    about = facts.get("job", {}).get("job_id") or facts.get("batch", {}).get("name")
    about = about or facts.get("what") or delivery.team.name
    message = _Mail(
        subject=" ".join(f"{TITLES[delivery.name]}: {about}".split()),
        body=render_to_string("notices/mail.txt", context),
        to=[delivery.recipient],
        headers={
            "Message-ID": f"<{delivery.message_id.hex}@{urlsplit(settings.SITE_URL).hostname}>",
            "List-Unsubscribe": f"<{choices_link}>",
        },
    )
    message.attach_alternative(render_to_string("notices/mail.html", context), "text/html")
    for name, jpeg in pictures:
        part = MIMEImage(jpeg, "jpeg")
        part["Content-ID"] = f"<{name}>"
        part["Content-Disposition"] = "inline"
        message.attach(part)
    return message


def _pictures(delivery: Delivery) -> list[tuple[str, bytes]]:
    """Content ids and JPEGs of the job's picture, or of the batch's newest. A mail goes without one that is broken."""
    stored = Asset.objects.filter(team=delivery.team_id, removed_at=None)
    if delivery.job_id is not None:
        shown = _best(stored.filter(job=delivery.job_id), 1)
    elif delivery.batch_id is not None:
        shown = _best(stored.filter(job__batch=delivery.batch_id), MOST_PICTURES)
    else:
        return []
    # Here, for the courier alone: numpy, which it brings along, would be in the memory of every process.
    from rendering.pixels import small_jpeg

    found = []
    for asset in shown:
        try:
            with open_asset(asset) as file:
                found.append((f"picture-{asset.pk}@aeproject", small_jpeg(file, max_px=PICTURE_PX)))
        except (OSError, FormatError) as error:
            logger.warning("asset %d: the mail %s goes without its picture: %s", asset.pk, delivery.message_id, error)
    return found


def _best(stored: QuerySet[Asset], most: int) -> list[Asset]:
    """The newest picture of each of so many jobs: films first, then designs that have no film yet."""
    found: list[Asset] = []
    for kind in PICTURES:
        while len(found) < most:
            others = stored.filter(kind=kind).exclude(job__in=[asset.job_id for asset in found])
            newest = others.order_by("-id").first()
            if newest is None:
                break
            found.append(newest)
    return found
