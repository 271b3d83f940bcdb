"""The import command: what it creates, what it leaves alone, and what it reports."""

from __future__ import annotations

import errno
import json
import os
import threading
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, transaction
from django.utils import timezone

from incidents import scopes
from incidents.actions import lifecycle
from incidents.actions.incidents import change_incident, delete_incident
from incidents.actions.links import add_link, change_link, remove_link
from incidents.actions.sections import add_row, change_section
from incidents.document import build, read, with_all_parts
from incidents.export import json_document
from incidents.importing import frontmatter
from incidents.importing.documents import read_all
from incidents.importing.execution import add_links, import_candidate, take_snapshot
from incidents.importing.planning import plan
from incidents.management.commands import import_incidents
from incidents.models import AuditEntry, Incident, IncidentLink, OutboxEntry, User
from incidents.scopes import ANONYMOUS, Viewer
from kb.patterns import decisions
from kb.patterns.models import Pattern, Tag
from tests.incidents.roundtrip import empty

UUID = "5d9f0b56-52e6-4d51-8c7e-6e2a0e1f7a{:02d}"


def markdown(n=1, **changes):
    values = {
        "uuid": UUID.format(n),
        "url": f"https://kettle.example/{n}",
        "title": f"Cold tea {n}",
        "start_time": "2019-11-05T08:15:00Z",
        "end_time": "2019-11-05T09:45:00Z",
        "company": "Kettle",
        "product": "Boiler",
        "summary": "A thermostat counted in another scale.",
        **changes,
    }
    header = "".join(f"{key}: {value}\n" for key, value in values.items() if value is not None)
    return f"---\n{header}---\n\nA new thermostat was put in.\n\nThe tea stayed cold.\n"


def run(path, code=0, **options):
    out, err = StringIO(), StringIO()
    try:
        call_command("import_incidents", path, stdout=out, stderr=err, **options)
        returned = 0
    except CommandError as error:
        returned = error.returncode
    assert returned == code, err.getvalue()
    return out.getvalue(), err.getvalue()


def imported(n=1):
    return with_all_parts(Incident.objects).get(external_id=f"postmortems.app:{UUID.format(n)}")


def row_counts():
    return {model._meta.label: model._default_manager.count() for model in apps.get_models()}


@pytest.fixture
def folder(tmp_path, cast):
    path = tmp_path / "data"
    path.mkdir()
    (path / "one.md").write_text(markdown(1))
    (path / "two.md").write_text(markdown(2))
    return path


def exported(incident):
    return json_document(read(with_all_parts(Incident.objects).get(pk=incident.pk), Viewer.system()))


def body(incident, key):
    return next(section["body"] for section in build(incident)["sections"] if section["key"] == key)


# --- What it creates -------------------------------------------------------------------------------
def test_files_become_published_incidents_of_origin_imported_by_the_system_user(folder, cast):
    assert run(folder)[0] == "2 created.\n"
    incident = imported()
    assert (incident.status, incident.origin, incident.visibility) == ("published", "imported", "internal")
    assert incident.created_by.is_system
    assert incident.published_revision.number == 1
    assert incident.organization.name == "Kettle"
    assert incident.duration.seconds == 5400
    assert body(incident, "account").startswith("A new thermostat was put in.")
    assert incident.sources.get().url == "https://kettle.example/1"
    assert scopes.visible_incidents(cast.viewer("outsider")).filter(pk=incident.pk).exists()
    assert not scopes.visible_incidents(ANONYMOUS).filter(pk=incident.pk).exists()


def test_visibility_is_as_requested(folder):
    run(folder, visibility="public")
    assert read(imported(), ANONYMOUS).document["title"] == "Cold tea 1"


def test_a_draft_is_visible_only_to_its_team_whatever_is_requested_and_that_is_reported(tmp_path, cast, draft):
    file = tmp_path / "draft.json"
    file.write_text(json.dumps(exported(draft())))
    told = "draft.json: It was not published when it was exported; "
    assert f"{told}only its team can see it.\n" in run(file, visibility="public")[0]
    incident = Incident.objects.get(origin="imported")
    assert incident.visibility == "team"
    change_incident(actor=cast.viewer("admin"), incident_id=incident.pk, facts={"visibility": "public"})
    assert f"{told}here it stays public.\n" in run(file, overwrite=True)[0]
    incident.refresh_from_db()
    assert incident.visibility == "public"


