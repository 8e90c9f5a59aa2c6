"""How the batch pages answer: whole pages in the frame of the admin site, and one answer per kind of error."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, StreamingHttpResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header

from batches.intake.sample import Form, Template, sample, sample_name
from jobs.errors import NotAllowed

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
OK, CONFLICT, UNPROCESSABLE, UNAVAILABLE = 200, 409, 422, 503


def person(request: HttpRequest) -> User:
    """The person who asks. The admin site has let nobody else in."""
    assert isinstance(request.user, User)
    return request.user


def page(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    return render(request, template, {**admin.site.each_context(request), **context}, status=status)


def toast(response: HttpResponse, text: str, *, level: str = "success") -> HttpResponse:
    """Adds a message that the page shows for a moment."""
    response["HX-Trigger"] = json.dumps({"toast": {"text": text, "level": level}})
    return response


def roles_guarded(view: View[P]) -> View[P]:
    """Turns a missing role into 403, with the words that name the role: a page, or for HTMX the words alone."""

    @wraps(view)
    def answer(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except NotAllowed as error:
            if not request.headers.get("HX-Request"):
                raise PermissionDenied(str(error)) from error
            return HttpResponseForbidden(str(error), content_type="text/plain; charset=utf-8")

    return answer


def csv_answer(data: Iterable[bytes], name: str) -> StreamingHttpResponse:
    return file_answer(data, name, media_type="text/csv; charset=utf-8")


def file_answer(data: Iterable[bytes], name: str, *, media_type: str) -> StreamingHttpResponse:
    """A file to keep, under this name."""
    disposition = content_disposition_header(as_attachment=True, filename=name) or "attachment"
    return StreamingHttpResponse(data, content_type=media_type, headers={"Content-Disposition": disposition})


def sample_answer(template: Template | None, form: Form) -> StreamingHttpResponse:
    """A sample sheet to download."""
    data, name = [sample(template, form=form)], sample_name(template, form=form)
    return csv_answer(data, name) if form == "csv" else file_answer(data, name, media_type=XLSX_TYPE)
