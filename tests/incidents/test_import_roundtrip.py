"""What is exported as JSON and imported into an empty installation is exported equal, but for what only an installation
gives: ids, numbers, dates of creation, and the origin."""

from __future__ import annotations

import json
import uuid as uuids
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from hypothesis import given, settings
from hypothesis import strategies as st

from incidents import scopes, vocabulary
from incidents.actions import lifecycle
from incidents.actions.incidents import change_incident, create_incident
from incidents.actions.links import add_link
from incidents.actions.organizations import change_organization, save_template
from incidents.actions.sections import add_row, change_section
from incidents.actions.whole import SectionText
from incidents.document import build, with_everything
from incidents.errors import Invalid
from incidents.export import export_all
from incidents.importing import documents
from incidents.importing.candidates import Rejected
from incidents.importing.carrying import carry_out, link, look
from incidents.importing.planning import plan
from incidents.models import Incident, Organization, PostmortemTemplate, Service, Team, User
from incidents.records import KINDS
from incidents.scopes import Viewer
from tests.conftest import fill

LOST = ("id", "ref", "external_id", "origin", "created_at", "revision", "published_at")


def comparable(document):
    """Without what only an installation gives; rows are named by their place instead of their id."""
    places = {row["id"]: f"{kind}.{place}" for kind in KINDS for place, row in enumerate(document[kind])}
    out = {key: value for key, value in document.items() if key not in LOST}
    out["template"] = document["template"]["key"]
    out["sections"] = [{**section, "id": None} for section in document["sections"]]
    for kind in KINDS:
        out[kind] = [{**row, "id": places[row["id"]]} for row in document[kind]]
    out["sources"] = [{**row, "supports": [places.get(name, name) for name in row["supports"]]} for row in out["sources"]]
    out["links"] = sorted(
        (one["kind"], one["direction"], one["note"], one["incident"]["title"]) for one in document["links"]
    )
    return out


def exported():
    return {document["title"]: document for document in export_all(Viewer.system())}


def empty(*, keep_people=True):
    Incident.objects.update(published_revision=None)
    for model in (Incident, Service, Team, PostmortemTemplate):
        model.objects.all().delete()
    Organization.objects.all().delete()
    if not keep_people:
        User.objects.filter(is_system=False).delete()


def brought_in(found, *, visibility=None):
    """Import documents as the command does; returns every note and reason."""
    candidates = list(documents.read_all("all.json", json.dumps(found)))
    here, actor = look(), Viewer.system()
    done = [carry_out(actor, planned, here) for planned in plan(candidates, here, visibility=visibility)]
    lines = [line for one in done for line in [*one.notes, one.reason] if line]
    return lines + [note for _, note in link(actor, done, here)]


@pytest.fixture
def rich(cast, draft):
    """Everything that the record can say, in one incident."""
    actor = cast.viewer("author")
    change_organization(actor=cast.viewer("admin"), organization_id=cast.home.pk,
                        values={"website": "https://acme.example", "sector": "retail"})  # fmt: skip
    incident = draft(
        "Rich", severity="sev2", time_zone="America/New_York", started="2026-03-03T09:03:20", detected="2026-03-03T10:00",
        mitigated={"at": "2026-03-03T11:00", "precision": "hour"}, resolved="2026-03-03", planned_change=True,
        stated_duration={"seconds": 9000, "text": "two and a half hours"}, detected_by="customer",
        mitigations=["rollback", "other"], services=["Cart", "Search"], visibility="public",
    )  # fmt: skip
    fill(cast, incident)

    def add(kind, /, **values):
        return add_row(actor=actor, incident_id=incident.pk, kind=kind, values=values)

    figure = add("impact_figures", label="Orders", qualifier="at_least", value="1234.5678", unit="orders", source="a dashboard")
    event = add("timeline", at="2026-03", precision="month", kind="change", text="Begun\n\n- with a list", data_url="https://data.example/1")
    add("timeline", at="2026-03-03T09:05", kind="other", text="Then")
    add("causes", kind="contributing", family=None, text="No family is known")
    add("actions", kind="process", state="done", text="Done", due="2026-04-01")
    add("sources", url="https://x.example", title="X", published="2026-03", looked_up="2026-05-01", primary=True,
        archive_url="https://archive.example/x", publisher="Xavier", supports=["started", str(figure.uuid), str(event.uuid)])  # fmt: skip
    add("disagreements", about="started", text="Some say earlier")
    change_section(actor=actor, incident_id=incident.pk, key="lucky", body="# A heading\n\nIt was **Sunday** \U0001f98a.")
    change_section(actor=actor, incident_id=incident.pk, key="sources", none_reason="Kept although there is one")
    lifecycle.publish(actor=cast.viewer("lead"), incident_id=incident.pk)
    return incident


