"""The number under which the log has a request, for the pages that say that something went wrong."""

from __future__ import annotations

from django import template

from jobs.log_context import bound_ids

register = template.Library()


@register.simple_tag
def request_id() -> str:
    """The id of the request that is answered now, empty outside of one. It takes no context: 500.html has none."""
    return bound_ids().get("request", "")
