"""Models for the vocabulary of recurring failure patterns, the tags of incidents, and rounds of re-tagging."""

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
    """A kind of failure that recurs. Once published, its slug never changes its meaning."""

    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=120)
    family = models.CharField(max_length=10, choices=Family.choices)
    counts = models.TextField()
    does_not_count = models.TextField(blank=True)
    advice = models.TextField(blank=True)
    status = models.CharField(max_length=10, choices=PatternStatus.choices, default=PatternStatus.ACTIVE)
    merged_into = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    version = models.PositiveIntegerField(default=1)
    # Raised whenever the digest of the rule changes; 0 for a pattern that never had a rule.
    rule_version = models.PositiveIntegerField(default=0)
    rule_digest = models.CharField(max_length=64, blank=True)
    # The version of the rule that has been run on every incident.
    rule_applied = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["family", "name"]

    def __str__(self) -> str:
        return self.name


class Tag(models.Model):
    """A pattern on an incident: who set it, how certain it is, and the sentences that show it.

    `evidence` is a list of anchors: {"field", "hash", "start", "end", "quote"}; see kb/patterns/anchors.py. An anchor
    that a person added has "by_hand" set and is removed when they undo their decision. While a tag is suggested
    again, the anchors of its earlier rejection are kept at the end of the list, with "rejected" set, and are not shown.

    A rule never undoes a person's decision (confirmed, rejected). A suggested tag with `decided_by` set was rejected by
    that person and suggested again by a later rule. `rule_version` is the version of the rule that found the tag; on a
    tag that was added by hand and then rejected, it is the version in force at the time of the rejection.
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
    """A round of running changed rules on every incident. `patterns` is {slug: version of its rule}.

    Its remaining batches are the work that is left; kb/patterns/retagging.py processes them.
    """

    patterns = models.JSONField()
    batches_planned = models.PositiveIntegerField()
    begun_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{len(self.patterns)} rules, started {self.begun_at:%Y-%m-%d %H:%M}"


class RetagBatch(models.Model):
    """A range of incident ids that a round has still to process. Deleted in the transaction that writes its tags."""

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
