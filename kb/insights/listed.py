"""Which incidents lists, counts and statistics are about."""

from __future__ import annotations

from django.db.models import QuerySet

from incidents import scopes
from incidents.models import Incident
from incidents.scopes import Viewer
from incidents.vocabulary import Status


def listed(viewer: Viewer) -> QuerySet[Incident]:
    """What the viewer may see and nobody has archived."""
    return scopes.visible_incidents(viewer).exclude(status=Status.ARCHIVED)
