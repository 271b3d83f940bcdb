"""The statistics of a pattern count only the incidents that each viewer can see, with the facts they can see."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from incidents.actions import lifecycle
from incidents.actions.incidents import change_incident
from kb.insights.patterns import pattern_insight
from kb.patterns.models import Pattern, PatternStatus, Tag, TagSource, TagState
from tests.conftest import Cast


def make_pattern(slug, **more):
    return Pattern.objects.create(slug=slug, name=slug.capitalize(), family="load", counts="It counts.", **more)


def tag(incident, *patterns, state=TagState.AUTOMATIC):
    for pattern in patterns:
        Tag.objects.create(incident=incident, pattern=pattern, source=TagSource.RULE, state=state)


@pytest.fixture
def storm(cast):
    return make_pattern("storm")


@pytest.fixture
def told(storm, cast):
    """told("outsider") returns the statistics that this member of the cast gets, as plain values."""

    def tell(name):
        found = pattern_insight(cast.viewer(name), storm)
        return {
            "total": found.total,
            "years": [(one.year, one.incidents) for one in found.by_year],
            "no year": found.n_with_unknown_year,
            "organizations": [(one.organization.name, one.incidents) for one in found.organizations],
            "together": [
                (one.pattern.slug, one.incidents, round(one.share, 3), round(one.lift, 3)) for one in found.together
            ],
            "mitigations": [(one.mitigation.value, one.incidents) for one in found.mitigations],
            "no mitigation": found.n_with_unknown_mitigation,
        }

    return tell


NOTHING = {
    "total": 0,
    "years": [],
    "no year": 0,
    "organizations": [],
    "together": [],
    "mitigations": [],
    "no mitigation": 0,
}


def test_every_number_counts_only_what_the_viewer_can_see(cast, storm, told, published, draft):
    cold = make_pattern("cold")
    tag(
        published(
            "Seen by all", visibility="public", started="2019-07-02", organization="Square", mitigations=["rollback"]
        ),
        storm,
        cold,
    )
    tag(published("Also seen by all", visibility="public", started="2021", organization="Square"), storm)
    tag(published("Not about it", visibility="public"), cold)
    tag(
        published(
            "Colleagues", visibility="internal", started="2022-01", mitigations=["wait", "rollback"], organization="Zed"
        ),
        storm,
    )
    tag(published("The team", visibility="team", started="2009-05-05", organization="Hidden"), storm, cold)
    tag(draft("Draft", started="2024", organization="Hidden", mitigations=["isolate"]), storm)
    for_all = {
        "total": 2,
        "years": [(2019, 1), (2020, 0), (2021, 1)],
        "no year": 0,
        "organizations": [("Square", 2)],
        # "cold" is on one of the two incidents here and on two of all three, so its lift is (1/2) / (2/3).
        "together": [("cold", 1, 0.5, 0.75)],
        "mitigations": [("rollback", 1)],
        "no mitigation": 1,
    }
    for_colleagues = {
        "total": 3,
        "years": [(2019, 1), (2020, 0), (2021, 1), (2022, 1)],
        "no year": 0,
        "organizations": [("Square", 2), ("Zed", 1)],
        "together": [("cold", 1, 0.333, 0.667)],
        "mitigations": [("rollback", 2), ("wait", 1)],
        "no mitigation": 1,
    }
    for_the_team = {
        "total": 5,
        "years": [(year, {2009: 1, 2019: 1, 2021: 1, 2022: 1, 2024: 1}.get(year, 0)) for year in range(2009, 2025)],
        "no year": 0,
        "organizations": [("Hidden", 2), ("Square", 2), ("Zed", 1)],
        "together": [("cold", 2, 0.4, 0.8)],
        "mitigations": [("rollback", 2), ("isolate", 1), ("wait", 1)],
        "no mitigation": 2,
    }
    for name, expected in {
        **dict.fromkeys(Cast.NAMES, for_the_team),
        **dict.fromkeys(("outsider", "reviewer"), for_colleagues),
        "anonymous": for_all,
    }.items():
        assert told(name) == expected, name


def test_a_reopened_postmortem_counts_for_everyone_as_it_was_published(cast, storm, told, published):
    incident = published(
        "It came back", visibility="public", started="2019-07-02", organization="Square", mitigations=["rollback"]
    )
    tag(incident, storm)
    lifecycle.reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    change_incident(
        actor=cast.viewer("author"),
        incident_id=incident.pk,
        facts={"started": "2022-03", "organization": "Another", "mitigations": ["isolate"]},
    )
    # This includes its editors: each number links to a search, which finds the published text.
    for name in Cast.NAMES:
        found = told(name)
        assert (found["years"], found["organizations"], found["mitigations"]) == (
            [(2019, 1)],
            [("Square", 1)],
            [("rollback", 1)],
        ), name


def test_only_tags_in_force_on_unarchived_incidents_count(cast, storm, told, published):
    for state in (TagState.SUGGESTED, TagState.REJECTED, TagState.WITHDRAWN):
        tag(published(f"It is {state}", visibility="public"), storm, state=state)
    archived = published("Archived", visibility="public")
    tag(archived, storm)
    lifecycle.archive(actor=cast.viewer("lead"), incident_id=archived.pk)
    for name in Cast.NAMES:
        assert told(name) == NOTHING, name
    tag(published("It is confirmed", visibility="public"), storm, state=TagState.CONFIRMED)
    assert told("anonymous")["total"] == 1


def test_retired_and_merely_suggested_patterns_are_not_listed_as_companions(cast, storm, told, published):
    incident = published(visibility="public")
    tag(incident, storm, make_pattern("old", status=PatternStatus.RETIRED))
    tag(incident, make_pattern("perhaps"), state=TagState.SUGGESTED)
    assert told("anonymous")["together"] == []


def test_a_year_is_counted_in_the_time_zone_of_the_incident(cast, storm, told, published):
    tag(published("New year", visibility="public", started="2020-01-01T02:00Z", time_zone="America/New_York"), storm)
    tag(published("Some day", visibility="public"), storm)
    found = told("anonymous")
    assert (found["years"], found["no year"], found["total"]) == ([(2019, 1)], 1, 2)


def test_lists_are_sorted_by_the_number_of_incidents(cast, storm, told, published):
    few, many, other = make_pattern("few"), make_pattern("many"), make_pattern("other")
    for number in range(3):
        tag(
            published(
                f"Number {number}",
                visibility="public",
                organization="Big" if number else "Any",
                mitigations=["wait", "rollback"] if number else ["rollback"],
            ),
            storm,
            many,
            *([] if number else [few]),
        )
        tag(published(f"Also {number}", visibility="public"), other, *([] if number else [many]))
    found = told("anonymous")
    assert found["organizations"] == [("Big", 2), ("Any", 1)]
    assert found["mitigations"] == [("rollback", 3), ("wait", 2)]
    assert found["together"] == [("many", 3, 1.0, 1.5), ("few", 1, 0.333, 2.0)]


@pytest.mark.parametrize("name", ["anonymous", "reader", "admin"])
def test_the_number_of_queries_does_not_grow_with_the_number_of_incidents(cast, storm, published, name):
    def write(rounds):
        for number in rounds:
            for state in ("published", "reopened"):
                incident = published(
                    f"{state} {number}", visibility="public", organization=f"Org {number}", mitigations=["wait"]
                )
                tag(incident, storm, make_pattern(f"{state}-{number}"))
                if state == "reopened":
                    lifecycle.reopen(actor=cast.viewer("author"), incident_id=incident.pk)

    def queries():
        viewer = cast.viewer(name)
        with CaptureQueriesContext(connection) as captured:
            pattern_insight(viewer, storm)
        return len(captured)

    write(range(1))
    few = queries()
    write(range(1, 4))
    assert queries() == few == 7
