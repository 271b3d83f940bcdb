"""The postmortem: its template, prose sections, rows of records, and reviews."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from incidents.durations import Moment
from incidents.models.base import Versioned
from incidents.models.incident import Incident
from incidents.models.people import Team
from incidents.vocabulary import (
    ActionKind,
    ActionState,
    CauseKind,
    EventKind,
    Family,
    Precision,
    Qualifier,
    ReviewState,
)


class PostmortemTemplate(models.Model):
    """One immutable version of a template. A change makes a new version; postmortems keep the one they started with."""

    key = models.SlugField(max_length=60)
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=80)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.PROTECT, related_name="templates")
    definition = models.JSONField(help_text="As templates/postmortem.schema.json describes.")
    is_current = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["key", "-number"]
        constraints = [models.UniqueConstraint(fields=["key", "number"], name="template_version_once")]

    def __str__(self) -> str:
        return f"{self.key} {self.number}"


class PostmortemSection(Versioned):
    """One section of a postmortem: prose in `body`, or for a records section the reason why it has no rows."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="sections")
    key = models.CharField(max_length=40)
    body = models.TextField(blank=True)
    none_reason = models.CharField(max_length=500, blank=True)
    updated_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["incident", "key"], name="section_once")]

    def __str__(self) -> str:
        return f"{self.incident_id}/{self.key}"


class Row(Versioned):
    """A record inside a section. `position` orders rows that are not ordered by time."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="%(class)ss")
    position = models.PositiveIntegerField(default=0)

    class Meta:
        abstract = True
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.uuid}"


class TimelineEvent(Row):
    at = models.DateTimeField()
    precision = models.CharField(max_length=6, choices=Precision.choices)
    kind = models.CharField(max_length=12, choices=EventKind.choices, default=EventKind.OTHER)
    text = models.TextField()
    data_url = models.CharField(max_length=1000, blank=True)

    class Meta(Row.Meta):
        abstract = False
        ordering = ["at", "position", "pk"]

    @property
    def moment(self) -> Moment:
        return Moment(self.at, Precision(self.precision))


class Cause(Row):
    kind = models.CharField(max_length=12, choices=CauseKind.choices)
    family = models.CharField(max_length=10, choices=Family.choices, null=True, blank=True)
    text = models.TextField()

    class Meta(Row.Meta):
        abstract = False


class Lesson(Row):
    text = models.TextField()

    class Meta(Row.Meta):
        abstract = False


class ActionItem(Row):
    kind = models.CharField(max_length=10, choices=ActionKind.choices)
    state = models.CharField(max_length=12, choices=ActionState.choices, default=ActionState.OPEN)
    text = models.TextField()
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="action_items",
    )
    due = models.DateField(null=True, blank=True)
    tracker_url = models.CharField(max_length=1000, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta(Row.Meta):
        abstract = False


class ImpactFigure(Row):
    """A figure for the impact. `source` says where it comes from: a dashboard's address, a query, a report."""

    label = models.CharField(max_length=120)
    qualifier = models.CharField(max_length=10, choices=Qualifier.choices, default=Qualifier.EXACTLY)
    value = models.DecimalField(max_digits=24, decimal_places=4)
    unit = models.CharField(max_length=40)
    source = models.CharField(max_length=1000, blank=True)

    class Meta(Row.Meta):
        abstract = False


class Source(Row):
    """A source of facts. `supports` names these facts: keys of facts and sections, or ids of rows."""

    url = models.CharField(max_length=1000)
    archive_url = models.CharField(max_length=1000, blank=True)
    publisher = models.CharField(max_length=120, blank=True)
    title = models.CharField(max_length=300)
    published = models.CharField(max_length=10, blank=True, help_text="YYYY, YYYY-MM or YYYY-MM-DD, as far as known.")
    looked_up = models.DateField(null=True, blank=True)
    is_primary = models.BooleanField(default=False)
    supports = models.JSONField(default=list, blank=True)

    class Meta(Row.Meta):
        abstract = False


class Disagreement(Row):
    """Where sources differ, and what each says."""

    about = models.CharField(max_length=60)
    text = models.TextField()

    class Meta(Row.Meta):
        abstract = False


class ReviewRequest(models.Model):
    """The request to one reviewer in one round of review, and their decision."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="reviews")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="reviews")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=20, choices=ReviewState.choices, default=ReviewState.ASKED)
    comment = models.TextField(blank=True)
    approved_version = models.PositiveIntegerField(null=True, blank=True)
    asked_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    # Set when the round ends by publishing, withdrawing or submitting again. Its decisions stay for the authors.
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["asked_at", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["incident", "reviewer"], condition=models.Q(ended_at__isnull=True), name="reviewer_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.incident_id} by {self.reviewer_id}: {self.state}"

    def approves(self, version: int) -> bool:
        """Whether it approves this version of the text, in a round that has not ended."""
        return self.state == ReviewState.APPROVED and self.ended_at is None and self.approved_version == version