def test_a_rich_document_comes_back_equal(cast, rich):
    before = exported()
    empty()
    notes = brought_in(list(before.values()))
    assert notes == ["The team Checkout is new here and has no members yet."]
    after = exported()
    assert comparable(after["Rich"]) == comparable(before["Rich"])
    assert after["Rich"]["external_id"] == f"precedent:{before['Rich']['id']}"
    assert after["Rich"]["origin"] == "imported"


def test_a_second_round_trip_keeps_the_identity_of_the_first(cast, rich):
    first = exported()["Rich"]
    empty()
    brought_in(first)
    second = exported()["Rich"]
    empty()
    brought_in(second)
    third = exported()["Rich"]
    assert third["external_id"] == second["external_id"] == f"precedent:{first['id']}"
    assert comparable(third) == comparable(first)


def test_links_between_exported_incidents_come_along_both_ways(cast, published, rich):
    other = published("Other")
    add_link(actor=cast.viewer("author"), incident_id=rich.pk, kind="recurrence_of", to=other.ref, note="again")
    add_link(actor=cast.viewer("author"), incident_id=other.pk, kind="related", to=rich.ref)
    before = exported()
    empty()
    brought_in([before["Other"]])
    assert exported()["Other"]["links"] == []
    brought_in([before["Rich"]])
    after = exported()
    for title in ("Rich", "Other"):
        assert comparable(after[title])["links"] == comparable(before[title])["links"] != []
    assert brought_in(list(before.values())) == []


def test_a_link_to_what_is_not_here_is_left_out_and_told(cast, published, rich):
    other = published("Other")
    add_link(actor=cast.viewer("author"), incident_id=rich.pk, kind="related", to=other.ref)
    before = exported()
    empty()
    assert f"Its link to {other.ref} is left out: that incident is not here." in brought_in(before["Rich"])


def test_an_owner_who_is_not_here_is_dropped_and_told(cast, rich):
    before = exported()
    empty()
    User.objects.filter(email="author@acme.example").update(email="somebody@else.example")
    notes = brought_in(before["Rich"])
    assert any("author@acme.example" in note for note in notes)
    owners = [action["owner"] for action in exported()["Rich"]["actions"]]
    assert owners == [None, None]


@pytest.mark.parametrize(("step", "status"), [("archive", "archived"), ("reopen", "published")])
def test_archived_stays_archived_and_what_was_a_draft_is_shown_to_no_more_people(cast, rich, step, status):
    getattr(lifecycle, step)(actor=cast.viewer("lead"), incident_id=rich.pk)
    before = exported()
    empty()
    notes = brought_in(before["Rich"])
    after = exported()["Rich"]
    assert after["status"] == status
    was_draft = step == "reopen"
    assert after["visibility"] == ("team" if was_draft else "public")
    assert any("was not published" in note for note in notes) is was_draft
    visible = scopes.visible_incidents(cast.viewer("outsider")).exists()
    assert visible is not was_draft


