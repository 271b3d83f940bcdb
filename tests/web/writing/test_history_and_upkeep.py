"""A postmortem's history and upkeep: revisions, changes, the audit log, and edits after publishing."""

from __future__ import annotations

import pytest
from django.utils import timezone
from lxml.html import document_fromstring

from incidents import history
from incidents.actions import lifecycle
from incidents.actions.incidents import change_incident
from incidents.actions.links import add_link, remove_link
from incidents.actions.sections import add_row, change_row, change_section, remove_row
from incidents.document import build, with_all_parts
from incidents.models import AuditEntry, Incident
from incidents.vocabulary import LinkKind
from kb.patterns.models import Pattern
from kb.web.writing import changes, differences
from tests.web.writing.conftest import forms_in, text_of


@pytest.fixture
def twice(cast, published):
    """A postmortem published, reopened, changed in every way, and published again."""
    incident = published("Cache went cold", text="About 18% of checkouts failed.", visibility="public", severity="sev3")
    actor = {"actor": cast.viewer("author"), "incident_id": incident.pk}
    lifecycle.reopen(**actor)
    change_section(**actor, key="summary", body="Nearly 20% of checkouts failed.")
    change_incident(**actor, facts={"severity": "sev1", "started": "2026-03-03T14:03Z", "services": ["Cache"]})
    lesson = incident.lessons.get()
    change_row(**actor, kind="lessons", row_id=lesson.uuid, values={"text": "A resize is a full flush"})
    add_row(**actor, kind="causes", values={"kind": "contributing", "text": "No backoff"})
    remove_row(**actor, kind="timeline", row_id=incident.timelineevents.get().uuid)
    change_section(**actor, key="timeline", none_reason="Nobody wrote it down")
    lifecycle.publish(actor=cast.viewer("lead"), incident_id=incident.pk, note="With numbers")
    incident.refresh_from_db()
    return incident


def test_every_kind_of_change_is_shown(twice):
    first, second = (twice.revisions.get(number=number).document for number in (1, 2))
    found = changes.between(first, second)
    assert {fact.label for fact in found.facts} == {"Severity", "Impact started", "Services"}
    severity = next(fact for fact in found.facts if fact.label == "Severity")
    assert (severity.before, severity.after) == ("SEV 3", "SEV 1")
    assert {text.label for text in found.texts} == {"Summary", "Timeline"}
    told = {(kind.title, row.kind.value) for kind in found.rows for row in kind.rows}
    assert told == {("Timeline", "removed"), ("Causes", "added"), ("Lessons", "changed")}
    assert not changes.between(first, first)


def test_differences_are_readable_on_the_page(cast, twice, browser):
    response = browser("author").get(f"/incidents/{twice.ref}/history/compare?from=1&to=2")
    page = response.content.decode()
    assert "<del>About 18</del><ins>Nearly 20</ins>% of checkouts failed." in page
    assert "<ins>No backoff</ins>" in page
    assert "<del>SEV 3</del>" in page
    assert "None, because Nobody wrote it down" in text_of(response)


def test_the_working_copy_is_compared_with_what_readers_see(cast, twice, browser):
    lifecycle.reopen(actor=cast.viewer("author"), incident_id=twice.pk)
    change_section(actor=cast.viewer("author"), incident_id=twice.pk, key="summary", body="A third text.")
    page = text_of(browser("author").get(f"/incidents/{twice.ref}/history/compare"))
    assert "A third text" in page
    assert browser("reader").get(f"/incidents/{twice.ref}/history/compare?to=now").status_code == 404


def test_authors_see_every_revision_and_the_audit_log(cast, twice, browser):
    page = text_of(browser("author").get(f"/incidents/{twice.ref}/history"))
    assert "With numbers" in page
    assert "Who did what" in page
    for words in (
        "created it",
        "reopened it",
        "published revision 2",
        "edited the section “Summary”",
        "added a cause",
        "removed a timeline event",
        "changed facts: severity",
    ):
        assert words in page


