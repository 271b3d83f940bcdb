"""The vocabulary of recurring failure patterns, and which incidents show them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from incidents.models import Incident
from incidents.vocabulary import Family


class PatternStatus(models.TextChoices):
    ACTIVE = "active", "Active"
    RETIRED = "retired", "Retired"
    MERGED = "merged", "Merged into another"


class TagSource(models.TextChoices):
    RULE = "rule", "Rule"
    MODEL = "model", "Model"
    CURATOR = "curator", "Curator"
    PERSON = "person", "Person"


class TagState(models.TextChoices):
    SUGGESTED = "suggested", "Suggested"
    AUTOMATIC = "automatic", "Automatic"
    CONFIRMED = "confirmed", "Confirmed"
    REJECTED = "rejected", "Rejected"
    WITHDRAWN = "withdrawn", "Withdrawn"


class Pattern(models.Model):
    """A kind of failure that recurs. A slug, once published, never changes its meaning."""

    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=120)
    family = models.CharField(max_length=10, choices=Family.choices)
    counts = models.TextField()
    does_not_count = models.TextField(blank=True)
    advice = models.TextField(blank=True)
    status = models.CharField(max_length=10, choices=PatternStatus.choices, default=PatternStatus.ACTIVE)
    merged_into = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    version = models.PositiveIntegerField(default=1)
    # Raised whenever the digest of the rule changes; 0 for a pattern that never had one.
    rule_version = models.PositiveIntegerField(default=0)
    rule_digest = models.CharField(max_length=64, blank=True)
    # The version of the rule that every incident has been asked with.
    rule_applied = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["family", "name"]

    def __str__(self) -> str:
        return self.name


class Tag(models.Model):
    """That an incident shows a pattern: who says so, how sure, and the sentences that show it.

    `evidence` is a list of anchors: {"field", "hash", "start", "end", "quote"}; see kb/patterns/anchors.py. One that a
    person added has "by_hand", and goes when they take their decision back. While a tag is suggested again, the
    sentences with which it was rejected are kept behind the others: they have "rejected", and are shown to nobody.
    A person's decision (confirmed, rejected) is never undone by a rule. One that is suggested and has `decided_by` was
    rejected by them and suggested again by a later rule. `rule_version` is that of the rule that found it; of one added
    by hand and rejected that of the rule of the time.
    """

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="tags")
    pattern = models.ForeignKey(Pattern, on_delete=models.PROTECT, related_name="tags")
    source = models.CharField(max_length=10, choices=TagSource.choices)
    state = models.CharField(max_length=10, choices=TagState.choices)
    rule_version = models.PositiveIntegerField(null=True, blank=True)
    score = models.FloatField(null=True, blank=True)
    evidence = models.JSONField(default=list, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["pattern__name"]
        constraints = [
            models.UniqueConstraint(fields=["incident", "pattern"], name="tag_once"),
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True) | Q(decided_at__isnull=False), name="decision_has_its_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.incident_id}: {self.pattern_id} {self.state}"

    @property
    def shown_evidence(self) -> list[dict[str, Any]]:
        return [anchor for anchor in self.evidence if not anchor.get("rejected")]


class Retag(models.Model):
    """One round of asking changed rules about every incident: `patterns` are {slug: version of its rule}.

    What is left to do are its batches; kb/patterns/retagging.py works through them.
    """

    patterns = models.JSONField()
    batches_planned = models.PositiveIntegerField()
    begun_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{len(self.patterns)} rules, begun {self.begun_at:%Y-%m-%d %H:%M}"


class RetagBatch(models.Model):
    """Incidents that a round has not come to yet, by the first and last id. Deleted with the write of its tags."""

    retag = models.ForeignKey(Retag, on_delete=models.CASCADE, related_name="batches")
    first = models.BigIntegerField()
    last = models.BigIntegerField()
    lease = models.UUIDField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["first"]

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"


SHOWN = (TagState.AUTOMATIC, TagState.CONFIRMED)
