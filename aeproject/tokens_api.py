"""The API of tokens: one for a password, and the list of one's own."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied, Throttled, ValidationError
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from aeproject.log_ins import address_of
from jobs import tokens
from jobs.api import PROBLEMS, DecisionParser, Door, NamedChoice, OneAnswer, answers, checked, person
from jobs.api_access import ANY_SCOPE
from jobs.idempotency import Idempotent
from jobs.limits import TooMany, count_log_in, forgive_log_in
from jobs.models import AccessToken
from jobs.tokens import Scope

SECRET_HELP = "Shown this once. Send it as `Authorization: Bearer ...`."  # noqa: S105 - no password
TOKEN_CONFLICT = {409: PROBLEMS[409]}


class ScopeField(NamedChoice):
    def __init__(self, **options: Any) -> None:
        super().__init__([scope.value for scope in Scope], component="Scope", **options)


class TokenSerializer(serializers.ModelSerializer[AccessToken]):
    """A token without its secret, which nobody knows any more."""

    user = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)
    scopes = serializers.ListField(child=ScopeField(), read_only=True)
    state = NamedChoice(("active", "expired", "revoked"), component="TokenState", read_only=True)

    class Meta:
        model = AccessToken
        fields: tuple[str, ...] = (
            "id", "user", "name", "prefix", "scopes", "state", "created_at", "expires_at", "last_used_at",
            "last_used_ip", "revoked_at",
        )  # fmt: skip
        read_only_fields = fields


class NewTokenSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100, help_text="What uses it.")
    scopes = serializers.ListField(
        child=ScopeField(),
        required=False,
        allow_empty=False,
        min_length=1,
        max_length=len(Scope),
        help_text="All when left out.",
    )
    days = serializers.IntegerField(
        required=False, min_value=1, max_value=settings.TOKEN_MAX_DAYS, help_text="Its life; TOKEN_DAYS when left out."
    )


class PasswordSerializer(NewTokenSerializer):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=4096, trim_whitespace=False, style={"input_type": "password"})
    name = serializers.CharField(max_length=100, required=False, default="made with a password")


class FreshTokenSerializer(TokenSerializer):
    """A new token, with its secret."""

    token = serializers.CharField(help_text=SECRET_HELP, read_only=True)

    class Meta(TokenSerializer.Meta):
        fields = (*TokenSerializer.Meta.fields, "token")
        read_only_fields = fields


def _fresh(token: AccessToken, secret: str, *, status: int) -> Response:
    shown = {**TokenSerializer(token).data, "token": secret}
    return Response(shown, status=status, headers={"Cache-Control": "no-store"})


def _scopes(data: dict[str, Any]) -> list[Scope]:
    return [Scope(name) for name in data.get("scopes", Scope)]


@extend_schema_view(
    list=extend_schema(summary="Your tokens", responses=answers({200: TokenSerializer(many=True)}, 400)),
    retrieve=extend_schema(summary="A token", responses=answers({200: TokenSerializer}, 400, 404)),
)
class TokenDoor(ListModelMixin, RetrieveModelMixin, Door[AccessToken]):
    """Your own tokens; those of integrations are on the page “API tokens”.

    A token makes and revokes only tokens that can do no more than it can itself.
    """

    queryset = AccessToken.objects.none()
    serializer_class = TokenSerializer
    scopes = reading_scopes = ANY_SCOPE

    def get_queryset(self) -> QuerySet[AccessToken]:
        return AccessToken.objects.filter(user=person(self.request)).select_related("user").order_by("-id")

    def at_conflict(self) -> dict[str, Any]:
        return {}

    @extend_schema(
        summary="Make a token",
        request=NewTokenSerializer,
        responses=answers({201: FreshTokenSerializer, **TOKEN_CONFLICT}, 400, 403, 404, 413),
    )
    def create(self, request: Request) -> Response:
        """The answer shows the secret, once."""
        data = checked(NewTokenSerializer, request)
        scopes = _scopes(data)
        self._check_not_more(request, scopes)
        made, secret = tokens.issue(person(request), name=data["name"], scopes=scopes, days=data.get("days"))
        return _fresh(made, secret, status=201)

    @extend_schema(
        summary="Revoke a token", request=None, responses=answers({204: None, **TOKEN_CONFLICT}, 400, 403, 404)
    )
    def destroy(self, request: Request, pk: str) -> Response:
        token = self.get_object()
        self._check_not_more(request, token.scopes)
        tokens.revoke(person(request), token)
        return Response(status=204)

    def _check_not_more(self, request: Request, scopes: list[Any]) -> None:
        if isinstance(request.auth, AccessToken) and not set(scopes) <= set(request.auth.scopes):
            raise PermissionDenied(f"This token has the scopes {', '.join(request.auth.scopes)}, and no more.")


# For a password -------------------------------------------------------------------------------------------------------
class ObtainToken(Idempotent):
    parser_classes = [DecisionParser]
    renderer_classes = [JSONRenderer]
    content_negotiation_class = OneAnswer
    metadata_class = None
    authentication_classes = []
    permission_classes = []
    throttle_classes = []
    scopes = ANY_SCOPE

    @extend_schema(
        summary="A token for a username and a password",
        request=PasswordSerializer,
        responses={
            code: answer
            for code, answer in answers({200: FreshTokenSerializer, **TOKEN_CONFLICT}, 400, 413).items()
            if code != 401
        },
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """A new one at every call with another key, or none. Send it as ``Authorization: Bearer ...`` with every other
        request.
        """
        data = checked(PasswordSerializer, request)
        name, address = data["username"], address_of(request._request)
        try:
            count_log_in(name, address)
        except TooMany as refusal:
            raise Throttled(refusal.retry_after_seconds, str(refusal)) from None
        user = authenticate(request._request, username=name, password=data["password"])
        if not isinstance(user, User):
            raise ValidationError({"non_field_errors": ["Unable to log in with provided credentials."]})
        forgive_log_in(name, address)
        # Who asks is known only now. That the password is right is known, too, and it is noted nowhere.
        asked = {field: value for field, value in data.items() if field != "password"}
        self.claim_key(request, user, hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest())
        made, secret = tokens.issue(user, name=data["name"], scopes=_scopes(data), days=data.get("days"))
        return _fresh(made, secret, status=200)