@pytest.mark.parametrize("name", ["outsider", "reader", "reviewer"])
def test_readers_see_only_the_published_revision(cast, twice, browser, name):
    client = browser(name)
    page = text_of(client.get(f"/incidents/{twice.ref}/history"))
    assert "With numbers" in page
    assert "Who did what" not in page
    assert "Lead" in page
    for query in ("?from=1&to=2", "?from=1", "?to=1"):
        assert client.get(f"/incidents/{twice.ref}/history/compare{query}").status_code == 404
    assert "About 18%" not in client.get(f"/incidents/{twice.ref}/history/compare").content.decode()


def test_strangers_see_no_names_and_no_notes(cast, twice, browser):
    response = browser("anonymous").get(f"/incidents/{twice.ref}/history")
    assert response.status_code == 200
    page = text_of(response)
    assert "Revision" in page
    for secret in ("Lead", "Author", "With numbers", "Who did what"):
        assert secret not in page


def test_comparing_missing_revisions_is_a_404(cast, twice, draft, browser):
    client = browser("author")
    for query in ("?from=1&to=9", "?from=x&to=2", "?from=1&to=now", "?from=-1&to=2", "?from=%00&to=2"):
        assert client.get(f"/incidents/{twice.ref}/history/compare{query}").status_code == 404
    assert client.get(f"/incidents/{draft().ref}/history/compare").status_code == 200


def test_the_audit_log_reveals_nothing_of_incidents_the_viewer_cannot_see(cast, draft, published, browser):
    ours, theirs = draft("Ours"), published("Theirs", visibility="team")
    change_incident(actor=cast.viewer("admin"), incident_id=theirs.pk, facts={"team": "payments"})
    add_link(actor=cast.viewer("admin"), incident_id=ours.pk, kind="related", to=theirs.ref)
    for name, sees in (("admin", True), ("author", False)):
        incident = with_all_parts(Incident.objects.filter(pk=ours.pk)).get()
        entries = history.audit(incident, cast.viewer(name))
        assert entries.filter(action="link.added").exists() is sees
        assert ("linked it" in text_of(browser(name).get(f"/incidents/{ours.ref}/history"))) is sees


def test_a_long_history_is_paged(cast, draft, browser):
    incident = draft()
    for number in range(60):
        AuditEntry.objects.create(
            actor=cast.author,
            action="section.changed",
            incident=incident,
            object_type="postmortemsection",
            object_id=str(number),
            change={"key": "summary"},
        )
    first = browser("author").get(f"/incidents/{incident.ref}/history")
    assert first.content.decode().count("edited the section “Summary”") == 50
    assert "Older" in text_of(first)
    last = browser("author").get(f"/incidents/{incident.ref}/history?page=2")
    assert "created it" in text_of(last)


def test_the_audit_log_names_sections_and_patterns_as_their_pages_do(cast, draft, browser):
    incident = draft()
    Pattern.objects.create(slug="migration-or-upgrade", name="Migration or upgrade gone wrong", family="change")
    for action, change in (
        ("section.changed", {"key": "lucky"}),
        ("section.changed", {"key": "no_longer_there"}),
        ("tag.added", {"pattern": "migration-or-upgrade"}),
        ("tag.rejected", {"pattern": "no-longer-there"}),
    ):
        AuditEntry.objects.create(
            actor=cast.author, action=action, incident=incident, object_type="incident", change=change
        )
    page = text_of(browser("author").get(f"/incidents/{incident.ref}/history"))
    for words in (
        "edited the section “Where we were lucky”",
        "edited the section “no longer there”",
        "added a pattern: Migration or upgrade gone wrong",
        "rejected a pattern: no longer there",
    ):
        assert words in page


@pytest.mark.parametrize(
    ("action", "words"),
    [("outage.loaded", "loaded it from its file"), ("incident.template_changed", "changed its template")],
)
def test_what_importers_did_is_said_in_words(cast, draft, browser, action, words):
    incident = draft()
    AuditEntry.objects.create(actor=cast.author, action=action, incident=incident, object_type="incident", change={})
    assert words in text_of(browser("author").get(f"/incidents/{incident.ref}/history"))


