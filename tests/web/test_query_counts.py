"""Committed query counts per page, the same for one incident as for a full page of them.

Raising a number is a decision to make here, not an accident.
"""

from __future__ import annotations

from datetime import date

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from incidents.actions import lifecycle
from kb.patterns.models import Pattern, Tag, TagSource, TagState
from tests.web.conftest import famous

# page: (anonymous, signed in). A signed-in request also reads the session, the user and their memberships.
BASELINE = {
    "/": (24, 30),
    "/search": (7, 11),
    "/search?q=cache&severity=sev2": (8, 12),
    "/incidents": (7, 11),
    "/outages": (6, 9),
    "/organizations": (3, 6),
    "/organizations/acme": (10, 13),
    "/patterns": (3, 6),
    "/patterns/retry-storm": (17, 20),
    "/patterns/retry-storm/trend.svg": (3, 6),
    "incident": (6, 18),
}


def queries(client, address):
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return len([query for query in captured.captured_queries if not query["sql"].startswith(("SAVEPOINT", "RELEASE"))])


@pytest.fixture
def several(cast, published, indexed):
    """write(5) adds five incidents, each with two patterns, plus reviews and drafts for the start page."""
    patterns = [
        Pattern.objects.create(slug=slug, name=slug.capitalize(), family="load", counts="Counts.")
        for slug in ("retry-storm", "cold-start")
    ]

    def write(number, organization):
        made = []
        for index in range(number):
            incident = published(
                f"Cache {index} of {organization}", visibility="public", severity="sev2", started="2019"
            )
            other = published(
                f"Also {index} of {organization}",
                visibility="public",
                organization=f"{organization} {index}",
                started="2021",
            )
            Tag.objects.bulk_create(
                Tag(incident=one, pattern=pattern, source=TagSource.RULE, state=TagState.AUTOMATIC)
                for one in (incident, other)
                for pattern in patterns
            )
            made.append(incident)
            lifecycle.reopen(actor=cast.viewer("author"), incident_id=other.pk)
            famous(f"Outage {index} of {organization}", organization)
        indexed()
        return made

    return write


def test_no_list_needs_more_queries_as_it_grows(several, browser, monkeypatch):
    # A day on which outages started, so that the start page shows all its parts.
    monkeypatch.setattr(timezone, "localdate", lambda: date(2026, 7, 2))
    first = several(1, "Square")[0]
    pages = {**{page: page for page in BASELINE if page != "incident"}, "incident": f"/incidents/{first.ref}"}
    clients = [browser("anonymous"), browser("author")]
    few = {name: tuple(queries(client, page) for client in clients) for name, page in pages.items()}
    several(7, "Slack")
    many = {name: tuple(queries(client, page) for client in clients) for name, page in pages.items()}
    assert many == few
    assert few == BASELINE
