"""How programs sign in: tokens of people, and machine users with tokens of their own."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db import models
from django.db.models import Q

from jobs import clock
from jobs.models.team import Team
from jobs.teams import TeamQuerySet, is_lead


class IntegrationQuerySet(TeamQuerySet["Integration"]):
    """What leads look after: the integrations of their teams."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        return super().visible_to(user) if isinstance(user, User) and is_lead(user) else self.none()


class TokenQuerySet(TeamQuerySet["AccessToken"]):
    """Tokens are a person's own; a lead looks after those of integrations."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        if not (isinstance(user, User) and user.is_active):
            return self.none()
        looked_after = Integration.objects.visible_to(user).values("user_id")
        return self.filter(Q(user=user) | Q(user__in=looked_after))


class Integration(models.Model):
    """A program that acts in one team under its own name. Its user has no password and can use the API alone."""

    TEAM_FIELD = "team"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="integrations")
    name = models.CharField(max_length=60)
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="integration")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=clock.now, editable=False)
    removed_at = models.DateTimeField(null=True, blank=True)

    objects = IntegrationQuerySet.as_manager()

    class Meta:
        ordering = ["team", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["team", "name"], condition=Q(removed_at=None), name="one_integration_of_a_name"
            )
        ]

    def __str__(self) -> str:
        return self.name


class AccessToken(models.Model):
    """Opens the API for its user within its scopes until it expires. The secret itself is kept nowhere.

    ``digest`` is the SHA-256 of the secret in hexadecimal: 256 random bits need no salt and no slow hash. ``scopes`` is
    a sorted list of ``jobs.tokens.Scope``; ``prefix`` the beginning of the secret, to tell tokens apart.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="access_tokens")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_ip = models.GenericIPAddressField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = TokenQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def state(self) -> str:
        """``active``, ``expired`` or ``revoked``."""
        if self.revoked_at is not None:
            return "revoked"
        return "active" if self.expires_at > clock.now() else "expired"
