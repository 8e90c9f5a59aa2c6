"""The pages of review, inside the admin site: dashboard, queue, history, and a job's review."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.admin import AdminSite
from django.http import HttpResponseBase
from django.urls import URLPattern, path

from review import (
    bell,
    charts,
    dashboard,
    dead_letters,
    deliveries,
    history,
    my_queue,
    notice_choices,
    space,
    tokens,
    workers,
)
from review.views import job, matching, verbs


def pages(site: AdminSite) -> list[URLPattern]:
    """Every page closed to people without a team, as the site itself is. The site's index is the dashboard."""
    return [
        path("charts/", site.admin_view(charts.charts), name="dashboard_charts"),
        path("changes/", site.admin_view(dashboard.changes), name="dashboard_changes"),
        path("queue/", site.admin_view(my_queue.my_queue), name="my_queue"),
        path("queue/assign/", site.admin_view(my_queue.assign_jobs), name="my_queue_assign"),
        path("dead-letters/", site.admin_view(dead_letters.dead_letters), name="dead_letters"),
        path("dead-letters/retry/", site.admin_view(dead_letters.retry), name="dead_letters_retry"),
        path("pause/", site.admin_view(dead_letters.pause), name="pause"),
        path("history/", site.admin_view(history.history), name="history"),
        path("deliveries/", site.admin_view(deliveries.deliveries), name="deliveries"),
        path("deliveries/<int:pk>/replay/", site.admin_view(deliveries.replay), name="deliveries_replay"),
        path(
            "deliveries/dead/<int:team_pk>/replay/",
            site.admin_view(deliveries.replay_dead),
            name="deliveries_replay_dead",
        ),
        path("deliveries/secret/<int:pk>/", site.admin_view(deliveries.rotate_secret), name="deliveries_secret"),
        path("deliveries/test/<int:pk>/", site.admin_view(deliveries.test_endpoint), name="deliveries_test"),
        path("deliveries/test/<int:pk>/result/", site.admin_view(deliveries.test_result), name="deliveries_result"),
        path("space/", site.admin_view(space.space), name="space"),
        path("space/<int:pk>/due/", site.admin_view(space.due), name="space_due"),
        path("space/<int:pk>/policy/", site.admin_view(space.set_policy), name="space_policy"),
        path("space/batches/<int:pk>/pin/", site.admin_view(space.set_pin), name="space_pin"),
        path("notices/", site.admin_view(bell.page), name="notices"),
        path("notices/count/", site.admin_view(bell.count), name="notices_count"),
        path("notices/read/", site.admin_view(bell.read_all), name="notices_read"),
        path("notices/<int:pk>/open/", site.admin_view(bell.open_notice), name="notice_open"),
        path("notices/choices/", site.admin_view(notice_choices.choices), name="notice_choices"),
        path("notices/choices/test/", site.admin_view(notice_choices.test), name="notice_test"),
        path("workers/", site.admin_view(workers.workers), name="workers"),
        path("workers/changes/", site.admin_view(workers.changes), name="workers_changes"),
        path("workers/<int:pk>/<slug:state>/", site.admin_view(workers.set_state), name="worker_state"),
        path("workers/blocks/<int:pk>/lift/", site.admin_view(workers.lift), name="worker_lift"),
        path("tokens/", site.admin_view(tokens.page), name="tokens"),
        path("tokens/make/", site.admin_view(tokens.make), name="token_make"),
        path("tokens/<int:pk>/revoke/", site.admin_view(tokens.revoke), name="token_revoke"),
        path("tokens/integrations/add/", site.admin_view(tokens.add_integration), name="integration_add"),
        path("tokens/integrations/<int:pk>/token/", site.admin_view(tokens.add_token), name="integration_token"),
        path(
            "tokens/integrations/<int:pk>/remove/",
            site.admin_view(tokens.remove_integration),
            name="integration_remove",
        ),
        *_job_pages(site),
    ]


def _job_pages(site: AdminSite) -> list[URLPattern]:
    """The pages of one job, and what can be done on them."""
    below: list[tuple[str, str, Callable[..., HttpResponseBase]]] = [
        ("", "job", job.job),
        ("record/", "job_record", job.record),
        ("matching/", "job_matching", job.matching),
        ("matching/amend/", "job_amend", matching.amend),
        ("matching/undo/", "job_undo", matching.undo),
        ("matching/comp/", "job_comp", matching.choose_comp),
        ("preview/", "job_preview", job.preview),
        ("preview/script/", "job_script", job.script),
        ("delivery/", "job_delivery", job.delivery),
        ("progress/", "job_progress", job.progress),
        ("attempts/<int:attempt_pk>/log/", "job_attempt_log", job.attempt_log),
        ("decide/<slug:verb>/", "job_decide", verbs.decide),
        ("comment/", "job_comment", verbs.comment),
        ("assign/", "job_assign", verbs.assign),
        ("priority/", "job_priority", verbs.prioritise),
        ("warnings/<int:warning_pk>/", "job_warning", verbs.settle_warning),
    ]
    return [path(f"jobs/<int:pk>/{tail}", site.admin_view(view), name=name) for tail, name, view in below]
