"""Models of the API: access tokens, and stored responses for requests with an Idempotency-Key."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from knox.models import AbstractAuthToken


class Scope(models.TextChoices):
    READ = "read", "Read"
    WRITE = "write", "Read and write"


class AccessToken(AbstractAuthToken):
    """An access token of a user or service account. Only its digest is stored; the token itself is shown once."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=80)
    scope = models.CharField(max_length=5, choices=Scope.choices, default=Scope.READ)
    last_used = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created"]

    def __str__(self) -> str:
        return f"{self.name} of {self.user_id}"


class StoredAnswer(models.Model):
    """The response to a POST with an Idempotency-Key, stored so that a repeated request does not repeat the work.

    The claim (a row without a status) commits first, with a lease. The response commits together with the write itself.
    `lease` identifies the request that holds the claim. Once it expires, another request can take over, and then the
    first one can no longer finish.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    key = models.CharField(max_length=255)
    method = models.CharField(max_length=8)
    path = models.CharField(max_length=500)
    body_digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    lease = models.UUIDField()
    leased_until = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=dict)
    body = models.JSONField(null=True)
    incident_id = models.BigIntegerField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key", "method", "path"], name="answer_once")]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"
