"""What the OpenAPI schema says about the API as a whole: who may call what, and how answers travel."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from jobs.api import FIELD_PROBLEMS, MOST_ID
from jobs.api_access import TokenAuthentication, scopes_of

JSON = "application/json"
BAD_REQUEST = {
    "description": "What is wrong, by the name of the field.",
    "content": {JSON: {"schema": FIELD_PROBLEMS}},
}
IF_NONE_MATCH: dict[str, Any] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The ETag that you have: if it is still right, the answer is an empty 304.",
}
RECORD = {"type": "integer", "minimum": 0, "maximum": MOST_ID}
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
    """Hook of drf-spectacular: what every address, and every GET, has in common."""
    components = result.setdefault("components", {})
    components.setdefault("parameters", {})["IfNoneMatch"] = IF_NONE_MATCH
    for item in result.get("paths", {}).values():
        for operation in item.values():
            _number_records(operation)
            _fill_lists(operation)
        if "get" in item and "200" in item["get"]["responses"]:
            _describe_get(item["get"], components.setdefault("schemas", {}))
    return result


def _number_records(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter.get("in") == "path" and parameter["name"] == "id" and parameter["schema"].get("format") != "uuid":
            parameter["schema"] = RECORD


def _fill_lists(operation: dict[str, Any]) -> None:
    """A list in one parameter (``a,b``) names something: an empty one is left out."""
    for parameter in operation.get("parameters", ()):
        if parameter.get("in") == "query" and parameter.get("explode") is False:
            parameter["schema"].setdefault("minItems", 1)


def _describe_get(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """A GET has an ETag, may be answered 304, and shows a part of its fields when it is asked to."""
    answer, parameters = operation["responses"]["200"], operation.setdefault("parameters", [])
    parameters.append({"$ref": "#/components/parameters/IfNoneMatch"})
    answer.setdefault("headers", {})["ETag"] = ETAG
    operation["responses"]["304"] = {"description": "You have it already.", "headers": {"ETag": ETAG}}
    shown = answer.get("content", {}).get(JSON)
    if shown is None or operation.get("deprecated"):
        return  # the predecessor's addresses show everything
    results = _list_of(shown["schema"], schemas)
    record = results["items"] if results else shown["schema"]
    name = record.get("$ref", "").rpartition("/")[2]
    if "properties" not in schemas.get(name, {}):
        return
    parameters.append(_fields_of(schemas[name], schemas))
    operation["responses"].setdefault("400", BAD_REQUEST)
    either = {"anyOf": [record, {"$ref": f"#/components/schemas/{_part_of(name, schemas)}"}]}
    if results:
        results["items"] = either
    else:
        shown["schema"] = either


def _list_of(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any] | None:
    """The ``results`` of a paginated answer, when their rows were not described yet."""
    page = schemas.get(schema.get("$ref", "").rpartition("/")[2], {})
    results: dict[str, Any] | None = (
        page.get("properties", {}).get("results") if "next" in page.get("properties", {}) else None
    )
    return results


def _fields_of(record: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    names = []
    for name, schema in record["properties"].items():
        names.append(name)
        names += [f"{name}.{inside}" for inside in _inside(schema, schemas).get("properties", {})]
    return {
        "name": "fields",
        "in": "query",
        "required": False,
        "style": "form",
        "explode": False,
        "schema": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": names}},
        "description": "Only these fields; a dot leads inside.",
    }


def _part_of(name: str, schemas: dict[str, Any]) -> str:
    """The name of the schema of a record with some of its fields, made when it is new."""
    part = f"{name}Part"
    if part not in schemas:
        properties = {
            field: {} if _inside(schema, schemas).get("properties") else schema
            for field, schema in schemas[name]["properties"].items()
        }
        words = f"{name} with the fields that were asked for."
        schemas[part] = {
            "type": "object",
            "description": words,
            "properties": properties,
            "additionalProperties": False,
        }
    return part


def _inside(schema: dict[str, Any], schemas: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The object that a field holds, or that the items of its list are; {} for anything else."""
    choice: dict[str, Any]
    for choice in (schema, *schema.get("oneOf", ()), *schema.get("anyOf", ()), *schema.get("allOf", ())):
        if "$ref" in choice:
            return _inside(schemas.get(str(choice["$ref"]).rpartition("/")[2], {}), schemas)
        if "items" in choice:
            return _inside(choice["items"], schemas)
        if "properties" in choice:
            return choice
    return {}