def test_an_incident_without_a_company_is_not_taken_for_ours(folder, cast):
    (folder / "one.md").write_text(markdown(1, company=None))
    run(folder)
    assert imported().organization.name == "Unknown"


# --- Importing again -------------------------------------------------------------------------------
def test_importing_again_changes_nothing(folder):
    run(folder)
    before = row_counts()
    assert run(folder)[0] == "2 unchanged.\n"
    assert row_counts() == before


def test_a_changed_file_updates_its_incident_with_a_new_revision(folder):
    run(folder)
    first = imported().pk
    (folder / "one.md").write_text(markdown(1, title="Lukewarm tea", end_time=None))
    assert run(folder)[0] == "1 updated, 1 unchanged.\n"
    incident = imported()
    assert (incident.pk, incident.title, incident.resolved_at) == (first, "Lukewarm tea", None)
    assert incident.revisions.count() == 2


def test_a_renamed_or_moved_file_is_the_same_incident(folder):
    run(folder)
    (folder / "sub").mkdir()
    (folder / "one.md").rename(folder / "sub" / "other.markdown")
    assert run(folder)[0] == "2 unchanged.\n"


def test_a_file_without_a_uuid_is_known_by_its_url(folder):
    (folder / "one.md").write_text(markdown(1, uuid=None))
    run(folder)
    (folder / "one.md").write_text(markdown(1, uuid=None, url="http://www.kettle.example/1/", title="Again"))
    assert run(folder)[0] == "1 updated, 1 unchanged.\n"
    assert Incident.objects.filter(origin="imported").count() == 2


def test_an_incident_can_be_imported_from_its_markdown_and_from_its_export_in_turn(folder, tmp_path):
    (folder / "two.md").unlink()
    run(folder)
    call_command("export_incidents", tmp_path / "export", stdout=StringIO())
    before = row_counts()
    for path in (tmp_path / "export", folder, tmp_path / "export"):
        assert run(path)[0] == "1 unchanged.\n"
    assert row_counts() == before
    # Another installation, to which it was moved by its export.
    empty()
    assert run(tmp_path / "export")[0] == "1 created.\n"
    assert run(folder, dry_run=True)[0] == "Dry run, nothing changed. Would be: 1 unchanged.\n"
    for path in (folder, tmp_path / "export", folder):
        assert run(path)[0] == "1 unchanged.\n"
    (folder / "one.md").write_text(markdown(1, title="Lukewarm tea"))
    source = imported().sources.get().uuid
    assert run(folder)[0] == "1 updated.\n"
    assert (imported().revisions.count(), imported().sources.get().uuid) == (2, source)


# --- Changes by people -----------------------------------------------------------------------------
def edit(cast, incident):
    admin = cast.viewer("admin")
    lifecycle.reopen(actor=admin, incident_id=incident.pk)
    change_section(actor=admin, incident_id=incident.pk, key="summary", body="As we see it.")
    lifecycle.publish(actor=admin, incident_id=incident.pk)


def test_what_a_person_changed_is_kept_and_reported(folder, cast):
    run(folder)
    edit(cast, imported())
    (folder / "one.md").write_text(markdown(1, title="From the file"))
    out, _ = run(folder)
    assert out.startswith("one.md: kept unchanged. It was changed here after the last import")
    assert out.endswith("1 unchanged, 1 kept.\n")
    assert body(imported(), "summary") == "As we see it."


def test_decisions_about_patterns_and_changes_to_links_do_not_block_an_update(folder, cast, published):
    """Imports write neither, so both are kept."""
    run(folder)
    incident, own = imported(), published()
    admin = cast.viewer("admin")
    for slug in ("retry-storm", "thundering-herd"):
        pattern = Pattern.objects.create(slug=slug, name=slug, family="load")
        Tag.objects.create(incident=incident, pattern=pattern, source="rule", state="suggested", rule_version=1)
    decisions.confirm(actor=admin, incident_id=incident.pk, slug="retry-storm")
    decisions.reject(actor=admin, incident_id=incident.pk, slug="thundering-herd", reason="Nobody came at once")
    made, _ = add_link(actor=admin, incident_id=incident.pk, kind="related", to=own.ref)
    change_link(actor=admin, incident_id=incident.pk, link_id=made.uuid, note="The same boiler")
    (folder / "one.md").write_text(markdown(1, title="Corrected"))
    assert run(folder)[0] == "1 updated, 1 unchanged.\n"
    assert imported().title == "Corrected"
    assert set(incident.tags.values_list("state", flat=True)) == {"confirmed", "rejected"}
    assert imported().links_out.get().note == "The same boiler"