def test_a_time_rewritten_in_another_zone_is_not_a_change_and_a_changed_one_is_shown_whole():
    def document(started, *events):
        rows = [{"id": name, "at": at, "precision": "minute", "text": name} for name, at in events]
        return {"started": {"at": started, "precision": "minute"}, "timeline": rows}

    madrid = document("2026-03-31T14:05+02:00", ("Same", "2026-03-31T14:05+02:00"), ("Moved", "2026-03-31T14:09+02:00"))
    york = document("2026-03-31T08:05-04:00", ("Same", "2026-03-31T08:05-04:00"), ("Moved", "2026-03-31T08:10-04:00"))
    found = changes.between(madrid, york)
    assert found.facts == []
    ((row,),) = [kind.rows for kind in found.rows]
    (time,) = row.fields
    assert isinstance(time, changes.ValueChange)
    assert (time.label, time.before.utc, time.after.utc) == (
        "Time",
        "31 March 2026, 12:09 UTC",
        "31 March 2026, 12:10 UTC",
    )


def test_a_time_that_the_clock_showed_twice_is_a_change():
    first, second = ({"started": {"at": f"2026-10-25T02:30+0{hour}:00", "precision": "minute"}} for hour in (2, 1))
    with timezone.override("Europe/Madrid"):
        ((before, after),) = [(fact.before, fact.after) for fact in changes.between(first, second).facts]
    assert before.whole == after.whole == "25 October 2026, 02:30"
    assert before.utc != after.utc


def test_a_changed_row_is_named_and_its_values_are_in_words_and_in_the_readers_zone(cast, published, browser):
    incident = published(detected="2026-03-03T14:05Z", stated_duration={"seconds": 7200, "text": ""})
    actor = {"actor": cast.viewer("author"), "incident_id": incident.pk}
    action, event = incident.actionitems.get(), incident.timelineevents.get()
    lifecycle.reopen(**actor)
    change_row(**actor, kind="actions", row_id=action.uuid, values={"state": "done", "due": "2026-05-01"})
    change_row(**actor, kind="timeline", row_id=event.uuid, values={"at": "2026-03-03T14:00Z", "precision": "hour"})
    change_incident(
        **actor, facts={"detected": "2026-03-03T14:35Z", "stated_duration": {"seconds": 7800, "text": "two hours"}}
    )
    cast.author.time_zone = "Asia/Tokyo"
    cast.author.save()
    response = browser("author").get(f"/incidents/{incident.ref}/history/compare")
    page = text_of(response)
    for words in (
        "changed Add backoff to clients Due: 1 May 2026 State: Open Done",
        f"changed {event.text} Time: 3 March 2026, 23:0",
        "3 March 2026, about 23:00",
        "Detected 3 March 2026, 23:05 3 March 2026, 23:35",
        "Stated duration 2 h 2 h 10 min, “two hours”",
    ):
        assert words in page
    assert 'title="3 March 2026, 14:35 UTC"' in response.content.decode()


def test_two_revisions_are_compared_with_one_effort(monkeypatch):
    efforts = []
    monkeypatch.setattr(differences, "between", lambda before, after, effort: efforts.append(effort) or [])
    before, after = (
        {
            "sections": [{"key": key, "title": key, "body": word} for key in ("summary", "impact")],
            "lessons": [{"id": number, "text": word} for number in range(2)],
        }
        for word in ("Before.", "After.")
    )
    changes.between(before, after)
    assert len(efforts) == 4
    assert all(effort is efforts[0] for effort in efforts)


def test_documents_with_missing_fields_are_compared_without_an_error(draft):
    document = build(with_all_parts(Incident.objects.filter(pk=draft().pk)).get())
    assert not changes.between({}, {})
    assert changes.between({}, document).facts


# --- Upkeep ------------------------------------------------------------------------------------------
def test_actions_can_be_updated_after_publishing(cast, published, browser):
    incident = published()
    action, author = incident.actionitems.get(), browser("author")
    form = forms_in(author.get(f"/incidents/{incident.ref}/upkeep"))["upkeep"]
    sent = form.with_(state="done", owner="lead@acme.example", due="2026-05-01")
    assert author.post(form.action, sent).status_code == 302
    action.refresh_from_db()
    assert (action.state, action.owner, str(action.due)) == ("done", cast.lead, "2026-05-01")
    assert action.done_at is not None
    assert Incident.objects.get(pk=incident.pk).status == "published"


