"""The records of the core, to look at: members see their teams' rows and change nothing; superusers manage teams."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from jobs import endpoints, notices
from jobs.models import (
    Asset,
    Attempt,
    Event,
    MailSwitch,
    Match,
    Membership,
    StageRun,
    Team,
    Warning,
    WebhookEndpoint,
)
from jobs.models.notice import NOTICE_NAMES, check_secret, new_secret
from jobs.teams import operated_teams

MOST_JSON_CHARACTERS = 50_000


class TeamFilter(admin.RelatedFieldListFilter):
    """A list filter over related rows that offers those of the person's teams alone."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[Any]:
        related: Any = field.remote_field.model
        if related is User:
            shared = Membership.objects.visible_to(request.user).values("user_id")
            visible = User.objects.filter(pk__in=shared)
        else:
            visible = related.objects.visible_to(request.user)
        return list(field.get_choices(include_blank=False, limit_choices_to={"pk__in": visible.values("pk")}))


class TeamModelAdmin(admin.ModelAdmin[Any]):
    """Read-only, and only what ``visible_to`` shows: what happens to records happens through verbs."""

    list_per_page = 50
    show_full_result_count = False
    actions: Any = None
    heavy: ClassVar[tuple[str, ...]] = ()
    """Columns too large to be read for a list of rows."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = self.model.objects.visible_to(request.user).order_by(*self.get_ordering(request))
        match = request.resolver_match
        return rows.defer(*self.heavy) if match and str(match.url_name).endswith("_changelist") else rows

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        title = str(self.opts.verbose_name_plural).capitalize()
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.admin_site.has_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.admin_site.has_permission(request)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def state_badge(state: str) -> SafeString:
    """A public state as the pages show it."""
    return mark_safe(render_to_string("includes/state_badge.html", {"state": state}).strip())  # noqa: S308 - our template


def severity_badge(severity: str) -> SafeString:
    return mark_safe(render_to_string("includes/severity_badge.html", {"severity": severity}).strip())  # noqa: S308


def pretty_json(value: Any) -> SafeString:
    """JSON with one key a line; what is very long is cut, and says so."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if len(text) > MOST_JSON_CHARACTERS:
        text = f"{text[:MOST_JSON_CHARACTERS]}\n… {len(text) - MOST_JSON_CHARACTERS} more characters"
    return format_html('<pre class="code-block">{}</pre>', text)


class ManagedBySuperusers:
    """Superusers add, change and delete; members look."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(request.user.is_superuser)


class MembershipInline(ManagedBySuperusers, admin.TabularInline[Membership, Any]):
    model = Membership
    extra = 1

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return True  # whoever may open the team or the person may see who belongs to it


@admin.register(Team)
class TeamAdmin(ManagedBySuperusers, TeamModelAdmin):
    list_display = ("name", "slug", "time_zone", "created_at")
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    inlines = (MembershipInline,)

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        return super().get_prepopulated_fields(request, obj) if request.user.is_superuser else {}


admin.site.unregister(User)


@admin.register(User)
class PersonAdmin(UserAdmin[User]):
    """Django's own user admin (for superusers), with the person's teams and roles."""

    inlines = (MembershipInline,)
    list_display = ("username", "email", "is_active", "is_superuser", "last_login")

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return self.inlines if obj else ()  # a new person is named first


@admin.register(StageRun)
class StageRunAdmin(TeamModelAdmin):
    list_display = ("job", "stage", "state", "step", "percent", "attempts", "lease_owner", "queued_at", "took")
    list_filter = ("state", "stage", "error_class", "priority")
    list_select_related = ("job",)
    search_fields = ("job__job_id", "lease_owner", "error")
    ordering = ("-id",)
    heavy = ("result", "metrics", "error")
    fields = (
        *("job", "stage", "state", "priority", "step", "percent", "attempts", "crashes"),
        *("queued_at", "available_at", "started_at", "ended_at", "took", "lease_owner", "lease_expires_at"),
        *("error_class", "error", "metrics_shown", "result_shown", "input_hash"),
    )

    @admin.display(description="seconds")
    def took(self, run: StageRun) -> str:
        return "" if run.seconds is None else f"{run.seconds:.1f}"

    @admin.display(description="metrics")
    def metrics_shown(self, run: StageRun) -> SafeString:
        return pretty_json(run.metrics)

    @admin.display(description="result")
    def result_shown(self, run: StageRun) -> SafeString:
        return pretty_json(run.result)


@admin.register(Attempt)
class AttemptAdmin(TeamModelAdmin):
    list_display = ("run", "number", "worker", "started_at", "ended_at", "outcome", "error_class")
    list_filter = ("outcome", "error_class", "started_at")
    list_select_related = ("run__job",)
    search_fields = ("run__job__job_id", "worker", "error")
    ordering = ("-id",)
    heavy = ("log", "run__result", "run__metrics", "run__error")
    fields = (*("run", "number", "worker", "started_at", "ended_at", "outcome"), *("error_class", "error", "log_shown"))

    @admin.display(description="log")
    def log_shown(self, attempt: Attempt) -> SafeString:
        return format_html('<pre class="code-block">{}</pre>', attempt.log)


@admin.register(Event)
class EventAdmin(TeamModelAdmin):
    list_display = ("at", "actor", "verb", "job", "batch", "moved", "reason")
    list_filter = ("verb", ("team", TeamFilter), ("actor", TeamFilter), "at")
    list_select_related = ("actor", "job", "batch")
    search_fields = ("job__job_id", "batch__name", "reason")
    ordering = ("-id",)
    fields = ("at", "team", "batch", "job", "version", "verb", "actor", "moved", "reason", "data_shown")

    @admin.display(description="from → to")
    def moved(self, event: Event) -> SafeString | str:
        if event.version is None:
            return ""
        return format_html("{} → {}", state_badge(event.from_public), state_badge(event.to_public))

    @admin.display(description="data")
    def data_shown(self, event: Event) -> SafeString:
        return pretty_json(event.data)


@admin.register(Match)
class MatchAdmin(TeamModelAdmin):
    list_display = ("job", "slot_name", "slot_kind", "layer_name", "score", "origin", "changed_by")
    list_filter = ("slot_kind", "origin")
    list_select_related = ("job", "changed_by")
    search_fields = ("job__job_id", "slot_name", "layer_name")
    ordering = ("-job_id", "order", "id")


@admin.register(Warning)
class WarningAdmin(TeamModelAdmin):
    list_display = ("job", "severity_shown", "code", "object", "message", "stage", "resolution")
    list_filter = ("severity", "kind", "stage", "resolution", "code")
    list_select_related = ("job",)
    search_fields = ("job__job_id", "code", "object", "message")
    ordering = ("-id",)

    @admin.display(description="severity", ordering="severity")
    def severity_shown(self, warning: Warning) -> SafeString:
        return severity_badge(warning.severity)


@admin.register(Asset)
class AssetAdmin(TeamModelAdmin):
    list_display = ("name", "kind", "job", "stage", "media_type", "size_bytes", "created_at")
    list_filter = ("kind", "stage", "storage", ("team", TeamFilter))
    list_select_related = ("job",)
    search_fields = ("name", "job__job_id", "sha256")
    ordering = ("-id",)


class ManagedByOperators:
    """Operators of a team (and superusers) add, change and delete its rows; its other members look."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(_operated_teams(request))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(_operated_teams(request)) if obj is None else obj.team_id in _operated_teams(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What is there stays with its team, as its history and what was sent do."""
        return () if obj is None else ("team",)

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        """What the list of applications, a part of every page, asks: to look is all it needs to offer."""
        return {"add": False, "change": False, "delete": False, "view": True}

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "team":
            kwargs["queryset"] = Team.objects.filter(pk__in=_operated_teams(request))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]