def test_a_link_that_a_person_removed_does_not_come_back(folder, cast, published):
    documents = [exported(published(title)) for title in ("First", "Second")]
    documents[0]["links"] = [
        {"kind": "related", "direction": "out", "incident": {"id": documents[1]["id"], "ref": documents[1]["ref"]}}
    ]
    file = folder / "both.json"
    file.write_text(json.dumps(documents))
    run(file)
    removed = IncidentLink.objects.get(kind="related")
    remove_link(actor=cast.viewer("admin"), incident_id=removed.from_incident_id, link_id=removed.uuid)
    assert run(file)[0].endswith("1 unchanged, 1 kept.\n")
    assert not IncidentLink.objects.filter(kind="related").exists()


def test_overwrite_replaces_what_a_person_changed_and_the_next_import_changes_nothing(folder, cast):
    run(folder)
    edit(cast, imported())
    assert run(folder, overwrite=True)[0] == "1 updated, 1 unchanged.\n"
    assert body(imported(), "summary") == "A thermostat counted in another scale."
    assert run(folder)[0] == "2 unchanged.\n"


def test_overwriting_a_change_that_left_the_text_as_it_was_lets_later_imports_update_it(folder, cast):
    run(folder)
    lifecycle.reopen(actor=cast.viewer("admin"), incident_id=imported().pk)
    lifecycle.publish(actor=cast.viewer("admin"), incident_id=imported().pk)
    assert run(folder)[0].endswith("1 unchanged, 1 kept.\n")
    assert run(folder, overwrite=True)[0] == "1 updated, 1 unchanged.\n"
    (folder / "one.md").write_text(markdown(1, title="From the file"))
    assert run(folder)[0] == "1 updated, 1 unchanged.\n"


def test_a_narrowed_visibility_is_not_widened_again(folder, cast):
    run(folder, visibility="public")
    change_incident(actor=cast.viewer("admin"), incident_id=imported().pk, facts={"visibility": "internal"})
    run(folder, visibility="public")
    assert imported().visibility == "internal"


def test_other_changes_by_the_system_do_not_count_as_changes_by_a_person(folder):
    run(folder)
    change_incident(
        actor=Viewer.system(), incident_id=imported().pk, facts={"visibility": "internal", "team": "checkout"}
    )
    (folder / "one.md").write_text(markdown(1, title="From the file"))
    assert run(folder)[0] == "1 updated, 1 unchanged.\n"


def test_a_deleted_incident_does_not_come_back(folder, cast):
    run(folder)
    delete_incident(actor=cast.viewer("admin"), incident_id=imported().pk)
    assert "one.md: kept unchanged. It was deleted here." in run(folder, overwrite=True)[0]
    assert not scopes.visible_incidents(Viewer.system()).filter(external_id__endswith="01").exists()


def test_a_link_to_an_incident_deleted_here_is_reported_and_the_rest_imported(tmp_path, cast, published):
    first, second = (exported(published(title)) for title in ("First", "Second"))
    to_first = {"kind": "caused_by", "incident": {"id": first["id"], "ref": first["ref"]}}
    second["links"] = [{**to_first, "direction": "out"}, {**to_first, "direction": "in"}]
    (tmp_path / "a.json").write_text(json.dumps(first))
    run(tmp_path)
    here = Incident.objects.get(external_id=f"precedent:{first['id']}")
    delete_incident(actor=cast.viewer("admin"), incident_id=here.pk)
    (tmp_path / "b.json").write_text(json.dumps(second))
    assert run(tmp_path)[0].splitlines() == [
        "a.json: kept unchanged. It was deleted here.",
        f"b.json: Its link to {first['ref']} is left out: that incident is not here.",
        "1 created alongside one of another origin, 1 kept.",
    ]


