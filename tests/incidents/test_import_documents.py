"""Anything but a valid document is rejected, with the place of the error, and leaves nothing behind."""

from __future__ import annotations

import json
import uuid as uuids
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidents.actions.imports import SectionText
from incidents.importing import documents
from incidents.importing.candidates import Rejected
from incidents.importing.execution import import_candidate, take_snapshot
from incidents.importing.planning import plan
from incidents.models import Incident
from incidents.scopes import Viewer
from tests.conftest import kept_cast
from tests.incidents.roundtrip import brought_in, exported, make_reopened, make_rich

pytestmark = pytest.mark.django_db
cast = kept_cast


@pytest.fixture(scope="module")
def rich(cast):
    return make_rich(cast)


@pytest.fixture(scope="module")
def reopened(cast, rich):
    make_reopened(cast)
    return exported()["Reopened"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": "precedent/2"}, "format"),
        ({"format": None}, "format"),
        ({"id": "7"}, "id"),
        ({"id": None}, "id"),
        ({"sections": {}}, "sections"),
        ({"sections": []}, "sections"),
        ({"sections": None}, "sections"),
        ({"causes": {"a": 1}}, "causes"),
        ({"causes": ["text"]}, "causes"),
        ({"organization": "Acme"}, "organization"),
        ({"organization": {"name": " "}}, "organization.name"),
        ({"status": "gone"}, "status"),
        ({"visibility": None}, "visibility"),
        ({"links": [{"kind": "friend"}]}, "links.0.kind"),
        ({"links": [{"kind": "related", "direction": "out"}]}, "links.0"),
        ({"team": ["x"]}, "team"),
        ({"title": 7}, "title"),
        ({"title": "a\x00b"}, "NUL"),
        ({"severity": "high"}, "severity"),
        ({"started": {"at": "noon"}}, "started"),
        ({"started": "2027", "mitigated": None, "resolved": "2025"}, "resolved"),
        ({"mitigations": "x"}, "mitigations"),
        ({"causes": [{"kind": "root", "text": "x", "who": "me"}]}, "causes.0.who"),
        ({"causes": [{"kind": "root"}]}, "causes.0.text"),
        ({"actions": [{"kind": "prevent", "text": "x", "tracker_url": "javascript:x"}]}, "actions.0.tracker_url"),
        ({"actions": [{"kind": "prevent", "text": "x", "done_at": "2026-05-01"}]}, "actions.0.done_at"),
        ({"organization": {"name": "New", "website": "no"}}, "organization.website"),
        ({"impact_figures": [{"label": "x", "unit": "y", "value": float("nan")}]}, "NaN is not a JSON number"),
        ({"lessons": [{"text": "\ud800"}]}, "lessons.0.text"),
        ({"lessons": [{"text": "x"}] * 1001}, "lessons"),
        ({"lessons": [{"id": "a", "text": "x"}, {"id": "a", "text": "y"}]}, "lessons"),
        ({"services": [["x"]]}, "services.0"),
        ({"template": []}, "template"),
        ({"stated_duration": {"seconds": "1"}}, "stated_duration"),
    ],
)
def test_an_invalid_document_is_rejected_with_the_place_and_leaves_nothing_behind(cast, rich, change, says):
    wrong = {**exported()["Rich"], "team": None, **change}
    count = Incident.objects.count()
    lines = brought_in([wrong])
    assert Incident.objects.count() == count
    assert says in lines[0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (7, "published: "),
        ([], "published: "),
        ("", "published: "),
        ({}, "published.sections: "),
        ({"sections": None}, "published.sections: "),
        ({"sections": [{"key": "summary"}]}, "published.sections.0.kind: "),
        ({"organization": None}, "published.organization.name: "),
        ({"title": None}, "published.title: "),
        ({"causes": [{"kind": "root"}]}, "published.causes.0.text: "),
        ({"published": {}}, "published.published: "),
    ],
)
def test_an_invalid_published_text_is_rejected_with_the_place_and_leaves_nothing_behind(reopened, change, says):
    wrong = {**reopened["published"], **change} if change and isinstance(change, dict) else change
    count = Incident.objects.count()
    lines = brought_in([{**reopened, "team": None, "published": wrong}])
    assert Incident.objects.count() == count
    assert lines[0].startswith(says)


