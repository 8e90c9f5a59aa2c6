"""The admin site of teams: open to everybody who belongs to a team, with our pages beside the model admins."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, URLResolver, path
from django.utils.decorators import method_decorator
from django.utils.functional import SimpleLazyObject

from aeproject.log_ins import LogInForm
from jobs.models import Membership


class TeamAdminSite(AdminSite):
    """Team members enter; what they see there is decided by ``visible_to`` and their roles."""

    site_header = "aeproject"
    site_title = "aeproject"
    index_title = "Manage"
    site_url = None
    enable_nav_sidebar = False
    # Django's own form of the admin asks for is_staff; here membership is the key.
    login_form = LogInForm

    def has_permission(self, request: HttpRequest) -> bool:
        user = request.user
        if not user.is_active or not user.is_authenticated:
            return False
        if user.is_superuser:
            return True
        known: bool | None = getattr(user, "belongs_to_a_team", None)
        if known is None:
            # Asked by every model admin of a page: one query per request is enough.
            known = Membership.objects.filter(user=user).exists()
            setattr(user, "belongs_to_a_team", known)  # noqa: B010 - a note on the request's person, not a field
        return known

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> Any:
        """Django makes it for every page; made when a page looks at it, it costs ours neither queries nor time."""
        make = super().get_app_list
        return SimpleLazyObject(lambda: make(request, app_label))

    def get_urls(self) -> list[URLResolver | URLPattern]:
        from batches.urls import pages as batch_pages
        from review.urls import pages as review_pages

        return [
            path("manage/", self.admin_view(self.manage), name="manage"),
            # Before Django's, which only lets people log out who may enter.
            path("logout/", self.logout, name="logout"),
            *batch_pages(self),
            *review_pages(self),
            *super().get_urls(),
        ]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        from review.dashboard import dashboard

        return dashboard(request)

    def manage(self, request: HttpRequest) -> HttpResponse:
        """Django's list of applications: the records behind the pages."""
        return super().index(request)

    @method_decorator(login_not_required)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The login page; people without a team are told so, instead of being sent in a circle."""
        if request.user.is_authenticated and not self.has_permission(request):
            return render(request, "admin/no_team.html", {**self.each_context(request), "title": "No team"}, status=403)
        response = super().login(request, extra_context)
        form = (getattr(response, "context_data", None) or {}).get("form")
        if isinstance(form, LogInForm) and form.refusal is not None:
            response.status_code = 429
            response["Retry-After"] = str(form.refusal.retry_after_seconds)
        return response
