"""The documents of the database engine (one row per incident, which can be rebuilt from the record at any time), the
engines that are in step with the record, and saved searches."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower

from incidents.models import Incident


class SearchDocument(models.Model):
    """What the database engine stores about an incident: what to filter, count and sort by, and what to show.

    The inverted index itself is a table (SQLite FTS5) or a column (PostgreSQL tsvector) that a migration adds. `texts`
    are the original texts by section, for highlights; `shown` is what a result displays.
    """

    incident = models.OneToOneField(
        Incident, on_delete=models.CASCADE, primary_key=True, related_name="search_document"
    )
    index_version = models.PositiveBigIntegerField()
    status = models.CharField(max_length=10)
    origin = models.CharField(max_length=10)
    severity = models.CharField(max_length=7)
    organization = models.CharField(max_length=120)
    detected_by = models.CharField(max_length=10)
    year = models.CharField(max_length=7)
    duration = models.CharField(max_length=10)
    started_at = models.DateTimeField(null=True)
    duration_seconds = models.BigIntegerField(null=True)
    duration_counts = models.BooleanField(default=False)
    # SQLite reads a row from its beginning, so these come last; see the migrations.
    shown = models.JSONField()
    texts = models.JSONField()

    class Meta:
        indexes = [
            models.Index(fields=["status"]),
            models.Index(fields=["organization"]),
            models.Index(fields=["started_at"]),
            models.Index(fields=["duration_seconds"]),
        ]

    def __str__(self) -> str:
        return f"document of {self.incident_id}"


class SearchValue(models.Model):
    """A value of a field that can have several per document: patterns, families, services, mitigations, teams, what it
    `has`, the names of its organization, and the days on which its open actions are due."""

    document = models.ForeignKey(SearchDocument, on_delete=models.CASCADE, related_name="values")
    field = models.CharField(max_length=12)
    value = models.CharField(max_length=120)

    class Meta:
        indexes = [models.Index(fields=["field", "value", "document"])]

    def __str__(self) -> str:
        return f"{self.field}={self.value}"


class EngineInStep(models.Model):
    """An engine, by its name as a consumer of the outbox, that is sent every change; see
    kb/search/engines_in_step.py."""

    consumer = models.CharField(max_length=30, primary_key=True)

    def __str__(self) -> str:
        return self.consumer


class SavedSearch(models.Model):
    """A search that a user saved, visible to that user only; see kb/search/saved.py. `query` is a URL query string."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_searches")
    name = models.CharField(max_length=80)
    query = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint("user", Lower("name"), name="saved_search_named_once")]

    def __str__(self) -> str:
        return self.name
