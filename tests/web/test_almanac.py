"""Outages by the calendar, and the panel of similar incidents."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.utils import timezone

from incidents.models import Incident
from incidents.outages import files
from kb.search import relay
from kb.web import almanac


@pytest.fixture
def famous(cast, published):
    def make(title, started, precision="minute", **facts):
        incident = published(title, visibility="public", started={"at": started, "precision": precision}, **facts)
        Incident.objects.filter(pk=incident.pk).update(origin="famous", external_id=title, index_version=99)
        return incident

    return make


def indexed():
    relay.audit()
    relay.drain()


def test_on_this_day_shows_outages_that_started_on_it_in_any_year_if_the_day_is_known(cast, famous):
    famous("Same day", "2019-07-02T13:42Z")
    famous("Another day", "2019-07-03T13:42Z")
    famous("Only the month", "2019-07", "month")
    indexed()
    hits = almanac.on_this_day(cast.viewer("anonymous"), date(2026, 7, 2))
    assert [hit.result.title for hit in hits] == ["Same day"]
    assert almanac.on_this_day(cast.viewer("anonymous"), date(2026, 7, 9)) == []


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles"])
def test_a_day_is_shown_as_published_whatever_the_readers_zone(client, cast, famous, zone):
    famous("Disks were full", "2023-08-28", "day", time_zone=zone)
    indexed()
    viewer = cast.viewer("anonymous")
    with timezone.override("Pacific/Honolulu"):
        found = {day: len(almanac.on_this_day(viewer, date(2026, 8, day))) for day in (27, 28, 29)}
    assert found == {27: 0, 28: 1, 29: 0}
    for address in ("/search?q=disks", "/outages", "/organizations/acme"):
        assert '<time datetime="2023-08-28">28 August 2023</time>' in client.get(address).content.decode()


@pytest.mark.parametrize("count", [1, 3, 47, 94, 188, len(files.paths(files.FOLDER))])
def test_every_outage_gets_its_turn_however_many_there_are(count):
    monday = date(2026, 11, 16)
    turns = [almanac.weekly_index(monday + timedelta(weeks=n), count) for n in range(count)]
    assert sorted(turns) == list(range(count))


def test_the_outage_of_the_week_stays_for_a_week_and_each_has_its_turn(cast, famous):
    for n in range(3):
        famous(f"Outage {n}", f"2019-0{n + 1}-02T13:42Z")
    indexed()
    viewer = cast.viewer("anonymous")
    monday = date(2026, 11, 16)
    assert {almanac.of_the_week(viewer, monday + timedelta(days=n)).result.title for n in range(7)} == {
        almanac.of_the_week(viewer, monday).result.title
    }
    assert {almanac.of_the_week(viewer, monday + timedelta(weeks=n)).result.title for n in range(3)} == {
        "Outage 0",
        "Outage 1",
        "Outage 2",
    }


def test_the_duration_of_a_similar_incident_is_kept_apart_from_the_reasons_for_its_similarity(client, published):
    one, _ = (
        published(title, visibility="public", started="2026-03-31T14:00Z", resolved="2026-03-31T19:12Z")
        for title in ("Retries overloaded redis", "Retries overloaded redis again")
    )
    indexed()
    text = client.get(f"/incidents/{one.ref}/similar").content.decode()
    assert '<span class="why">Acme, 2026 · 5\xa0h\xa012\xa0min</span>' in text


def test_similar_incidents_are_shown_next_to_an_incident_and_hidden_ones_never_are(client, cast, published):
    one = published("Retries overloaded redis", text="Clients retried without backoff.", visibility="public")
    like = published("A retry storm", text="Clients retried without backoff on redis.", visibility="public")
    published("Hidden retry storm", text="Clients retried without backoff on redis.", visibility="team")
    indexed()
    assert f"/incidents/{one.ref}/similar" in client.get(f"/incidents/{one.ref}").content.decode()
    for headers in ({}, {"HX-Request": "true"}):
        text = client.get(f"/incidents/{one.ref}/similar", headers=headers).content.decode()
        assert like.title in text
        assert "Hidden" not in text
    assert client.get("/incidents/INC-999999/similar").status_code == 404
