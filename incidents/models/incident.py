"""The incident, its organization and services, and links between incidents."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from incidents.durations import Duration, Moment, total_duration
from incidents.models.base import Versioned
from incidents.models.people import Team
from incidents.vocabulary import DetectedBy, LinkKind, Origin, Precision, Severity, Status, Visibility


class Organization(Versioned):
    """The organization that had the incident, under its name at the time. One of them is home: ours."""

    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=120, unique=True)
    website = models.URLField(max_length=1000, blank=True)
    sector = models.CharField(max_length=40, blank=True)
    is_home = models.BooleanField(default=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["is_home"], condition=Q(is_home=True), name="one_home"),
            # On an expression: changing a plain unique column makes PostgreSQL lock the row against references to it.
            models.UniqueConstraint(Lower("name"), name="organization_name_once"),
        ]

    def __str__(self) -> str:
        return self.name


class Service(Versioned):
    """A product or system of an organization."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="services")
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=120)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="services")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "slug"], name="service_once"),
            models.UniqueConstraint("organization", Lower("name"), name="service_name_once"),
        ]

    def __str__(self) -> str:
        return self.name


def _moment() -> models.DateTimeField:
    return models.DateTimeField(null=True, blank=True)


def _precision() -> models.CharField:
    return models.CharField(max_length=6, choices=Precision.choices, blank=True)


class Incident(Versioned):
    """One incident and the working copy of its postmortem. Readers see its latest Revision.

    `version` counts changes to the record; `index_version` also counts changes to anything else in the search document.
    """

    title = models.CharField(max_length=200)
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.OWN)
    external_id = models.CharField(max_length=200, null=True, blank=True)
    severity = models.CharField(max_length=4, choices=Severity.choices, null=True, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT)
    visibility = models.CharField(max_length=10, choices=Visibility.choices, default=Visibility.INTERNAL)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="incidents")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.PROTECT, related_name="incidents")
    services = models.ManyToManyField(Service, blank=True, related_name="incidents")
    detected_by = models.CharField(max_length=10, choices=DetectedBy.choices, null=True, blank=True)
    mitigations = models.JSONField(default=list, blank=True)
    planned_change = models.BooleanField(default=False)

    time_zone = models.CharField(max_length=64, default="UTC")
    started_at, started_precision = _moment(), _precision()
    detected_at, detected_precision = _moment(), _precision()
    mitigated_at, mitigated_precision = _moment(), _precision()
    resolved_at, resolved_precision = _moment(), _precision()
    stated_seconds = models.PositiveBigIntegerField(null=True, blank=True)
    stated_text = models.CharField(max_length=80, blank=True)

    template = models.ForeignKey("PostmortemTemplate", on_delete=models.PROTECT, related_name="incidents")
    published_revision = models.ForeignKey(
        "Revision", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    # Of the published revision. They differ from those above only while the incident is reopened.
    published_organization = models.ForeignKey(
        Organization, null=True, blank=True, on_delete=models.PROTECT, related_name="published_incidents"
    )
    published_services = models.ManyToManyField(Service, blank=True, related_name="published_incidents")
    index_version = models.PositiveBigIntegerField(default=1)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["origin", "external_id"],
                condition=Q(external_id__isnull=False),
                name="external_id_once_per_origin",
            )
        ]
        indexes = [
            models.Index(fields=["status", "visibility"]),
            models.Index(fields=["team", "status"]),
            models.Index(fields=["started_at"]),
            # Finds what everyone can see without reading the rows.
            models.Index(fields=["visibility", "deleted_at", "published_revision"]),
        ]

    def __str__(self) -> str:
        return self.ref

    @property
    def ref(self) -> str:
        return f"INC-{self.pk}"

    @property
    def has_published_revision(self) -> bool:
        """Do readers see a published revision, whether or not the incident is reopened? Archived ones do not count."""
        return self.published_revision_id is not None and self.status != Status.ARCHIVED

    def moment(self, name: str) -> Moment | None:
        """One of the four times: started, detected, mitigated, resolved."""
        at = getattr(self, f"{name}_at")
        return Moment(at, Precision(getattr(self, f"{name}_precision"))) if at else None

    @property
    def times(self) -> dict[str, Moment | None]:
        return {name: self.moment(name) for name in TIMES}

    @property
    def duration(self) -> Duration | None:
        return total_duration(
            self.moment("started"),
            self.moment("resolved"),
            stated_seconds=self.stated_seconds,
            stated_text=self.stated_text,
        )


TIMES = ("started", "detected", "mitigated", "resolved")


class IncidentLink(Versioned):
    """One incident's relation to another: `from_incident` is <kind> of `to_incident`."""

    from_incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="links_out")
    to_incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="links_in")
    kind = models.CharField(max_length=20, choices=LinkKind.choices)
    note = models.CharField(max_length=500, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["from_incident", "to_incident", "kind"], name="link_once"),
            models.CheckConstraint(condition=~Q(from_incident=models.F("to_incident")), name="no_link_to_itself"),
        ]

    def __str__(self) -> str:
        return f"{self.from_incident_id} {self.kind} {self.to_incident_id}"
