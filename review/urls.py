"""The batch pages, inside the admin site."""

from __future__ import annotations

from django.contrib.admin import AdminSite
from django.urls import URLPattern


def pages(site: AdminSite) -> list[URLPattern]:
    return []