def test_a_link_to_an_incident_deleted_during_the_import_is_reported(cast, published):
    first, second = (exported(published(title)) for title in ("First", "Second"))
    second["links"] = [{"kind": "related", "direction": "out", "incident": {"id": first["id"], "ref": first["ref"]}}]
    here, system = take_snapshot(), Viewer.system()
    candidates = list(read_all("both.json", json.dumps([first, second])))
    done = [import_candidate(system, planned, here) for planned in plan(candidates, here)]
    delete_incident(actor=cast.viewer("admin"), incident_id=done[0].incident_id)
    ((told, note),) = add_links(system, done, here)
    assert told is done[1]
    assert note.startswith(f"Its link to {first['ref']} is left out: ")


# --- The same event under another origin -----------------------------------------------------------
def test_the_same_event_of_another_origin_is_left_alone_and_linked(folder, cast, published):
    own = published()
    lifecycle.reopen(actor=cast.viewer("author"), incident_id=own.pk)
    add_row(
        actor=cast.viewer("author"),
        incident_id=own.pk,
        kind="sources",
        values={"url": "http://www.kettle.example/1/", "title": "Post"},
    )
    lifecycle.publish(actor=cast.viewer("lead"), incident_id=own.pk)
    own.refresh_from_db()
    assert run(folder)[0] == "1 created, 1 created alongside one of another origin.\n"
    link = IncidentLink.objects.get()
    assert (link.from_incident, link.to_incident, link.kind) == (imported(), own, "same_event")
    before = (own.version, own.index_version, own.updated_at)
    own.refresh_from_db()
    assert (own.version, own.index_version, own.updated_at) == before
    assert run(folder, overwrite=True)[0] == "2 unchanged.\n"


# --- Dry run ---------------------------------------------------------------------------------------
def test_a_dry_run_reports_the_same_and_changes_nothing(folder, cast, published):
    run(folder)
    (folder / "one.md").write_text(markdown(1, title="Changed"))
    (folder / "three.md").write_text(markdown(3, company="Teapot"))
    (folder / "four.md").write_text(markdown(4, end_time="2018-01-01"))
    (folder / "five.md").write_text("no front matter")
    six, seven, gone = (exported(published(title)) for title in ("Six", "Seven", "Gone"))
    six["links"] = [
        {"kind": "related", "direction": "out", "incident": {"id": other["id"], "ref": other["ref"]}}
        for other in (six, seven, gone)
    ]
    Incident.objects.filter(title="Gone").update(deleted_at=timezone.now())
    (folder / "six.json").write_text(json.dumps([six, seven]))
    before, versions = row_counts(), list(Incident.objects.order_by("pk").values())
    rehearsed, rehearsed_errors = run(folder, dry_run=True, code=1)
    assert row_counts() == before
    assert list(Incident.objects.order_by("pk").values()) == versions
    done, errors = run(folder, code=1)
    assert rehearsed.replace("Dry run, nothing changed. Would be: ", "") == done
    assert rehearsed_errors == errors
    assert done.count("is left out") == 2
    assert row_counts() != before


# --- Changes during an import ----------------------------------------------------------------------
@pytest.fixture
def meanwhile(monkeypatch):
    """meanwhile(act) calls `act` once, after the next import has read what is here and before it writes."""

    def before_the_first_file(act):
        waiting = [act]

        def then_import(*given, **options):
            while waiting:
                waiting.pop()()
            return import_candidate(*given, **options)

        monkeypatch.setattr(import_incidents, "import_candidate", then_import)

    return before_the_first_file


@pytest.mark.parametrize(
    "act",
    [
        edit,
        lambda cast, incident: lifecycle.reopen(actor=cast.viewer("admin"), incident_id=incident.pk),
    ],
    ids=["a new revision", "reopened"],
)
def test_what_a_person_did_during_an_import_is_kept_and_reported(folder, cast, meanwhile, act):
    run(folder)
    (folder / "one.md").write_text(markdown(1, title="From the file"))
    meanwhile(lambda: act(cast, imported()))
    out, _ = run(folder)
    assert out.startswith("one.md: kept unchanged. It was changed here after the last import")
    assert out.endswith("1 unchanged, 1 kept.\n")
    assert imported().title == "Cold tea 1"
    assert run(folder, overwrite=True)[0] == "1 updated, 1 unchanged.\n"
    assert imported().title == "From the file"


