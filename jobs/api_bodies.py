"""What bodies may be: exactly what the schema says. A field that there is not, or of another type, is an error.

DRF leaves out what it does not know, and reads 5 as “5” and “yes” as true: a program with a slip of the pen would be
told that all went well. Parts of a form are text, and are read as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

MOST_NAMED = 5
TYPES: tuple[tuple[type[serializers.Field[Any, Any, Any, Any]], tuple[type, ...]], ...] = (
    (serializers.BooleanField, (bool,)),
    (serializers.IntegerField, (int, float)),
    (serializers.CharField, (str,)),
)
"""The types of JSON that a field takes; a float is taken by the field itself when it is a whole number."""
TEXT = r"^[^\u0000]*$"
WORDS = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"


def check_body(serializer: serializers.BaseSerializer[Any], data: Any) -> None:
    """Raises a ValidationError that names unknown fields, wrong types and overlong texts, also inside. Forms may be of
    text."""
    is_form = hasattr(data, "getlist")
    problems = _problems(serializer, data, is_form)
    if problems:
        raise ValidationError(problems)


def _problems(field: Any, value: Any, is_form: bool) -> Any:
    """What is wrong with a value, in the shape of DRF's errors; empty when nothing is, or the field itself will say."""
    if isinstance(field, serializers.Serializer):
        return _problems_of_object(field, value, is_form) if isinstance(value, Mapping) else {}
    if isinstance(field, serializers.ListField | serializers.ListSerializer):
        items = value if isinstance(value, list) else []
        found = {str(place): _problems(field.child, item, is_form) for place, item in enumerate(items)}
        return {place: problem for place, problem in found.items() if problem}
    if isinstance(field, serializers.DictField):
        found = {_shown(name): _problems(field.child, item, is_form) for name, item in _items(value)}
        return {name: problem for name, problem in found.items() if problem}
    return [] if is_form or value is None else _wrong_value(field, value)


def _problems_of_object(serializer: Any, value: Mapping[str, Any], is_form: bool) -> dict[str, Any]:
    known = {name: field for name, field in serializer.fields.items() if not field.read_only}
    # “jobs[0]name” is how a form says what is inside a list.
    unknown = [name for name in value if (str(name).partition("[")[0] if is_form else name) not in known]
    there_are = f"There are: {', '.join(known)}." if known else "None is taken here."
    problems: dict[str, Any] = {_shown(name): [f"There is no such field. {there_are}"] for name in unknown[:MOST_NAMED]}
    for name, field in known.items():
        inside = {} if is_form or name not in value else _problems(field, value[name], is_form)
        if inside:
            problems[name] = inside
    return problems


def _shown(name: Any) -> str:
    """A name that somebody sent, as it can be sent back: bearably long, and without lone surrogates."""
    return str(name)[:100].encode("utf-8", "backslashreplace").decode()


def _items(value: Any) -> Any:
    return value.items() if isinstance(value, Mapping) else ()


def _wrong_value(field: Any, value: Any) -> list[str]:
    for kind, types in TYPES:
        if isinstance(field, kind) and (
            not isinstance(value, types) or (isinstance(value, bool) and bool not in types)
        ):
            return [str(field.error_messages["invalid"])]
    most = getattr(field, "max_length", None)
    if most is not None and isinstance(value, str) and len(value) > most:
        # The field itself counts what is left when white space was trimmed.
        return [str(field.error_messages["max_length"]).format(max_length=most)]
    return []


# The schema -----------------------------------------------------------------------------------------------------------
class TextSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """Text that is sent has no NUL, and, where it may not be blank, something beside white space."""

    target_class = serializers.CharField

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Any:
        field = self.target
        schema = auto_schema._map_serializer_field(field, direction, bypass_extensions=True)
        if field.allow_null and isinstance(schema.get("type"), list):
            schema["type"] = "string"  # null is added to it once more
        if direction == "request" and not field.read_only and not field.allow_blank:
            schema |= {"minLength": 1, "pattern": WORDS if field.trim_whitespace else TEXT}
        return schema


def describe(result: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Hook of drf-spectacular: bodies have the fields that are named, and no others; text in addresses has no NUL."""
    schemas = result.get("components", {}).get("schemas", {})
    for item in result.get("paths", {}).values():
        for operation in item.values():
            for body in operation.get("requestBody", {}).get("content", {}).values():
                _close(body.get("schema", {}), schemas)
            for parameter in operation.get("parameters", ()):
                if parameter["in"] in {"path", "query"}:
                    _close(parameter["schema"], schemas)
    return result


def _close(schema: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Closes an object and those inside it; text in it has no NUL."""
    target = schemas.get(schema["$ref"].rpartition("/")[2], {}) if "$ref" in schema else schema
    if "properties" in target and "additionalProperties" not in target:
        target["additionalProperties"] = False
    if target.get("type") == "string" and not {"format", "enum", "pattern"} & set(target):
        target["pattern"] = TEXT
    inside = [*target.get("properties", {}).values(), *([target["items"]] if "items" in target else [])]
    for choice in (*inside, *target.get("oneOf", ()), *target.get("anyOf", ()), *target.get("allOf", ())):
        _close(choice, schemas)