def test_upkeep_continues_in_the_archive(cast, published, browser):
    incident, other = published(), published("Other")
    lifecycle.archive(actor=cast.viewer("lead"), incident_id=incident.pk)
    action, author = incident.actionitems.get(), browser("author")
    form = forms_in(author.get(f"/incidents/{incident.ref}/upkeep"))["upkeep"]
    assert author.post(form.action, form.with_(state="done")).status_code == 302
    author.post(f"/incidents/{incident.ref}/edit/links", {"kind": "related", "to": other.ref, "note": ""})
    link = incident.links_out.get()
    author.post(f"/incidents/{incident.ref}/edit/links/{link.uuid}/remove")
    action.refresh_from_db()
    assert (action.state, incident.links_out.exists()) == ("done", False)


def test_the_text_of_a_published_action_cannot_change(cast, published, browser):
    incident = published()
    action, author = incident.actionitems.get(), browser("author")
    form = forms_in(author.get(f"/incidents/{incident.ref}/upkeep"))["upkeep"]
    author.post(form.action, form.with_(state="done", text="Something else", kind="process"))
    action.refresh_from_db()
    assert (action.text, action.kind, action.state) == ("Add backoff to clients", "prevent", "done")


def test_conflicting_changes_to_one_action_show_both_values(cast, published, browser):
    incident = published()
    action, author = incident.actionitems.get(), browser("author")
    form = forms_in(author.get(f"/incidents/{incident.ref}/upkeep"))["upkeep"]
    change_row(
        actor=cast.viewer("lead"),
        incident_id=incident.pk,
        kind="actions",
        row_id=action.uuid,
        values={"state": "dropped"},
    )
    response = author.post(form.action, form.with_(state="done"))
    assert response.status_code == 409
    assert "<del>Dropped</del>" in response.content.decode()
    again = forms_in(response)["upkeep"]
    # Saving again without choosing to overwrite is still a conflict.
    assert author.post(again.action, again.values).status_code == 409
    assert author.post(again.action, again.with_(over=f"{action.uuid}:2")).status_code == 302
    action.refresh_from_db()
    assert action.state == "done"


def test_an_invalid_owner_is_reported_and_nothing_is_changed(cast, published, browser):
    incident = published()
    action, author = incident.actionitems.get(), browser("author")
    form = forms_in(author.get(f"/incidents/{incident.ref}/upkeep"))["upkeep"]
    response = author.post(form.action, form.with_(owner="nobody@acme.example", state="done"))
    assert response.status_code == 400
    assert "No active user has this e-mail address" in text_of(response)
    action.refresh_from_db()
    assert action.state == "open"


def test_all_actions_are_saved_together_and_an_invalid_one_does_not_block_the_others(cast, published, browser):
    incident = published()
    lifecycle.reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    add = {"actor": cast.viewer("author"), "incident_id": incident.pk, "kind": "actions"}
    for text in ("Alert on hit rate", "Warm the cache"):
        add_row(**add, values={"text": text, "kind": "detect"})
    lifecycle.publish(actor=cast.viewer("lead"), incident_id=incident.pk)
    author = browser("author")
    form = forms_in(author.get(f"/incidents/{incident.ref}/upkeep"))["upkeep"]
    # An action that only another user changed causes no conflict.
    third = incident.actionitems.last()
    change_row(**add, row_id=third.uuid, values={"state": "done"})
    sent = form.with_(state=["done", "in_progress", "open"], owner=["nobody@acme.example", "lead@acme.example", ""])
    response = author.post(form.action, sent)
    assert response.status_code == 400
    assert "This is not saved yet: see what needs attention" in text_of(response)
    assert [action.state for action in incident.actionitems.all()] == ["open", "in_progress", "done"]
    again = forms_in(response)["upkeep"]
    assert again.values["state"] == ["done", "in_progress", "done"]
    assert again.values["owner"] == ["nobody@acme.example", "lead@acme.example", ""]
    again.values["owner"][0] = ""
    assert author.post(again.action, again.values).status_code == 302
    assert [action.state for action in incident.actionitems.all()] == ["done", "in_progress", "done"]


def test_taking_the_other_users_action_shows_it(cast, published, browser):
    incident = published()
    action, author = incident.actionitems.get(), browser("author")
    form = forms_in(author.get(f"/incidents/{incident.ref}/upkeep"))["upkeep"]
    theirs = {"row_id": action.uuid, "values": {"state": "dropped"}}
    change_row(actor=cast.viewer("lead"), incident_id=incident.pk, kind="actions", **theirs)
    author.post(form.action, form.with_(state="done", take=f"{action.uuid}:theirs"))
    assert forms_in(author.get(f"/incidents/{incident.ref}/upkeep"))["upkeep"].values["state"] == ["dropped"]


