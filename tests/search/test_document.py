"""The search document: what it contains of the record."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import import_module

import pytest
from django.apps import apps

from incidents.actions.incidents import delete_incident
from incidents.actions.sections import add_row
from incidents.models import Incident, OutboxEntry
from kb.search import relay
from kb.search.document import build_many
from kb.search.models import SearchDocument
from kb.search.service import SearchRequest, search
from kb.search.similar import similar


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles", "UTC"])
@pytest.mark.parametrize(
    "started", ["2026", "2026-01", "2026-01-01", "2026-12-31", "2026-01-01T03:10", "2026-12-31T22:10"]
)
def test_an_incident_starts_when_the_record_says_and_in_the_year_that_readers_see(draft, zone, started):
    incident = draft(time_zone=zone, started=started)
    document = build_many([incident.pk])[incident.pk]
    # A day, month or year is kept as it was written; a time is the same instant everywhere.
    began = (
        incident.started_at if "T" in started else datetime.fromisoformat(f"{started}-01-01"[:10]).replace(tzinfo=UTC)
    )
    assert document.started_at == began
    assert document.shown["started_at"] == began.isoformat()
    assert document.facets["year"] == ["2026"]


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles"])
def test_incidents_are_found_by_the_day_and_year_as_published(cast, draft, zone):
    for started in ("2026-01-01", "2008"):
        draft(started, time_zone=zone, started=started)
    relay.drain()
    viewer = cast.viewer("author")

    def found(q, **more):
        return [result.title for result in search(viewer, SearchRequest(q=q, **more)).results]

    assert found("started:2026-01-01") == found("started:2026") == ["2026-01-01"]
    assert found("started:2008") == found("", filters={"year": ["2008"]}) == ["2008"]
    assert found("started:2025..2026-01-01") == ["2026-01-01"]
    assert found("started:2007") == found("started:2025") == []


def test_a_day_is_sorted_by_its_date_as_published(cast, draft):
    draft("The day before, at noon", started="2023-08-27T12:00Z")
    draft("The day", time_zone="Asia/Tokyo", started="2023-08-28")
    draft("At six in the evening before", started="2023-08-27T18:00Z")
    relay.drain()
    found = search(cast.viewer("author"), SearchRequest(sort="oldest")).results
    assert [one.title for one in found] == ["The day before, at noon", "At six in the evening before", "The day"]


def test_an_impact_figure_is_indexed_as_a_readable_sentence(cast, draft):
    incident = draft()
    figure = {"label": "Checkouts that failed", "value": 1200, "unit": "orders", "qualifier": "about"}
    add_row(actor=cast.viewer("author"), incident_id=incident.pk, kind="impact_figures", values=figure)
    assert build_many([incident.pk])[incident.pk].texts["impact"] == "Checkouts that failed: about 1,200 orders."


@pytest.mark.parametrize(
    ("started", "text"),
    [
        ("1996", "1996"),
        ("2008-08", "August 2008 (2008-08)"),
        ("2021-10-04", "4 October 2021 (2021-10-04)"),
        ("2021-10-04T16:39-07:00", "4 October 2021 (2021-10-04)"),
        ("2021-10-04T23:39-07:00", "4 October 2021 (2021-10-04)\n\n5 October 2021 (2021-10-05)"),
    ],
)
def test_the_date_of_the_start_is_searchable_as_readers_see_it_and_in_utc(draft, started, text):
    incident = draft(started=started, time_zone="America/Los_Angeles")
    assert build_many([incident.pk])[incident.pk].texts["started"] == text


def test_an_incident_is_found_by_its_identifier_elsewhere(cast, published):
    incident = published("A queue was full", visibility="public")
    Incident.objects.filter(pk=incident.pk).update(external_id="2021-quokka-envoy-filters")
    relay.drain()
    for query in ("2021-quokka-envoy-filters", "quokka envoy", "org:nowhere OR filter"):
        (result,) = search(cast.viewer("anonymous"), SearchRequest(q=query)).results
        assert (result.ref, result.why[0]) == (incident.ref, "matched in identifier")
        assert "<mark>" in result.highlights[0].html


def test_documents_of_an_earlier_version_are_rebuilt(published):
    """This happens once, when a new version indexes more about incidents than the existing documents hold."""
    incident = published(visibility="public")
    relay.drain()
    SearchDocument.objects.update(texts={"title": "As it was before"})
    import_module("kb.search.migrations.0005_documents_anew").build_anew(apps, None)
    relay.drain()
    document = SearchDocument.objects.get()
    incident.refresh_from_db()
    assert document.texts["title"] == incident.title
    assert document.index_version == incident.index_version


def test_documents_of_deleted_incidents_are_not_rebuilt(cast, published):
    incident = published()
    delete_incident(actor=cast.viewer("lead"), incident_id=incident.pk)
    relay.drain()
    import_module("kb.search.migrations.0005_documents_anew").build_anew(apps, None)
    assert not OutboxEntry.objects.exists()


def test_a_shared_service_is_recognized_in_any_form_of_its_name(cast, published):
    one, other = (
        published(title, text=text, visibility="public", services=["Potoroo\u2122"])
        for title, text in (("A door stuck", "Nobody could enter."), ("The lights failed", "It was dark."))
    )
    relay.drain()
    (found,) = similar(cast.viewer("anonymous"), one)
    assert found.result.ref == other.ref
    assert found.reasons[0] == "same service: Potoroo\u2122"
