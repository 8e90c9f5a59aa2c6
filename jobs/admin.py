"""The records of the core, to look at: team members see their teams' rows and change nothing here."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from jobs.models import Membership

MOST_JSON_CHARACTERS = 20_000


class TeamFilter(admin.RelatedFieldListFilter):
    """A list filter over related rows that offers those of the person's teams alone."""

    def field_choices(
        self, field: Any, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        manager: Any = field.remote_field.model._default_manager
        if field.remote_field.model is User:
            shared = Membership.objects.visible_to(request.user).values("user_id")
            visible = manager.filter(pk__in=shared)
        else:
            visible = manager.visible_to(request.user)
        return list(field.get_choices(include_blank=False, limit_choices_to={"pk__in": visible.values("pk")}))


class TeamModelAdmin(admin.ModelAdmin[Any]):
    """Read-only, and only what ``visible_to`` shows. What happens to records happens through verbs."""

    list_per_page = 50
    show_full_result_count = False
    actions: ClassVar[Any] = None
    # Columns that are too large for a list of rows.
    heavy: ClassVar[tuple[str, ...]] = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        manager: Any = self.model._default_manager
        return manager.visible_to(request.user).order_by(*self.get_ordering(request))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changes = super().get_changelist_instance(request)
        if self.heavy:
            changes.result_list = [*changes.queryset.none()] if changes.result_count == 0 else changes.result_list
        return changes

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.admin_site.has_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.admin_site.has_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