def test_an_incident_deleted_during_an_import_stays_deleted(folder, cast, meanwhile):
    run(folder)
    (folder / "one.md").write_text(markdown(1, title="From the file"))
    meanwhile(lambda: delete_incident(actor=cast.viewer("admin"), incident_id=imported().pk))
    assert "one.md: kept unchanged. It was deleted here." in run(folder)[0]


def test_a_visibility_narrowed_during_an_import_stays_narrow(folder, cast, meanwhile):
    run(folder, visibility="public")
    (folder / "one.md").write_text(markdown(1, title="From the file"))
    narrower = {"visibility": "internal"}
    meanwhile(lambda: change_incident(actor=Viewer.system(), incident_id=imported().pk, facts=narrower))
    run(folder)
    assert (imported().title, imported().visibility) == ("From the file", "internal")


def test_the_second_of_two_concurrent_imports_finds_what_the_first_wrote(folder, meanwhile):
    meanwhile(lambda: run(folder))
    assert run(folder)[0] == "2 unchanged.\n"
    (folder / "one.md").write_text(markdown(1, title="From the file"))
    meanwhile(lambda: run(folder))
    assert run(folder)[0] == "2 unchanged.\n"
    assert (imported().title, imported().revisions.count()) == ("From the file", 2)


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_a_first_import_waits_for_a_concurrent_one_and_does_not_fail(folder):
    User.objects.system()
    (planned,) = plan([frontmatter.read("one.md", markdown(1))], here := take_snapshot())
    second = []

    def other():
        try:
            second.append(import_candidate(Viewer.system(), planned, here).outcome)
        finally:
            connection.close()

    thread = threading.Thread(target=other)
    with transaction.atomic():
        assert import_candidate(Viewer.system(), planned, here).outcome == "created"
        thread.start()
        thread.join(1)
        assert second == []
    thread.join()
    assert second == ["unchanged"]


# --- Files and options -----------------------------------------------------------------------------
def test_each_rejected_file_is_named_with_its_reason_and_the_rest_imported(folder, tmp_path):
    outside = tmp_path / "outside.md"
    outside.write_text(markdown(50))
    (folder / "a-link.md").symlink_to(outside)
    (folder / "a-loop.md").symlink_to(folder / "a-loop.md")
    (folder / "b-latin.md").write_bytes(markdown(3, title="Caf\xe9").encode("latin-1"))
    (folder / "c-nul.md").write_text(markdown(4) + "\x00")
    (folder / "d-order.md").write_text(markdown(5, end_time="2019-11-05T07:00:00Z"))
    (folder / "e-title.md").write_text(markdown(6, title="t" * 10_000))
    (folder / "f-section.md").write_text(markdown(7) + "x" * (256 * 1024))
    (folder / "g-huge.md").write_text(markdown(8) + "x" * (4 * 1024 * 1024))
    (folder / "z-twice.md").write_text(markdown(1))
    os.mkfifo(folder / "i-pipe.md")
    out, err = run(folder, code=1)
    assert out == "2 created, 10 rejected.\n"
    reasons = dict(line.split(": rejected. ", 1) for line in err.splitlines())
    for name, says in {
        "a-link.md": "outside the folder",
        "a-loop.md": "cannot be read",
        "b-latin.md": "not UTF-8",
        "c-nul.md": "NUL",
        "d-order.md": "end is before the start",
        "e-title.md": "at most 200 characters",
        "f-section.md": "at most 256 KiB",
        "g-huge.md": "larger than 4 MiB",
        "i-pipe.md": "not a regular file",
        "z-twice.md": "is the same postmortem as one.md",
    }.items():
        assert says in reasons.pop(name, ""), name
    assert reasons == {}
    assert set(Incident.objects.values_list("title", flat=True)) == {"Cold tea 1", "Cold tea 2"}


def test_a_rejected_file_leaves_nothing_behind(folder):
    (folder / "one.md").unlink()
    (folder / "two.md").write_text(markdown(2, end_time="2019-11-05T07:00:00Z", company="Nobody Else"))
    # Looking up the system user creates it.
    User.objects.system()
    before = row_counts()
    run(folder, code=1)
    after = row_counts()
    assert {name: n for name, n in after.items() if n != before[name]} == {}