def test_changing_the_visibility_takes_effect_at_once(cast, published, browser):
    incident = published(visibility="public")
    browser("author").post(f"/incidents/{incident.ref}/upkeep/save", {"visibility": "team"})
    assert browser("anonymous").get(f"/incidents/{incident.ref}").status_code == 404
    refused = browser("author").post(f"/incidents/{incident.ref}/upkeep/save", {"visibility": "everybody"})
    assert refused.status_code == 400
    assert Incident.objects.get(pk=incident.pk).visibility == "team"


def test_each_button_of_the_page_saves_all_that_was_typed(cast, published, browser):
    other, lead = published("Other"), browser("lead")
    for button in ("Save", "Add link", "Remove", "Archive"):
        incident = published("One")
        add_link(actor=cast.viewer("author"), incident_id=incident.pk, kind="related", to=other.ref)
        page = lead.get(f"/incidents/{incident.ref}/upkeep")
        form = forms_in(page)["upkeep"]
        (way, *_) = document_fromstring(page.content.decode()).xpath(f"//form[@id='upkeep']//button[.='{button}']")
        sent = form.with_(due="2026-05-01", visibility="team", kind="caused_by", to=other.ref, note="Again")
        assert lead.post(way.get("formaction", form.action), sent).status_code == 302
        incident.refresh_from_db()
        assert str(incident.actionitems.get().due) == "2026-05-01", button
        assert incident.visibility == "team", button
        links = {(link.kind, link.note) for link in incident.links_out.all()}
        assert links == {("caused_by", "Again")} | (set() if button == "Remove" else {("related", "")}), button
        assert incident.status == ("archived" if button == "Archive" else "published"), button


def test_a_step_waits_until_all_that_was_typed_could_be_saved(cast, published, browser):
    incident, other, lead = published("One"), published("Other"), browser("lead")
    link, _ = add_link(actor=cast.viewer("author"), incident_id=incident.pk, kind="related", to=other.ref)
    form = forms_in(lead.get(f"/incidents/{incident.ref}/upkeep"))["upkeep"]
    sent = form.with_(owner="nobody@acme.example", to="INC-9999", note="A note that took a while")
    for step in ("archive", f"edit/links/{link.uuid}/remove"):
        response = lead.post(f"/incidents/{incident.ref}/{step}", sent)
        assert response.status_code == 400
        assert "This is not saved yet: see what needs attention" in text_of(response)
        again = forms_in(response)["upkeep"].values
        assert [again[name] for name in ("owner", "to", "note")] == [sent[name] for name in ("owner", "to", "note")]
    assert Incident.objects.get(pk=incident.pk).status == "published"
    assert incident.links_out.exists()


def test_a_link_typed_in_the_editor_is_added_when_another_is_removed(cast, draft, published, browser):
    incident, first, second = draft(), published("First"), published("Second")
    link, _ = add_link(actor=cast.viewer("author"), incident_id=incident.pk, kind="related", to=first.ref)
    form = forms_in(browser("author").get(f"/incidents/{incident.ref}/edit"))["links"]
    browser("author").post(f"{form.action}/{link.uuid}/remove", form.with_(to=second.ref))
    assert [link.to_incident for link in incident.links_out.all()] == [second]


def test_only_a_visibility_that_was_changed_is_saved_and_announced(cast, published, browser):
    incident, author = published(visibility="public"), browser("author")
    form = forms_in(author.get(f"/incidents/{incident.ref}/upkeep"))["upkeep"]
    page = text_of(author.post(form.action, form.values, follow=True))
    assert "Saved." in page
    assert "Visibility changed" not in page
    # Someone else narrowed it after this page was opened.
    change_incident(actor=cast.viewer("lead"), incident_id=incident.pk, facts={"visibility": "team"})
    author.post(form.action, form.with_(due="2026-05-01"))
    assert Incident.objects.get(pk=incident.pk).visibility == "team"
    form = forms_in(author.get(f"/incidents/{incident.ref}/upkeep"))["upkeep"]
    page = text_of(author.post(form.action, form.with_(visibility="internal"), follow=True))
    assert "Visibility changed to: internal." in page