def test_a_template_of_another_shape_comes_along(cast, draft):
    shape = PostmortemTemplate.objects.get(key="standard").definition
    mine = {**shape, "key": "short", "name": "Short", "sections": [
        *(section for section in shape["sections"] if section["key"] in ("summary", "impact", "timeline", "causes", "lessons", "actions")),
        {"key": "weather", "title": "The weather", "kind": "prose"},
    ]}  # fmt: skip
    save_template(actor=Viewer.system(), definition=mine)
    incident = create_incident(actor=cast.viewer("author"), facts={"title": "Short"}, template_key="short")
    fill(cast, incident)
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="weather", body="Rain.")
    lifecycle.publish(actor=cast.viewer("lead"), incident_id=incident.pk)
    before = exported()
    empty()
    save_template(actor=Viewer.system(), definition=shape)
    brought_in(before["Short"])
    assert comparable(exported()["Short"]) == comparable(before["Short"])
    assert PostmortemTemplate.objects.filter(key="standard").count() == 1


def test_a_template_that_means_something_else_here_keeps_its_meaning(cast, rich):
    before = exported()
    empty()
    shape = before["Rich"]["sections"]
    fewer = [{k: s[k] for k in ("key", "title", "kind")} | ({"records": s["key"]} if s["kind"] == "records" else {})
             for s in shape if s["key"] != "lucky"]  # fmt: skip
    save_template(actor=Viewer.system(), definition={"key": "standard", "name": "Ours", "sections": fewer})
    brought_in(before["Rich"])
    assert PostmortemTemplate.objects.get(key="standard").name == "Ours"
    after = exported()["Rich"]
    assert [s["key"] for s in after["sections"]] == [s["key"] for s in shape]
    assert after["template"]["key"].startswith("imported-")
    assert brought_in(before["Rich"]) == []


def test_importing_an_export_into_its_own_installation_makes_a_separate_incident_and_links_it(cast, rich):
    version = Incident.objects.get(pk=rich.pk).version
    brought_in(exported()["Rich"])
    made = Incident.objects.get(origin="imported")
    assert made.links_out.get().to_incident_id == rich.pk
    assert made.links_out.get().kind == "same_event"
    assert Incident.objects.get(pk=rich.pk).version == version
    (again,) = plan(list(documents.read_all("x", json.dumps(comparable_source(rich)))), look())
    assert again.known.incident_id == made.pk


def comparable_source(incident):
    return {document["id"]: document for document in export_all(Viewer.system())}[str(incident.uuid)]


def test_a_document_that_lacks_what_publishing_needs_gets_an_honest_word(cast, draft):
    incident = draft("Bare")
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"started": "2026"})
    before = exported()
    empty()
    brought_in(before["Bare"])
    sections = {section["key"]: section for section in exported()["Bare"]["sections"]}
    assert sections["summary"]["body"] == "The source does not say."
    assert sections["causes"]["none_reason"] == "The source does not say."
    assert sections["detection"]["body"] == ""


def test_a_changed_document_changes_the_rows_that_changed_and_no_others(cast, rich):
    before = exported()["Rich"]
    empty()
    brought_in(before)
    rows = {row.uuid: row.version for row in Incident.objects.get().causes.all()}
    before["causes"][0]["text"] = "Told better"
    before["causes"].append({"kind": "root", "family": None, "text": "Found later"})
    brought_in(before)
    now = list(Incident.objects.get().causes.all())
    assert [row.version for row in now] == [2, 1, 1]
    assert [row.uuid for row in now[:2]] == list(rows)


# --- Made by chance --------------------------------------------------------------------------------
words = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp", "Co"), max_codepoint=0x1FFFF), min_size=1, max_size=12)
texts = st.lists(words, min_size=1, max_size=6).map(" ".join)
urls = st.sampled_from(["https://a.example/x", "http://b.example/?q=1", "https://c.example/ü"])
zones = st.sampled_from(["UTC", "Asia/Kolkata", "America/St_Johns", "Europe/Lisbon"])
ats = st.sampled_from(["1999", "2008-08", "2019-07-02", "2019-07-02T13:42", "2019-10-27T01:30:05Z", "2024-02-29T23:59"])


def optional(strategy):
    return st.none() | strategy


def choices(values):
    return st.sampled_from(list(values))


