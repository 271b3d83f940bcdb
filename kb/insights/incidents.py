"""The incidents that lists, counts and statistics cover."""

from __future__ import annotations

from django.db.models import QuerySet

from incidents import scopes
from incidents.models import Incident
from incidents.scopes import Viewer
from incidents.vocabulary import Status


def listed_incidents(viewer: Viewer) -> QuerySet[Incident]:
    """The incidents that the viewer can see, without archived ones."""
    return scopes.visible_incidents(viewer).exclude(status=Status.ARCHIVED)
