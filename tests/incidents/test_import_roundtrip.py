"""A JSON export that is imported into an empty installation is exported equal again, except for what an installation
assigns: ids, numbers, creation dates, and the origin."""

from __future__ import annotations

import json
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from incidents import scopes
from incidents.actions import lifecycle
from incidents.actions.incidents import change_incident, create_incident
from incidents.actions.links import add_link
from incidents.actions.organizations import save_template, set_membership
from incidents.actions.sections import change_section
from incidents.document import build, read, with_all_parts
from incidents.importing import documents
from incidents.importing.execution import take_snapshot
from incidents.importing.planning import plan
from incidents.models import AuditEntry, Incident, OutboxEntry, PostmortemTemplate, User
from incidents.scopes import Viewer
from tests.conftest import fill
from tests.incidents.roundtrip import (
    LOST,
    brought_in,
    comparable,
    empty,
    export_all,
    exported,
    make_reopened,
    make_rich,
)


@pytest.fixture
def rich(cast):
    return make_rich(cast)


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


@pytest.mark.parametrize("make", [make_rich, make_reopened])
def test_an_export_of_an_imported_incident_says_the_same_as_the_export_it_was_imported_from(cast, make):
    make(cast)
    (first,) = exported().values()
    empty()
    brought_in(first)
    (second,) = exported().values()
    for documents_in_turn in ((second, first), (first, second)):
        for document in (*documents_in_turn, *documents_in_turn):
            before = Incident.objects.values().get(), AuditEntry.objects.count()
            assert brought_in(document) == []
            assert (Incident.objects.values().get(), AuditEntry.objects.count()) == before
        # A third installation, which gets the second export first.
        empty()
        brought_in(second)
        assert exported()[second["title"]]["causes"] == second["causes"]


def test_rows_added_to_an_export_are_new_wherever_they_are_and_the_others_stay_the_same(cast, rich):
    before = exported()["Rich"]
    before["causes"] = [{"kind": "root", "family": None, "text": "None has an id"}]
    empty()
    brought_in(before)
    for text in ("Added first", "Added later"):
        known = list(Incident.objects.get().causes.values_list("uuid", "text"))
        found = exported()["Rich"]
        found["causes"].insert(0, {"kind": "root", "family": None, "text": text})
        brought_in(found)
        (_, added), *others = Incident.objects.get().causes.values_list("uuid", "text")
        assert (added, others) == (text, known)


def test_a_copy_of_an_export_with_an_identity_of_its_own_is_another_incident(cast, rich):
    first = exported()["Rich"]
    empty()
    brought_in(first)
    copy = {**exported()["Rich"], "title": "Copy", "external_id": "precedent:copy", "id": first["id"], "links": []}
    assert brought_in(copy) == []
    after = exported()
    assert comparable(after["Copy"]) == {**comparable(after["Rich"]), "title": "Copy"}
    assert brought_in(after["Copy"]) == []
    assert exported() == after


def test_links_between_exported_incidents_are_imported_in_both_directions(cast, published, rich):
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


def test_a_link_to_an_incident_that_is_not_here_is_left_out_and_reported(cast, published, rich):
    other = published("Other")
    add_link(actor=cast.viewer("author"), incident_id=rich.pk, kind="related", to=other.ref)
    before = exported()
    empty()
    assert f"Its link to {other.ref} is left out: that incident is not here." in brought_in(before["Rich"])


def test_an_owner_without_an_account_here_is_dropped_and_reported(cast, rich):
    before = exported()
    empty()
    User.objects.filter(email="author@acme.example").update(email="somebody@else.example")
    notes = brought_in(before["Rich"])
    assert any("author@acme.example" in note for note in notes)
    owners = [action["owner"] for action in exported()["Rich"]["actions"]]
    assert owners == [None, None]


@pytest.mark.parametrize(("step", "status"), [("archive", "archived"), ("reopen", "published")])
def test_an_archived_document_stays_archived_and_a_draft_is_shown_to_no_more_people(cast, rich, step, status):
    getattr(lifecycle, step)(actor=cast.viewer("lead"), incident_id=rich.pk)
    before = exported()
    # Makes the reopened document one of a draft that was never published.
    before["Rich"].pop("published", None)
    empty()
    notes = brought_in(before["Rich"])
    after = exported()["Rich"]
    assert after["status"] == status
    was_draft = step == "reopen"
    assert after["visibility"] == ("team" if was_draft else "public")
    assert any("was not published" in note for note in notes) is was_draft
    visible = scopes.visible_incidents(cast.viewer("outsider")).exists()
    assert visible is not was_draft


def test_a_template_with_other_sections_is_imported(cast, draft):
    shape = PostmortemTemplate.objects.get(key="standard").definition
    mine = {
        **shape,
        "key": "short",
        "name": "Short",
        "sections": [
            *(
                section
                for section in shape["sections"]
                if section["key"] in ("summary", "impact", "timeline", "causes", "lessons", "actions")
            ),
            {"key": "weather", "title": "The weather", "kind": "prose"},
        ],
    }
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


