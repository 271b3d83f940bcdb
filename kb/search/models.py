"""The documents of the database engine: one row an incident, rebuilt from the record at any time."""

from __future__ import annotations

from django.db import models

from incidents.models import Incident


class SearchDocument(models.Model):
    """What the database engine knows of an incident.

    `texts` keeps the original text of each field for highlights; the inverted index itself lives in a table (SQLite FTS5)
    or column (PostgreSQL tsvector) that the migration adds. The facet columns repeat what the document showed when it was
    built, never more.
    """

    incident = models.OneToOneField(Incident, on_delete=models.CASCADE, primary_key=True, related_name="search_document")
    index_version = models.PositiveBigIntegerField()
    title = models.CharField(max_length=200)
    texts = models.JSONField()
    status = models.CharField(max_length=10)
    origin = models.CharField(max_length=10)
    severity = models.CharField(max_length=7)
    organization = models.CharField(max_length=120)
    team = models.CharField(max_length=80, blank=True)
    detected_by = models.CharField(max_length=10, blank=True)
    started_at = models.DateTimeField(null=True)
    year = models.PositiveSmallIntegerField(null=True)
    duration_seconds = models.BigIntegerField(null=True)
    duration_bucket = models.CharField(max_length=12, blank=True)

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
    """The many-valued facets of a document: patterns, families, services, mitigations, and what it has."""

    document = models.ForeignKey(SearchDocument, on_delete=models.CASCADE, related_name="values")
    field = models.CharField(max_length=12)
    value = models.CharField(max_length=120)

    class Meta:
        indexes = [models.Index(fields=["field", "value", "document"])]

    def __str__(self) -> str:
        return f"{self.field}={self.value}"
