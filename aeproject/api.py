"""The API's root."""

from typing import Any

from rest_framework.views import exception_handler as drf_exception_handler

urlpatterns: list[Any] = []


def exception_handler(error: Exception, context: dict[str, Any]) -> Any:
    return drf_exception_handler(error, context)
