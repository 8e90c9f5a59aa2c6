"""The admin site of teams: open to everybody who belongs to a team, with our pages beside the model admins."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.urls import URLPattern, URLResolver

from jobs.models import Membership


class TeamAdminSite(AdminSite):
    """Team members enter; what they see there is decided by ``visible_to`` and their roles."""

    site_header = "aeproject"
    site_title = "aeproject"
    index_title = "Dashboard"
    enable_nav_sidebar = False

    def has_permission(self, request: HttpRequest) -> bool:
        user = request.user
        if not user.is_active or not user.is_authenticated:
            return False
        return user.is_superuser or Membership.objects.filter(user=user).exists()

    def get_urls(self) -> list[URLResolver | URLPattern]:  # type: ignore[override]
        from batches.urls import pages as batch_pages
        from review.urls import pages as review_pages

        return [*batch_pages(self), *review_pages(self), *super().get_urls()]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        from review.views import dashboard

        return dashboard(request)
