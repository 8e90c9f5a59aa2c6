"""Jobs and what people decided about them. The actions are people's verbs, job by job, with the roles they take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.admin import TeamFilter, TeamModelAdmin, pretty_json, state_badge
from jobs.errors import Conflict, Invalid, NotAllowed
from jobs.models import Job, JobQuerySet, Membership
from jobs.states import PUBLIC_STATES, VERBS, Role
from review.decisions import decide
from review.models import Comment, Decision

MOST_AT_ONCE = 1_000
MOST_REASONS = 5
DONE_WORDS = {"start": "started", "hold": "put on hold", "release": "released", "retry": "queued again"}


class PublicStateFilter(admin.SimpleListFilter):
    """Jobs by the state that people see; ``open`` are those neither completed nor cancelled."""

    title = "state"
    parameter_name = "public_state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterator[tuple[str, str]]:
        yield "open", "Open"
        for name in PUBLIC_STATES:
            yield name, name.replace("_", " ").capitalize()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        assert isinstance(queryset, JobQuerySet)
        wanted = self.value()
        if wanted is None:
            return queryset
        return queryset.open() if wanted == "open" else queryset.in_public_state(wanted)


@admin.register(Job)
class JobAdmin(TeamModelAdmin):
    list_display = (
        *("job_id", "state_shown", "stage", "priority", "client_name"),
        *("batch", "assignee", "moved"),
    )
    list_filter = (
        *("stage", PublicStateFilter, "priority"),
        *(("assignee", TeamFilter), ("batch", TeamFilter), ("team", TeamFilter), "created_at"),
    )
    list_select_related = ("batch", "assignee", "team")
    search_fields = ("job_id", "output_name", "client_name", "project_name", "batch__name")
    ordering = ("-id",)
    heavy = ("row_data", "notes", "forced_reason")
    actions = ("start_jobs", "hold_jobs", "release_jobs", "retry_jobs", "cancel_jobs")
    fields = (
        *("page", "state_shown", "stage", "version", "priority", "assignee"),
        *("team", "batch", "row_line", "job_id", "output_name", "client_name", "project_name", "notes"),
        *("psd_path", "project_path", "psd", "project", "render_comp_id", "forced_reason", "row_data_shown"),
        *("created_at", "moved_at", "finished_at"),
    )

    @admin.display(description="state")
    def state_shown(self, job: Job) -> SafeString:
        return state_badge(job.public_state)

    @admin.display(description="moved", ordering="moved_at")
    def moved(self, job: Job) -> str:
        return f"{timezone.localtime(job.moved_at):%Y-%m-%d %H:%M}"

    @admin.display(description="row data")
    def row_data_shown(self, job: Job) -> SafeString:
        return pretty_json(job.row_data)

    @admin.display(description="page")
    def page(self, job: Job) -> SafeString | str:
        try:
            address = reverse("admin:job", args=[job.pk])
        except NoReverseMatch:
            return ""
        return format_html('<a class="btn btn-small" href="{}">Open the job</a>', address)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return self._has_role(request, "start")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return self._has_role(request, "cancel")

    def _has_role(self, request: HttpRequest, verb: str) -> bool:
        """Whether one of the person's teams gives a role for the verb; each job is checked again."""
        assert isinstance(request.user, User)
        if request.user.is_superuser:
            return True
        held: frozenset[str] | None = getattr(request, "roles_held", None)
        if held is None:
            # Asked for every action, several times a page.
            held = frozenset(Membership.objects.filter(user=request.user).values_list("role", flat=True))
            setattr(request, "roles_held", held)  # noqa: B010 - a note on the request
        return bool(held & {Role(role).value for role in VERBS[verb].roles})

    @admin.action(description="Start ingestion", permissions=["operate"])
    def start_jobs(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._apply(request, jobs, "start")

    @admin.action(description="Hold", permissions=["operate"])
    def hold_jobs(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._apply(request, jobs, "hold")

    @admin.action(description="Release", permissions=["operate"])
    def release_jobs(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._apply(request, jobs, "release")

    @admin.action(description="Retry", permissions=["operate"])
    def retry_jobs(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._apply(request, jobs, "retry")

    @admin.action(description="Cancel", permissions=["cancel"])
    def cancel_jobs(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._apply(request, jobs, "cancel")

    def _apply(self, request: HttpRequest, jobs: QuerySet[Job], verb: str) -> None:
        """Applies a verb to each job by itself, and says how many it moved and why it did not move the others."""
        assert isinstance(request.user, User)
        total, moved = jobs.count(), 0
        refusals: Counter[str] = Counter()
        for job in jobs.select_related("team")[:MOST_AT_ONCE]:
            try:
                decide(request.user, job, verb)
            except (Conflict, Invalid, NotAllowed) as error:
                refusals[str(error)] += 1
            else:
                moved += 1
        word = DONE_WORDS.get(verb, "cancelled")
        if moved:
            self.message_user(request, f"{moved} job{'' if moved == 1 else 's'} {word}.", messages.SUCCESS)
        for reason, times in refusals.most_common(MOST_REASONS):
            self.message_user(request, f"{reason} ({times} jobs)" if times > 1 else reason, messages.WARNING)
        others = sum(times for _, times in refusals.most_common()[MOST_REASONS:])
        if others:
            self.message_user(request, f"{others} more jobs were not {word}.", messages.WARNING)
        if total > MOST_AT_ONCE:
            self.message_user(
                request, f"{total - MOST_AT_ONCE} jobs are left: {MOST_AT_ONCE} at once at most.", messages.WARNING
            )


@admin.register(Decision)
class DecisionAdmin(TeamModelAdmin):
    list_display = ("at", "user", "verb", "job", "stage", "open_warnings", "reason")
    list_filter = ("verb", "stage", ("user", TeamFilter), "at")
    list_select_related = ("user", "job")
    search_fields = ("job__job_id", "reason")
    ordering = ("-id",)


@admin.register(Comment)
class CommentAdmin(TeamModelAdmin):
    list_display = ("at", "user", "job", "stage", "text")
    list_filter = ("stage", ("user", TeamFilter), "at")
    list_select_related = ("user", "job")
    search_fields = ("job__job_id", "text")
    ordering = ("-id",)