def test_only_a_draft_can_have_a_published_text(reopened):
    count = Incident.objects.count()
    for status in ("published", "archived"):
        assert brought_in([{**reopened, "status": status}])[0].startswith("published: ")
    assert Incident.objects.count() == count


def test_an_invalid_draft_keeps_its_published_text_out_too(reopened):
    count = Incident.objects.count()
    assert brought_in([{**reopened, "causes": [{"kind": "root"}]}])[0].startswith("causes.0.text: ")
    assert Incident.objects.count() == count
    brought_in(reopened)
    assert Incident.objects.get(origin="imported").published_revision.document["title"] == "Rich"


def test_an_unknown_key_of_the_published_text_is_reported_with_its_place(reopened):
    text = {**reopened["published"], "mood": "calm"}
    assert "published: Unknown keys were ignored: mood." in brought_in(
        {**reopened, "published": text, "id": str(uuids.uuid4())}
    )


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, '"text"', "null", "7", "[]", "[1, null]", "9" * 5000, '{"format": "precedent/1"}']
)
def test_anything_but_a_document_is_rejected(text):
    found = list(documents.read_all("a.json", text))
    assert found
    assert all(isinstance(one, Rejected) and one.reason for one in found)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"visibility": "team", "visibility": "public"}', "The key 'visibility' appears twice in one object."),
        ("[Infinity]", "Infinity is not a JSON number."),
        ("[1e999]", "It contains a number that is too large."),
        ("[", "Expecting value, in line 1, column 2."),
    ],
)
def test_json_that_parsers_read_differently_is_rejected_with_the_reason(text, says):
    assert [*documents.read_all("a.json", text)] == [Rejected("a.json", f"It cannot be read as JSON. {says}")]


def test_a_document_with_more_sections_than_a_template_can_have_is_rejected_with_one_line(cast, rich):
    document = exported()["Rich"]
    more = [{"key": f"more_{n}", "title": "More", "kind": "prose", "body": "x"} for n in range(300)]
    (line,) = brought_in({**document, "team": None, "sections": [*document["sections"], *more]})
    assert line == f"template.sections: This can have at most 40 entries; it has {300 + len(document['sections'])}."


def test_an_unknown_key_is_reported_and_does_not_stop_the_rest(cast, rich):
    assert "Unknown keys were ignored: mood." in brought_in(
        {**exported()["Rich"], "mood": "calm", "id": str(uuids.uuid4())}
    )


def test_a_section_that_the_template_does_not_plan_is_refused(cast, rich):
    (candidate,) = documents.read_all("a.json", json.dumps({**exported()["Rich"], "id": str(uuids.uuid4())}))
    wrong = replace(candidate, sections={**candidate.sections, "moon": SectionText(body="x")})
    here = take_snapshot()
    (planned,) = plan([wrong], here)
    assert "sections.moon" in import_candidate(Viewer.system(), planned, here).reason


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def whole(rich, reopened):
    """The texts of two documents, the same for every example."""
    return json.dumps(exported()["Rich"]), json.dumps(reopened)


@pytest.mark.slow
@settings(max_examples=60)
@given(data=st.data())
def test_any_document_is_either_imported_or_rejected_and_never_raises(whole, data):
    place = document = {**json.loads(data.draw(st.sampled_from(whole))), "id": str(uuids.uuid4())}
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(json_values)
    assert all(isinstance(line, str) for line in brought_in([document]))


def test_an_export_can_name_facts_that_are_gone(cast, rich):
    document = exported()[rich.title]
    gone = [str(uuids.uuid4()), "a name from before names were checked"]
    document |= {"id": str(uuids.uuid4()), "sources": [{**document["sources"][0], "supports": ["started", *gone]}]}
    brought_in(document)
    again = Incident.objects.get(external_id=f"precedent:{document['id']}")
    assert again.sources.get().supports == ["started", *gone]