def person_of(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


def _operated_teams(request: HttpRequest) -> frozenset[int]:
    known: frozenset[int] | None = getattr(request, "operated_teams", None)
    if known is None:
        known = operated_teams(person_of(request))
        setattr(request, "operated_teams", known)  # noqa: B010 - a note on the request: asked for every button
    return known


class NoticeForm(forms.ModelForm[Any]):
    """Names of notices as boxes to tick."""

    events = forms.MultipleChoiceField(choices=list(NOTICE_NAMES.items()), widget=forms.CheckboxSelectMultiple)


class WebhookForm(NoticeForm):
    url = forms.URLField(label="URL", max_length=500, assume_scheme="https")
    secret = forms.CharField(max_length=120, validators=[check_secret])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "secret" not in self.fields:
            return  # for those who may only look
        wrong_key = self.instance.wrong_key
        if self.instance.pk is None:
            self.initial["secret"] = new_secret()
        elif wrong_key:
            self.fields["secret"].required = False
            self.fields["secret"].help_text = f"{wrong_key} Or type in another secret; an empty field changes nothing."
        else:
            self.initial["secret"] = self.instance.secret


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ManagedByOperators, TeamModelAdmin):
    form = WebhookForm
    list_display = ("url", "team", "active", "created_at")
    list_filter = ("active", ("team", TeamFilter))
    list_select_related = ("team",)
    search_fields = ("url",)
    ordering = ("-id",)
    fields = ("team", "url", "events", "active", "secret")

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """With the last test, and the button for another."""
        endpoint = kwargs.get("obj")
        if endpoint is not None:
            operates = endpoint.team_id in _operated_teams(request)
            context |= {"endpoint": endpoint, "test": notices.newest_test(endpoint), "operates": operates}
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """A secret that somebody types in holds alone, at once: that of before may have leaked."""
        if form.cleaned_data["secret"] and "secret" in form.changed_data:
            obj.secret = form.cleaned_data["secret"]
        endpoints.keep(person_of(request), obj)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        endpoints.remove(person_of(request), obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for endpoint in queryset:
            endpoints.remove(person_of(request), endpoint)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """The secret is for those who may change it."""
        fields = super().get_fields(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fields
        return [name for name in fields if name != "secret"]


@admin.register(MailSwitch)
class MailSwitchAdmin(ManagedByOperators, TeamModelAdmin):
    form = NoticeForm
    list_display = ("team", "active")
    list_filter = ("active",)
    list_select_related = ("team",)
    ordering = ("team",)
    fields = ("team", "events", "active")
