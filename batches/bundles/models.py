"""Links for people without an account, and who took what. Neither is part of a batch's history: a download changes
nothing."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from jobs import clock
from jobs.models import Job, Team
from jobs.teams import TeamQuerySet


class ShareLink(models.Model):
    """A way to the ZIP of a batch, or of one of its jobs, for whoever has the token.

    Only the token's SHA-256 is kept.
    """

    TEAM_FIELD = "team"
    BATCH_FIELD = "batch"

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="share_links")
    batch = models.ForeignKey("batches.Batch", on_delete=models.PROTECT, related_name="share_links")
    job = models.ForeignKey(Job, on_delete=models.PROTECT, null=True, blank=True, related_name="share_links")
    kinds = models.JSONField(default=list)
    note = models.CharField(max_length=200, blank=True)
    token_sha256 = models.CharField(max_length=64, unique=True, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=clock.now, editable=False)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    objects = TeamQuerySet["ShareLink"].as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.note or f"Link {self.pk}"

    @property
    def state(self) -> str:
        if self.revoked_at is not None:
            return "revoked"
        return "open" if self.expires_at > clock.now() else "expired"


class Download(models.Model):
    """Somebody took a ZIP, or a part of one: a member (``user``), or somebody with a link.

    ``sent_bytes`` is what was handed over from ``first_byte`` on; ``ended_at`` is empty while it goes out, and for ever
    when the process died meanwhile. ``etag`` is the SHA-256 of the manifest.
    """

    TEAM_FIELD = "team"
    BATCH_FIELD = "batch"

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="downloads")
    batch = models.ForeignKey("batches.Batch", on_delete=models.PROTECT, related_name="downloads")
    job = models.ForeignKey(Job, on_delete=models.PROTECT, null=True, blank=True, related_name="downloads")
    link = models.ForeignKey(ShareLink, on_delete=models.PROTECT, null=True, blank=True, related_name="downloads")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    kinds = models.JSONField(default=list)
    etag = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()
    first_byte = models.PositiveBigIntegerField(default=0)
    sent_bytes = models.PositiveBigIntegerField(default=0)
    address = models.CharField(max_length=64, blank=True)
    agent = models.CharField(max_length=200, blank=True)
    began_at = models.DateTimeField(default=clock.now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = TeamQuerySet["Download"].as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["began_at"], name="download_by_age")]

    def __str__(self) -> str:
        return f"{self.batch}, {self.began_at:%Y-%m-%d %H:%M}"

    @property
    def who(self) -> str:
        return self.user.get_username() if self.user else str(self.link)

    @property
    def is_whole(self) -> bool:
        """The last byte was handed over. What came before may have been sent in an earlier part."""
        return self.first_byte + self.sent_bytes >= self.size_bytes
