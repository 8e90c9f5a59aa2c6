"""What the OpenAPI schema says about the API as a whole."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from jobs.api_access import TokenAuthentication, scopes_of


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "A token, with the scope that the operation names."}

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[str]]]:
        """One for each scope that opens the operation, as OpenAPI 3.1 lets every scheme name them."""
        return [{self.name: [scope.value]} for scope in scopes_of(auto_schema.view, auto_schema.method)]
