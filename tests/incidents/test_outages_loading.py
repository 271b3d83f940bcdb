"""Loading curated files: only what changed is written, and rows keep the ids by which others refer to them."""

from __future__ import annotations

from io import StringIO

import pytest
from django.apps import apps
from django.core.management import call_command
from django.core.management.base import CommandError

from incidents import scopes
from incidents.actions.change import audit
from incidents.actions.incidents import change_incident
from incidents.document import build, read, with_all_parts
from incidents.errors import NotAllowed
from incidents.models import AuditEntry, Cause, Incident, IncidentLink, Organization, OutboxEntry, Revision, Source
from incidents.outages import files, loading
from incidents.scopes import ANONYMOUS, Viewer
from tests.incidents.curated import OUTAGE, other_outage, outage, write

FIRST, SECOND = OUTAGE["id"], "2022-lantern-clock"


def load(path, **options):
    out, err = StringIO(), StringIO()
    call_command("load_outages", path, stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def incident(external_id=FIRST):
    return with_all_parts(Incident.objects).get(origin="famous", external_id=external_id)


def row_counts():
    tables = [model for model in apps.get_models() if model._meta.app_label in ("incidents", "patterns")]
    return {model._meta.label: model._default_manager.count() for model in tables}


@pytest.fixture
def folder(tmp_path, cast):
    return write(tmp_path / "outages", outage(), other_outage())


def test_a_file_becomes_a_published_public_incident_with_everything_it_says(folder):
    assert load(folder)[0] == "Famous outages: 2 created.\n"
    document = read(incident(), ANONYMOUS).document
    assert document["status"] == "published"
    assert document["revision"] == 1
    assert document["visibility"] == "public"
    assert document["origin"] == "famous"
    assert document["organization"]["website"] == "https://harbour.example"
    assert document["services"] == ["Ticket kiosks", "Web shop"]
    assert document["started"] == {"at": "2021-04-12T07:30+02:00", "precision": "minute"}
    assert document["duration"]["seconds"] == 5400
    assert document["stated_duration"] == {"seconds": 5400, "text": "ninety minutes"}
    assert [row["text"] for row in document["causes"]] == [row["text"] for row in OUTAGE["causes"]]
    assert [row["label"] for row in document["impact_figures"]] == ["Sailings with paper tickets"]
    assert [row["state"] for row in document["actions"]] == ["announced"]
    bodies = {section["key"]: section["body"] for section in document["sections"]}
    assert bodies["trigger"] == OUTAGE["sections"]["trigger"]
    assert bodies["went_well"] == ""


def test_the_second_of_two_concurrent_loaders_finds_what_the_first_created(folder, monkeypatch):
    load_one = loading.load

    def after_another(*given):
        monkeypatch.setattr(loading, "load", load_one)
        load(folder)
        return load_one(*given)

    monkeypatch.setattr(loading, "load", after_another)
    assert load(folder)[0] == "Famous outages: 2 unchanged.\n"
    assert incident().revisions.count() == 1


def test_sources_support_the_facts_and_the_rows_that_name_them(folder):
    load(folder)
    document = build(incident())
    report, press = document["sources"]
    trigger, root = document["causes"]
    assert {"started", "summary", trigger["id"], root["id"]} <= set(report["supports"])
    assert set(press["supports"]) == {"summary", root["id"]}


def test_records_sections_without_rows_say_that_the_sources_do_not_say(folder):
    load(folder)
    reasons = {section["key"]: section["none_reason"] for section in build(incident(SECOND))["sections"]}
    assert reasons["timeline"] == reasons["actions"] == "The sources do not say."
    assert reasons["lessons"] == ""


def test_loading_again_writes_nothing(folder):
    load(folder)
    before, versions = row_counts(), dict(Incident.objects.values_list("pk", "index_version"))
    assert load(folder)[0] == "Famous outages: 2 unchanged.\n"
    assert row_counts() == before
    assert dict(Incident.objects.values_list("pk", "index_version")) == versions


def test_a_changed_file_is_published_as_the_next_revision_and_the_other_left_alone(folder):
    load(folder)
    write(folder, outage(severity="sev1"))
    assert load(folder)[0] == "Famous outages: 1 changed, 1 unchanged.\n"
    assert [incident(key).revisions.count() for key in (FIRST, SECOND)] == [2, 1]
    assert read(incident(), ANONYMOUS).document["severity"] == "sev1"


def test_a_changed_sentence_keeps_its_row_and_a_new_one_gets_its_own(folder):
    load(folder)
    trigger, root = incident().causes.all()
    changed = "The queue refused all messages that were above its limit."
    write(folder, outage(
        causes=[{**OUTAGE["causes"][1], "text": "Nobody had tested the largest ferry."},
                {**OUTAGE["causes"][1], "text": changed}, OUTAGE["causes"][0]],
        patterns=[{"slug": "limit-reached", "sentence": changed}],
    ))  # fmt: skip
    load(folder)
    new, root_now, trigger_now = incident().causes.all()
    assert (root_now.uuid, root_now.text, root_now.version) == (root.uuid, changed, root.version + 1)
    assert trigger_now.uuid == trigger.uuid
    assert new.uuid not in (root.uuid, trigger.uuid)


def test_an_old_text_that_returns_next_to_its_changed_row_is_a_new_row(folder):
    load(folder)
    first = incident().causes.first()
    changed = {**OUTAGE["causes"][0], "text": "The new seat map more than doubled every message."}
    write(folder, outage(causes=[changed, OUTAGE["causes"][1]]))
    load(folder)
    assert incident().causes.first().uuid == first.uuid
    write(folder, outage(causes=[changed, OUTAGE["causes"][1], OUTAGE["causes"][0]]))
    load(folder)
    assert Cause.objects.filter(incident=incident()).count() == 3
    assert incident().causes.first().uuid == first.uuid


def test_a_source_keeps_its_row_when_its_address_changes(folder):
    load(folder)
    before = Source.objects.get(incident=incident(), url="https://press.example/ferries")
    moved = {**OUTAGE["sources"][1], "url": "https://press.example/2021/ferries"}
    write(folder, outage(sources=[OUTAGE["sources"][0], moved]))
    load(folder)
    before.refresh_from_db()
    assert before.url == "https://press.example/2021/ferries"


def test_two_installations_give_the_same_rows_the_same_ids(folder):
    load(folder)
    before = build(incident())
    Incident.objects.update(published_revision=None)
    Incident.objects.all().delete()
    load(folder)
    after = build(incident())
    assert after["id"] == before["id"]
    assert [row["id"] for row in after["timeline"]] == [row["id"] for row in before["timeline"]]


def test_a_removed_file_archives_its_incident_and_a_restored_one_brings_it_back(folder):
    load(folder)
    (folder / f"{FIRST}.yaml").unlink()
    assert load(folder)[0] == "Famous outages: 1 unchanged, 1 archived.\n"
    assert incident().status == "archived"
    assert load(folder)[0] == "Famous outages: 1 unchanged.\n"
    write(folder, outage())
    assert load(folder)[0] == "Famous outages: 1 restored, 1 unchanged.\n"
    assert incident().status == "published"
    assert incident().revisions.count() == 1


def test_loading_one_file_archives_no_other(folder):
    load(folder)
    load(folder / f"{FIRST}.yaml")
    load(folder, only=FIRST)
    assert incident(SECOND).status == "published"


def test_links_are_added_when_both_incidents_are_there_and_removed_with_their_line(folder):
    write(folder, outage(links=[{"kind": "related", "to": SECOND}]))
    load(folder)
    link = IncidentLink.objects.get()
    assert (link.from_incident, link.to_incident, link.kind) == (incident(), incident(SECOND), "related")
    write(folder, outage())
    load(folder)
    assert not IncidentLink.objects.exists()


def test_links_that_people_made_from_their_own_incidents_are_left_alone(folder, cast, published):
    load(folder)
    own = published()
    IncidentLink.objects.create(from_incident=own, to_incident=incident(), kind="related", created_by=cast.author)
    load(folder)
    assert IncidentLink.objects.count() == 1


def test_an_invalid_file_is_named_and_the_others_are_loaded(folder):
    write(folder, outage(severity="sev7"))
    out, err = StringIO(), StringIO()
    with pytest.raises(CommandError) as stopped:
        call_command("load_outages", folder, stdout=out, stderr=err)
    assert stopped.value.returncode == 1
    assert err.getvalue().startswith(f"{FIRST}: not loaded. severity: ")
    assert Incident.objects.get().external_id == SECOND


def test_a_file_that_became_invalid_leaves_its_incident_as_it_was(folder):
    load(folder)
    write(folder, outage(severity="sev7"))
    with pytest.raises(CommandError):
        load(folder)
    assert (incident().status, incident().severity) == ("published", "sev2")


@pytest.mark.parametrize("options", [{"only": "1999-no-such-file"}, {}])
def test_nothing_to_load_is_bad_usage(tmp_path, db, options):
    with pytest.raises(CommandError) as stopped:
        load(tmp_path, **options)
    assert stopped.value.returncode == 2


def test_an_existing_organization_gets_only_the_values_it_lacks(folder):
    system = Viewer.system()
    here = Organization.objects.create(name="harbour lines", slug="harbour", website="https://mine.example")
    audit(system, "organization.created", here)
    load(folder)
    here.refresh_from_db()
    assert (here.name, here.website, here.sector) == ("harbour lines", "https://mine.example", "transport")
    assert incident().organization == here


def test_only_the_loader_can_change_a_curated_outage(folder, cast):
    load(folder)
    for name in ("author", "lead", "admin"):
        with pytest.raises(NotAllowed):
            change_incident(actor=cast.viewer(name), incident_id=incident().pk, facts={"severity": "sev4"})


def test_every_change_reaches_the_outbox_and_the_audit(folder):
    load(folder)
    OutboxEntry.objects.all().delete()
    write(folder, outage(severity="sev1"))
    load(folder)
    assert set(OutboxEntry.objects.values_list("incident_id", flat=True)) == {incident().pk}
    last = AuditEntry.objects.filter(incident=incident(), action="outage.loaded").first()
    assert last.actor.is_system


@pytest.mark.slow
def test_all_curated_outages_load_and_load_again_without_a_change(cast):
    count = len(list(files.FOLDER.glob("*.yaml")))
    assert load(files.FOLDER)[0] == f"Famous outages: {count} created.\n"
    assert scopes.visible_incidents(ANONYMOUS).count() == Revision.objects.count() == count
    before = row_counts()
    assert load(files.FOLDER)[0] == f"Famous outages: {count} unchanged.\n"
    assert row_counts() == before
