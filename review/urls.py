"""The pages of review, inside the admin site: dashboard, queue, history, and a job's review."""

from __future__ import annotations

from django.contrib.admin import AdminSite
from django.urls import URLPattern, path

from review import dashboard, history, my_queue


def pages(site: AdminSite) -> list[URLPattern]:
    """Every page closed to people without a team, as the site itself is. The site's index is the dashboard."""
    return [
        path("changes/", site.admin_view(dashboard.changes), name="dashboard_changes"),
        path("queue/", site.admin_view(my_queue.my_queue), name="my_queue"),
        path("queue/assign/", site.admin_view(my_queue.assign_jobs), name="my_queue_assign"),
        path("history/", site.admin_view(history.history), name="history"),
        # The review of one job (review/views.py)
    ]