rows = st.fixed_dictionaries({
    "timeline": st.lists(st.fixed_dictionaries({"at": ats, "kind": choices(vocabulary.EventKind.values), "text": texts, "data_url": st.just("") | urls}), max_size=3),
    "causes": st.lists(st.fixed_dictionaries({"kind": choices(vocabulary.CauseKind.values), "family": optional(choices(vocabulary.Family.values)), "text": texts}), max_size=3),
    "lessons": st.lists(st.fixed_dictionaries({"text": texts}), max_size=3),
    "actions": st.lists(st.fixed_dictionaries({
        "kind": choices(vocabulary.ActionKind.values), "state": choices(vocabulary.ActionState.values), "text": texts,
        "owner": optional(st.just("lead@acme.example")), "due": optional(st.dates().map(str)), "tracker_url": st.just("") | urls,
    }), max_size=3),
    "impact_figures": st.lists(st.fixed_dictionaries({
        "label": texts, "qualifier": choices(vocabulary.Qualifier.values), "unit": words, "source": st.just("") | texts,
        "value": st.integers(-(10**9), 10**9) | st.decimals(-1000, 1000, places=4).map(str),
    }), max_size=2),
    "sources": st.lists(st.fixed_dictionaries({
        "url": urls, "title": texts, "publisher": st.just("") | texts, "published": choices(["", "2020", "2020-01", "2020-01-31"]),
        "looked_up": optional(st.dates().map(str)), "primary": st.booleans(), "supports": st.lists(choices(["started", "summary"]), unique=True),
    }), max_size=2),
    "disagreements": st.lists(st.fixed_dictionaries({"about": words, "text": texts}), max_size=2),
})  # fmt: skip
facts = st.fixed_dictionaries({
    "title": texts, "severity": optional(choices(vocabulary.Severity.values)), "time_zone": zones,
    "started": optional(ats), "planned_change": st.booleans(), "detected_by": optional(choices(vocabulary.DetectedBy.values)),
    "mitigations": st.lists(choices(vocabulary.Mitigation.values), unique=True), "services": st.lists(words, max_size=2),
    "visibility": choices(vocabulary.Visibility.values),
    "stated_duration": optional(st.fixed_dictionaries({"seconds": st.integers(1, 10**9), "text": st.just("") | words})),
})  # fmt: skip
bodies = st.dictionaries(choices(["summary", "impact", "trigger", "lessons", "actions"]), texts, max_size=4)


@settings(max_examples=25)
@given(facts=facts, rows=rows, bodies=bodies)
def test_whatever_can_be_written_comes_back_equal(cast, facts, rows, bodies):
    empty()
    save_template(actor=Viewer.system(), definition=standard())
    author = Viewer.system()
    try:
        made = create_incident(actor=author, facts={**facts, "organization": "Chance", "team": None})
        for kind, values in rows.items():
            for one in values:
                add_row(actor=author, incident_id=made.pk, kind=kind, values=one)
        for section in with_everything(Incident.objects).get(pk=made.pk).sections.all():
            is_prose = section.key not in KINDS
            text = bodies.get(section.key, "Something.")
            change_section(actor=author, incident_id=made.pk, key=section.key,
                           **({"body": text} if is_prose else {"none_reason": text}))  # fmt: skip
        lifecycle.publish(actor=author, incident_id=made.pk)
    except Invalid:
        return
    (before,) = export_all(author)
    empty()
    assert brought_in(before) == []
    (after,) = export_all(author)
    assert comparable(after) == comparable(before)


def standard():
    from incidents import template

    return template.files()[0]


