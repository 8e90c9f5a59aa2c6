"""The project itself as an app (its commands), and the team admin site as the project's admin site."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class AeprojectConfig(AppConfig):
    name = "aeproject"


class AeprojectAdminConfig(AdminConfig):
    default_site = "aeproject.admin.TeamAdminSite"
