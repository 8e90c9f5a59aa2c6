"""Makes the team admin site the project's admin site."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class AeprojectAdminConfig(AdminConfig):
    default_site = "aeproject.admin.TeamAdminSite"
