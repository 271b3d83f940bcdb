"""Fixtures: the shipped vocabulary, and the tagger as a consumer of the outbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from incidents.actions.lifecycle import reopen
from incidents.actions.sections import change_section
from incidents.models import Incident
from incidents.scopes import Viewer
from kb.patterns import tagging, vocabulary
from kb.patterns.models import Tag

STORM = "Clients retried without back-off and multiplied the load on the service that was coming back."
NO_STORM = "The deploy failed and the engineer retried it the next day."


@pytest.fixture
def tagger(cast: Any, settings: Any) -> None:
    settings.OUTBOX_CONSUMERS = ["tagger", "database_index"]
    vocabulary.load(actor=Viewer.system())


@pytest.fixture
def tagged(tagger: None, published: Callable[..., Incident]) -> Callable[..., Incident]:
    """Make a published postmortem of Checkout with this text as its summary, tagged by the rules."""

    def make(text: str = STORM, title: str = "Gateway was slow", **facts: Any) -> Incident:
        incident = published(title, text=text, **facts)
        tagging.drain()
        incident.refresh_from_db()
        return incident

    return make


def tag(incident: Incident, slug: str = "retry-storm") -> Tag | None:
    return Tag.objects.select_related("pattern").filter(incident=incident, pattern__slug=slug).first()


def state(incident: Incident, slug: str = "retry-storm") -> tuple[str, str] | None:
    """The source and state of a tag, or None if there is no tag."""
    found = tag(incident, slug)
    return (found.source, found.state) if found else None


def write(cast: Any, incident: Incident, text: str, key: str = "summary") -> None:
    """Change a section in the working copy of a postmortem, reopening it first if it is published."""
    incident.refresh_from_db()
    if incident.status == "published":
        reopen(actor=cast.viewer("lead"), incident_id=incident.pk)
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key=key, body=text)
