"""The search document: what of the record it holds."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps

from incidents.actions.incidents import delete_incident
from incidents.actions.sections import add_row
from incidents.models import OutboxEntry
from kb.search import relay
from kb.search.document import build_many
from kb.search.models import SearchDocument
from kb.search.service import SearchRequest, search
from kb.search.similar import similar


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles", "UTC"])
@pytest.mark.parametrize(
    "started", ["2026", "2026-01", "2026-01-01", "2026-12-31", "2026-01-01T03:10", "2026-12-31T22:10"]
)
def test_an_incident_begins_when_the_record_says_and_in_the_year_that_people_read(draft, zone, started):
    incident = draft(time_zone=zone, started=started)
    document = build_many([incident.pk])[incident.pk]
    assert document.started_at == incident.started_at
    assert document.shown["started_at"] == incident.started_at.isoformat()
    assert document.facets["year"] == ["2026"]


def test_incidents_are_found_by_their_beginning_in_their_own_zone(cast, draft):
    incident = draft(time_zone="Asia/Tokyo", started="2026-01-01")
    relay.drain()
    viewer = cast.viewer("author")
    # In UTC the day began at three in the afternoon of the day before.
    for q, found in (("started:2025-12-31", [incident.ref]), ("started:<2025-12-31", [])):
        assert [result.ref for result in search(viewer, SearchRequest(q=q)).results] == found


def test_an_impact_figure_reads_as_a_sentence_where_it_is_found(cast, draft):
    incident = draft()
    figure = {"label": "Checkouts that failed", "value": 1200, "unit": "orders", "qualifier": "about"}
    add_row(actor=cast.viewer("author"), incident_id=incident.pk, kind="impact_figures", values=figure)
    assert build_many([incident.pk])[incident.pk].texts["impact"] == "Checkouts that failed: about 1,200 orders."


def test_documents_of_before_are_built_anew(published):
    """Once, when the installation comes to know more of its incidents than the documents hold."""
    incident = published(visibility="public")
    relay.drain()
    SearchDocument.objects.update(texts={"title": "As it was before"})
    import_module("kb.search.migrations.0005_documents_anew").build_anew(apps, None)
    relay.drain()
    document = SearchDocument.objects.get()
    incident.refresh_from_db()
    assert document.texts["title"] == incident.title
    assert document.index_version == incident.index_version


def test_what_was_deleted_is_not_built_anew(cast, published):
    incident = published()
    delete_incident(actor=cast.viewer("lead"), incident_id=incident.pk)
    relay.drain()
    import_module("kb.search.migrations.0005_documents_anew").build_anew(apps, None)
    assert not OutboxEntry.objects.exists()


def test_the_same_service_is_known_by_whatever_forms_its_name_has(cast, published):
    one, other = (
        published(title, text=text, visibility="public", services=["Potoroo\u2122"])
        for title, text in (("A door stuck", "Nobody could enter."), ("The lights failed", "It was dark."))
    )
    relay.drain()
    (found,) = similar(cast.viewer("anonymous"), one)
    assert found.result.ref == other.ref
    assert found.reasons[0] == "same service: Potoroo\u2122"