def test_hidden_files_and_other_extensions_are_ignored(folder):
    (folder / ".git").mkdir()
    (folder / ".git" / "three.md").write_text(markdown(3))
    (folder / ".four.md").write_text(markdown(4))
    (folder / "notes.txt").write_text("nothing")
    assert run(folder)[0] == "2 created.\n"


def test_a_file_name_that_is_not_text_can_still_be_printed(folder):
    for name in (b"\xff\n.md", b"\xfe\n.md"):
        with open(os.path.join(os.fsencode(folder), name), "w") as file:
            file.write(markdown(3))
    out, err = run(folder, code=1)
    assert out == "3 created, 1 rejected.\n"
    assert err == "\ufffd\ufffd.md: rejected. It is the same postmortem as \ufffd\ufffd.md.\n"


def test_control_characters_from_files_are_not_printed(folder):
    escape = "\x1b]0;owned\x07\x9b31m"
    (folder / "a.json").write_text(json.dumps([{"format": escape}, {"format": "x", escape: 1, "\u2028": 2}]))
    (folder / "b.md").write_text('---\n"a\\e[31m": 1\n"a\\e[31m": 2\n---\n')
    for said in run(folder, code=1):
        assert all(line.isprintable() for line in said.splitlines())


def test_a_folder_that_cannot_be_read_or_is_a_link_to_the_outside_is_reported(folder, tmp_path, monkeypatch):
    for name in ("locked", "kept"):
        (folder / name).mkdir()
    (folder / "kept-too").symlink_to(folder / "kept")
    (folder / "away").symlink_to(tmp_path)
    looked_into = os.scandir

    def scandir(path):
        if str(path).endswith("locked"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return looked_into(path)

    # Real permissions would not stop root.
    monkeypatch.setattr(os, "scandir", scandir)
    out, err = run(folder, code=1)
    assert out == "2 created, 2 rejected.\n"
    assert err.splitlines() == [
        "away: rejected. It is a link that points outside the folder.",
        "locked: rejected. It cannot be read: Permission denied.",
    ]


def test_a_format_limits_the_files_and_a_single_file_is_read_whatever_its_extension(folder):
    (folder / "list.json").write_text("[]")
    assert run(folder, format="frontmatter")[0] == "2 created.\n"
    (folder / "three").write_text(markdown(3))
    assert run(folder / "three", format="frontmatter")[0] == "1 created.\n"


def test_bad_usage_has_another_exit_code_than_bad_files(tmp_path, cast):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    run(tmp_path / "empty", code=2)
    run(tmp_path / "not-there", code=2)
    run(tmp_path / "notes.txt", code=2)
    run(tmp_path / ("n" * 300), code=2)
    with pytest.raises(CommandError, match="invalid choice"):
        call_command("import_incidents", str(tmp_path), "--visibility=team")
    with pytest.raises(CommandError, match=r"choose from '?frontmatter'?, '?json'?"):
        call_command("import_incidents", str(tmp_path), "--format=xml")


def test_an_import_is_audited_and_reaches_the_outbox(folder):
    run(folder)
    assert (
        AuditEntry.objects.filter(incident=imported(), action="incident.imported", actor__is_system=True).count() == 1
    )
    assert OutboxEntry.objects.filter(incident_id=imported().pk).exists()


def test_links_that_people_made_survive_an_update(folder, cast, published):
    run(folder)
    own = published()
    add_link(actor=cast.viewer("author"), incident_id=own.pk, kind="related", to=imported().ref)
    (folder / "one.md").write_text(markdown(1, title="From the file"))
    run(folder)
    assert IncidentLink.objects.filter(from_incident=own, to_incident=imported()).exists()


def test_progress_is_shown_on_a_terminal_and_not_in_a_file(folder, monkeypatch, capsys):
    run(folder, dry_run=True)
    assert capsys.readouterr().err == ""
    # Makes rich take the output for a terminal.
    monkeypatch.setenv("FORCE_COLOR", "1")
    run(folder)
    shown = capsys.readouterr().err
    for label in ("Reading", "Importing"):
        assert label in shown
    assert "2/2" in shown