# --- What is no document ---------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": "precedent/2"}, "format"), ({"format": None}, "format"), ({"id": "7"}, "id"), ({"id": None}, "id"),
        ({"sections": {}}, "sections"), ({"sections": []}, "sections"), ({"sections": None}, "sections"),
        ({"causes": {"a": 1}}, "causes"), ({"causes": ["text"]}, "causes"), ({"organization": "Acme"}, "organization"),
        ({"organization": {"name": " "}}, "organization.name"), ({"status": "gone"}, "status"), ({"visibility": None}, "visibility"),
        ({"links": [{"kind": "friend"}]}, "links.0.kind"), ({"links": [{"kind": "related", "direction": "out"}]}, "links.0"),
        ({"team": ["x"]}, "team"), ({"title": 7}, "title"), ({"title": "a\x00b"}, "NUL"), ({"severity": "high"}, "severity"),
        ({"started": {"at": "noon"}}, "started"), ({"started": "2027", "mitigated": None, "resolved": "2026"}, "resolved"), ({"mitigations": "x"}, "mitigations"),
        ({"causes": [{"kind": "root", "text": "x", "who": "me"}]}, "causes.0.who"), ({"causes": [{"kind": "root"}]}, "causes.0.text"),
        ({"actions": [{"kind": "prevent", "text": "x", "tracker_url": "javascript:x"}]}, "actions.0.tracker_url"),
        ({"impact_figures": [{"label": "x", "unit": "y", "value": float("nan")}]}, "impact_figures.0.value"),
        ({"lessons": [{"text": "\ud800"}]}, "lessons.0.text"), ({"lessons": [{"text": "x"}] * 1001}, "lessons"),
        ({"lessons": [{"id": "a", "text": "x"}, {"id": "a", "text": "y"}]}, "lessons"),
        ({"services": [["x"]]}, "services.0"), ({"template": []}, "template"), ({"stated_duration": {"seconds": "1"}}, "stated_duration"),
    ],
)  # fmt: skip
def test_a_wrong_document_is_rejected_with_its_place_and_leaves_nothing(cast, rich, change, says):
    wrong = {**exported()["Rich"], "team": None, **change}
    count = Incident.objects.count()
    lines = brought_in([wrong])
    assert Incident.objects.count() == count
    assert says in lines[0]


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '"text"', "null", "7", "[]", "[1, null]", "9" * 5000, '{"format": "precedent/1"}'])
def test_what_is_no_document_is_rejected(text):
    found = list(documents.read_all("a.json", text))
    assert found
    assert all(isinstance(one, Rejected) and one.reason for one in found)


def test_an_unknown_key_is_told_and_does_not_stop_the_rest(cast, rich):
    assert "Not taken over: mood." in brought_in({**exported()["Rich"], "mood": "calm", "id": str(uuids.uuid4())})


def test_a_folder_of_exports_and_a_list_in_one_file_import_alike(cast, rich, published, tmp_path):
    published("Second")
    call_command("export_incidents", tmp_path / "out", stdout=StringIO())
    everything = list(export_all(Viewer.system()))
    empty()
    out = StringIO()
    call_command("import_incidents", tmp_path / "out", stdout=out)
    assert out.getvalue().endswith("2 created.\n")
    (tmp_path / "list.json").write_text(json.dumps([*everything, {"format": "other"}]))
    out, err = StringIO(), StringIO()
    with pytest.raises(CommandError) as stopped:
        call_command("import_incidents", tmp_path / "list.json", stdout=out, stderr=err)
    assert stopped.value.returncode == 1
    assert out.getvalue() == "2 unchanged, 1 rejected.\n"
    assert err.getvalue().startswith("list.json[2]: rejected. format: ")


def test_the_working_copy_of_what_was_imported_is_what_was_published(cast, rich):
    before = exported()["Rich"]
    empty()
    brought_in(before)
    incident = with_everything(Incident.objects).get()
    published = incident.published_revision.document
    now = build(incident)
    assert {k: v for k, v in now.items() if k not in LOST} == {k: v for k, v in published.items() if k not in LOST}


def test_a_section_that_the_template_does_not_plan_is_refused(cast, rich):
    from dataclasses import replace

    (candidate,) = documents.read_all("a.json", json.dumps({**exported()["Rich"], "id": str(uuids.uuid4())}))
    wrong = replace(candidate, sections={**candidate.sections, "moon": SectionText(body="x")})
    here = look()
    (planned,) = plan([wrong], here)
    assert "sections.moon" in carry_out(Viewer.system(), planned, here).reason
