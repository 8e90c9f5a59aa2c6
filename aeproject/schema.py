"""What the OpenAPI schema says about the API as a whole: who may call what, and how answers travel."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from jobs.api_access import TokenAuthentication, scopes_of

JSON = "application/json"
SHARED_PARAMETERS: dict[str, dict[str, Any]] = {
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": "The ETag that you have: if it is still right, the answer is an empty 304.",
    },
    "Fields": {
        "name": "fields",
        "in": "query",
        "required": False,
        "schema": {"type": "string", "maxLength": 2000},
        "description": "Only these fields, separated by commas; a dot leads inside: id,progress.percent.",
    },
}
ETAG = {"description": "Names this content; send it as If-None-Match.", "schema": {"type": "string"}}


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "A token, with the scope that the operation names."}

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[str]]]:
        """One for each scope that opens the operation, as OpenAPI 3.1 lets every scheme name them."""
        return [{self.name: [scope.value]} for scope in scopes_of(auto_schema.view, auto_schema.method)]


def describe(result: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Hook of drf-spectacular: what every GET has in common."""
    result.setdefault("components", {}).setdefault("parameters", {}).update(SHARED_PARAMETERS)
    for item in result.get("paths", {}).values():
        operation = item.get("get")
        answer = operation["responses"].get("200") if operation else None
        if answer is None:
            continue
        parameters = operation.setdefault("parameters", [])
        parameters.append({"$ref": "#/components/parameters/IfNoneMatch"})
        answer.setdefault("headers", {})["ETag"] = ETAG
        operation["responses"]["304"] = {"description": "You have it already.", "headers": {"ETag": ETAG}}
        schema = answer.get("content", {}).get(JSON)
        if schema is not None:
            parameters.append({"$ref": "#/components/parameters/Fields"})
    return result