def test_a_template_that_has_the_same_key_and_other_sections_here_is_left_alone(cast, rich):
    before = exported()
    empty()
    shape = before["Rich"]["sections"]
    fewer = [
        {k: s[k] for k in ("key", "title", "kind")} | ({"records": s["key"]} if s["kind"] == "records" else {})
        for s in shape
        if s["key"] != "lucky"
    ]
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
    (again,) = plan(list(documents.read_all("x", json.dumps(comparable_source(rich)))), take_snapshot())
    assert again.known.incident_id == made.pk


def comparable_source(incident):
    return {document["id"]: document for document in export_all(Viewer.system())}[str(incident.uuid)]


def test_required_sections_that_a_document_lacks_say_that_the_source_does_not_say(cast, draft):
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


def test_the_working_copy_of_an_imported_incident_equals_its_published_revision(cast, rich):
    before = exported()["Rich"]
    empty()
    brought_in(before)
    incident = with_all_parts(Incident.objects).get()
    published = incident.published_revision.document
    now = build(incident)
    assert {k: v for k, v in now.items() if k not in LOST} == {k: v for k, v in published.items() if k not in LOST}


# --- Reopened --------------------------------------------------------------------------------------
@pytest.fixture
def reopened(cast):
    make_reopened(cast)
    return exported()["Reopened"]


def write_for(cast, incident):
    """Add members to the incident's team: an imported team has none."""
    for name, role in (("author", "author"), ("reader", "reader")):
        set_membership(actor=Viewer.system(), team_id=incident.team_id, user=cast.user(name), role=role)


def test_a_reopened_document_comes_back_with_its_published_text_and_its_draft(cast, reopened):
    empty()
    assert brought_in(reopened) == ["The team Checkout is new here and has no members yet."]
    after = exported()["Reopened"]
    assert comparable(after) == comparable(reopened)
    empty()
    brought_in(after)
    assert comparable(exported()["Reopened"]) == comparable(reopened)


def test_readers_of_an_imported_reopened_document_see_its_published_text_and_its_writers_the_draft(cast, reopened):
    empty()
    brought_in(reopened)
    incident = Incident.objects.get()
    write_for(cast, incident)
    seen = {}
    for name in cast.NAMES:
        viewer = cast.viewer(name)
        reading = read(with_all_parts(scopes.visible_incidents(viewer)).get(), viewer)
        seen[name] = (reading.document["title"], reading.document["visibility"], reading.is_working_copy)
    draft, text = ("Reopened", "public", True), ("Rich", "public", False)
    assert {name for name in seen if seen[name] == draft} == {"author", "admin"}
    assert {name for name in seen if seen[name] == text} == {"anonymous", "outsider", "reader", "reviewer", "lead"}
    assert (incident.organization.name, incident.published_organization.name) == ("Elsewhere", "Acme")


def test_an_imported_reopened_document_was_published_and_reopened_by_the_system(cast, reopened):
    empty()
    brought_in(reopened)
    entries = AuditEntry.objects.filter(incident__isnull=False).order_by("pk")
    assert {entry.actor_id for entry in entries} == {User.objects.system().pk}
    steps = [entry.action for entry in entries if entry.action in ("incident.published", "incident.reopened")]
    assert steps == ["incident.published", "incident.reopened"]
    assert OutboxEntry.objects.filter(incident_id=Incident.objects.get().pk).exists()


def test_a_document_in_review_is_imported_as_a_draft_and_that_is_reported(cast, reopened):
    lifecycle.submit(
        actor=cast.viewer("author"), incident_id=Incident.objects.get().pk, reviewers=["reviewer@acme.example"]
    )
    before = exported()["Reopened"]
    assert before["status"] == "in_review"
    empty()
    assert brought_in(before)[0] == "It was in review when it was exported; here it is a draft."
    assert comparable(exported()["Reopened"]) == comparable({**before, "status": "draft"})


def test_importing_a_reopened_document_again_changes_nothing(cast, reopened):
    empty()
    brought_in(reopened)
    before, entries = Incident.objects.values().get(), AuditEntry.objects.count()
    assert brought_in(reopened) == []
    assert (Incident.objects.values().get(), AuditEntry.objects.count()) == (before, entries)
    assert before["status"] == "draft"


