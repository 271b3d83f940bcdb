"""The models of the record. Nothing outside incidents/actions/ saves them."""

from incidents.models.history import AuditEntry, OutboxEntry, Revision
from incidents.models.incident import Incident, IncidentLink, Organization, Service
from incidents.models.people import Invitation, Membership, Team, User
from incidents.models.postmortem import (
    ActionItem,
    Cause,
    Disagreement,
    ImpactFigure,
    Lesson,
    PostmortemSection,
    PostmortemTemplate,
    ReviewRequest,
    Row,
    Source,
    TimelineEvent,
)

__all__ = [
    "ActionItem",
    "AuditEntry",
    "Cause",
    "Disagreement",
    "ImpactFigure",
    "Incident",
    "IncidentLink",
    "Invitation",
    "Lesson",
    "Membership",
    "Organization",
    "OutboxEntry",
    "PostmortemSection",
    "PostmortemTemplate",
    "ReviewRequest",
    "Revision",
    "Row",
    "Service",
    "Source",
    "Team",
    "TimelineEvent",
    "User",
]