def test_adding_an_empty_link_says_what_is_missing(published, browser):
    incident, author = published(), browser("author")
    form = forms_in(author.get(f"/incidents/{incident.ref}/upkeep"))["upkeep"]
    response = author.post(f"/incidents/{incident.ref}/edit/links", form.values)
    assert response.status_code == 400
    assert "There is no such incident, or it is not shared with you." in text_of(response)
    assert author.post(form.action, form.values).status_code == 302


@pytest.mark.parametrize("make", ["draft", "published"])
def test_links_are_added_and_removed_before_and_after_publishing(cast, request, browser, make):
    incident, other = (request.getfixturevalue(make)(title) for title in ("One", "Other"))
    author = browser("author")
    page = "edit" if make == "draft" else "upkeep"
    response = author.post(
        f"/incidents/{incident.ref}/edit/links",
        {"kind": "recurrence_of", "to": other.ref, "note": "<b>again</b>"},
        follow=True,
    )
    assert response.redirect_chain[-1][0] == f"/incidents/{incident.ref}/{page}#links"
    assert "Recurrence of" in text_of(response)
    assert "<b>again</b>" not in response.content.decode()
    link = incident.links_out.get()
    response = author.post(f"/incidents/{incident.ref}/edit/links/{link.uuid}/remove", follow=True)
    assert not incident.links_out.exists()


@pytest.mark.parametrize("make", ["draft", "published"])
def test_only_a_link_that_reads_differently_from_the_other_incident_says_that_it_is_the_other_way_round(
    cast, request, browser, make
):
    incident, other = (request.getfixturevalue(make)(title) for title in ("One", "Other"))
    page, shown = "edit" if make == "draft" else "upkeep", {}
    for kind in LinkKind:
        link, _ = add_link(actor=cast.viewer("author"), incident_id=other.pk, kind=kind, to=incident.ref)
        words = text_of(browser("author").get(f"/incidents/{incident.ref}/{page}"))
        shown[kind] = "(the other way round)" in words
        remove_link(actor=cast.viewer("author"), incident_id=other.pk, link_id=link.uuid)
    assert shown == {
        LinkKind.SAME_EVENT: False,
        LinkKind.PART_OF: True,
        LinkKind.CAUSED_BY: True,
        LinkKind.RECURRENCE_OF: True,
        LinkKind.RELATED: False,
    }


@pytest.mark.parametrize("make", ["draft", "published"])
def test_a_rejected_link_is_shown_again_with_its_error(request, browser, make):
    incident = request.getfixturevalue(make)("One")
    typed = {"kind": "caused_by", "to": incident.ref, "note": "A note that took a while"}
    response = browser("author").post(f"/incidents/{incident.ref}/edit/links", typed)
    assert response.status_code == 400
    assert "This is not saved yet: see what needs attention" in text_of(response)
    assert "An incident cannot be linked to itself." in text_of(response)
    values = forms_in(response)["links" if make == "draft" else "upkeep"].values
    assert {name: values[name] for name in typed} == {name: [value] for name, value in typed.items()}


def test_a_link_that_exists_with_another_note_is_reported_at_the_note(cast, draft, published, browser):
    incident, other, author = draft(), published("Other"), browser("author")
    for note in ("First", "Second"):
        response = author.post(
            f"/incidents/{incident.ref}/edit/links", {"kind": "related", "to": other.ref, "note": note}
        )
    assert response.status_code == 400
    assert "This link already exists with a different note." in text_of(response)
    assert forms_in(response)["links"].values["note"] == ["Second"]
    assert incident.links_out.get().note == "First"


def test_linking_to_a_hidden_incident_gives_the_same_error_as_to_a_missing_one(cast, draft, published, browser):
    hidden = published("Theirs", visibility="team")
    change_incident(actor=cast.viewer("admin"), incident_id=hidden.pk, facts={"team": "payments"})
    incident, author, words = draft(), browser("author"), []
    for reference in (hidden.ref, "INC-9999"):
        response = author.post(f"/incidents/{incident.ref}/edit/links", {"kind": "related", "to": reference})
        words.append(text_of(response))
    assert words[0] == words[1]
    assert "There is no such incident, or it is not shared with you." in words[0]