def test_a_changed_draft_of_the_same_published_text_gives_readers_no_new_revision(cast, reopened):
    empty()
    brought_in(reopened)
    rows = set(Incident.objects.get().causes.values_list("uuid", "version"))
    reopened["lessons"] = [{"text": "Learned since"}]
    brought_in(reopened)
    assert Incident.objects.get().revisions.count() == 1
    assert set(Incident.objects.get().causes.values_list("uuid", "version")) == rows
    assert comparable(exported()["Reopened"])["lessons"][0]["text"] == "Learned since"
    reopened["published"]["title"] = "Published since"
    brought_in(reopened)
    assert Incident.objects.get().published_revision.number == 2
    after = exported()["Reopened"]
    assert (after["published"]["title"], after["lessons"][0]["text"]) == ("Published since", "Learned since")


def test_a_document_reopened_after_its_first_import_gets_only_a_draft(cast, rich):
    author = cast.viewer("author")
    first = exported()["Rich"]
    lifecycle.reopen(actor=author, incident_id=rich.pk)
    change_section(actor=author, incident_id=rich.pk, key="summary", body="Unfinished.")
    second = exported()["Rich"]
    change_section(actor=author, incident_id=rich.pk, key="summary", body="Finished.")
    lifecycle.publish(actor=cast.viewer("lead"), incident_id=rich.pk)
    third = exported()["Rich"]
    empty()
    for found, status, revisions in ((first, "published", 1), (second, "draft", 1), (third, "published", 2)):
        brought_in(found)
        incident = Incident.objects.get()
        assert (incident.status, incident.revisions.count()) == (status, revisions)
        assert comparable(exported()["Rich"]) == comparable(found)


def test_changes_to_an_imported_draft_are_kept_unless_overwrite_is_given(cast, reopened, tmp_path):
    empty()
    brought_in(reopened)
    incident = Incident.objects.get()
    write_for(cast, incident)
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body="As we see it.")
    (line,) = brought_in(reopened)
    assert line.startswith("It was changed here after the last import")
    (tmp_path / "one.json").write_text(json.dumps(reopened))
    call_command("import_incidents", tmp_path, overwrite=True, stdout=StringIO())
    assert comparable(exported()["Reopened"]) == comparable(reopened)
    assert brought_in(reopened) == []
    # What readers see did not change.
    assert incident.revisions.count() == 1


def test_overwriting_what_a_person_published_since_publishes_a_new_revision(cast, reopened, tmp_path):
    empty()
    brought_in(reopened)
    incident = Incident.objects.get()
    write_for(cast, incident)
    fill(cast, incident)
    lifecycle.publish(actor=cast.viewer("admin"), incident_id=incident.pk)
    (tmp_path / "one.json").write_text(json.dumps(reopened))
    call_command("import_incidents", tmp_path, overwrite=True, stdout=StringIO())
    assert comparable(exported()["Reopened"]) == comparable(reopened)
    assert incident.revisions.count() == 3


def test_rows_without_ids_are_different_rows_in_the_published_text_and_in_its_draft(cast, reopened):
    private = {"state": "done", "owner": "author@acme.example", "tracker_url": "https://secret.example/b"}
    told = {"text": "Told to readers", "kind": "prevent", "state": "open"}
    reopened["published"]["actions"] = [told]
    reopened["actions"] = [{"text": "Only in the draft", "kind": "prevent", **private}, told]
    empty()
    brought_in(reopened)
    outsider = cast.viewer("outsider")
    (seen,) = read(with_all_parts(scopes.visible_incidents(outsider)).get(), outsider).document["actions"]
    assert (seen["text"], seen["state"], seen["owner"], seen["tracker_url"]) == ("Told to readers", "open", None, "")


def test_characters_that_cannot_be_printed_are_replaced_in_notes(cast, reopened, tmp_path):
    reopened["actions"] = [{"text": "Act", "kind": "prevent", "owner": "a\ud800b"}]
    reopened["weather\udfff"] = "Rain."
    (tmp_path / "one.json").write_text(json.dumps(reopened))
    empty()
    out = TextIOWrapper(BytesIO(), encoding="utf-8", write_through=True)
    call_command("import_incidents", tmp_path, stdout=out)
    said = out.buffer.getvalue().decode()
    assert "No account here has the address a\ufffdb" in said
    assert "Unknown keys were ignored: weather\ufffd" in said


def test_a_draft_from_another_template_comes_back_with_its_sections(cast, reopened):
    reopened["sections"] = [section for section in reopened["sections"] if section["key"] != "lucky"]
    empty()
    brought_in(reopened)
    after = exported()["Reopened"]
    keys = [[section["key"] for section in text["sections"]] for text in (after, after["published"])]
    wanted = [[section["key"] for section in text["sections"]] for text in (reopened, reopened["published"])]
    assert keys == wanted


def test_an_owner_without_an_account_here_is_reported_once_for_both_texts(cast, reopened):
    empty()
    User.objects.filter(email="author@acme.example").update(email="somebody@else.example")
    notes = brought_in(reopened)
    assert len([note for note in notes if "author@acme.example" in note]) == 1
    after = exported()["Reopened"]
    assert {action["owner"] for action in [*after["actions"], *after["published"]["actions"]]} == {None}
