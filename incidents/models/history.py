"""Published revisions, the audit entries, and the outbox."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from incidents.models.incident import Incident


class Revision(models.Model):
    """One published version: an immutable document in the shape of the JSON export."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    document = models.JSONField()
    note = models.CharField(max_length=500, blank=True)
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    published_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["incident", "number"], name="revision_once")]

    def __str__(self) -> str:
        return f"{self.incident_id} revision {self.number}"


class AuditEntry(models.Model):
    """Who did what to which object. Written with the change itself; never changed, never deleted with its object."""

    at = models.DateTimeField(auto_now_add=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    action = models.CharField(max_length=60)
    incident = models.ForeignKey(Incident, null=True, on_delete=models.SET_NULL, related_name="audit")
    object_type = models.CharField(max_length=40)
    object_id = models.CharField(max_length=64)
    change = models.JSONField(default=dict)

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["incident", "-id"])]

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}"


class OutboxEntry(models.Model):
    """One consumer still has to process one incident. Carries no content: consumers read the current state.

    `incident_id` is not a foreign key, so that an entry outlives a purged incident.
    """

    consumer = models.CharField(max_length=30)
    incident_id = models.BigIntegerField()
    narrows = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    tries = models.PositiveSmallIntegerField(default=0)
    not_before = models.DateTimeField(null=True, blank=True)
    lease = models.UUIDField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    parked_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["pk"]
        indexes = [
            models.Index(fields=["consumer", "parked_at", "id"]),
            models.Index(fields=["incident_id", "narrows"]),
        ]

    def __str__(self) -> str:
        return f"{self.consumer}: {self.incident_id}"
