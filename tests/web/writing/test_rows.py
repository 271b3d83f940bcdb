"""Rows of records in the editor: adding, changing, moving, removing and putting back, each row with its own version."""

from __future__ import annotations

import json

import pytest

from incidents.actions.incidents import change_incident
from incidents.actions.sections import add_row, change_row, remove_row
from incidents.document import relation
from incidents.models import Source
from tests.web.writing.conftest import HTMX, forms_in, kept_texts, text_of

SAMPLES = {
    "timeline": {"at": "2026-03-31 14:03", "kind": "impact", "text": "Resize begins", "precision": "", "data_url": ""},
    "causes": {"kind": "trigger", "family": "", "text": "The resize flushed every key"},
    "lessons": {"text": "A resize is a flush"},
    "actions": {
        "text": "Add backoff",
        "kind": "prevent",
        "owner": "lead@acme.example",
        "due": "2026-04-30",
        "state": "open",
        "tracker_url": "https://tracker.acme.example/1",
    },
    "impact_figures": {"label": "Failed checkouts", "qualifier": "about", "value": "18.5", "unit": "%", "source": ""},
    "sources": {
        "title": "Incident channel",
        "url": "https://chat.acme.example/x",
        "publisher": "Acme",
        "published": "2026-03",
        "archive_url": "",
        "looked_up": "2026-04-01",
        "primary": "on",
        "supports": ["started", "timeline"],
    },
    "disagreements": {"about": "duration", "text": "One says 27 min, one 30"},
}


def rows(incident, kind):
    return list(getattr(incident, relation(kind)).all())


def lessons(cast, incident, *texts):
    return [
        add_row(actor=cast.viewer("author"), incident_id=incident.pk, kind="lessons", values={"text": text})
        for text in texts
    ]


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize("kind", SAMPLES)
def test_rows_of_every_kind_are_added_and_shown_as_typed(cast, draft, writer, kind, htmx):
    incident = draft()
    author = writer("author", incident)
    response = author.send(author.open()[f"form-new-{kind}"], htmx=htmx, **SAMPLES[kind])
    assert response.status_code == (200 if htmx else 302)
    row = rows(incident, kind)[0]
    form = author.open()[f"form-row-{row.uuid}"]
    for name, value in SAMPLES[kind].items():
        assert form.values.get(name, []) == (value if isinstance(value, list) else [value])
    # Sending it unchanged must change nothing.
    assert author.send(form).status_code == 302
    assert rows(incident, kind)[0].version == 1


@pytest.mark.parametrize("kind", SAMPLES)
def test_an_incomplete_new_row_is_shown_again_with_its_errors(cast, draft, writer, kind):
    incident = draft()
    author = writer("author", incident)
    first = next(name for name, value in SAMPLES[kind].items() if name in ("text", "title", "label"))
    response = author.send(author.open()[f"form-new-{kind}"], **{**SAMPLES[kind], first: ""})
    assert response.status_code == 400
    assert "This field is required." in text_of(response)
    form = forms_in(response)[f"form-new-{kind}"]
    for name, value in SAMPLES[kind].items():
        if name != first:
            assert form.values.get(name, []) == (value if isinstance(value, list) else [value])
    assert rows(incident, kind) == []


@pytest.mark.parametrize(
    ("typed", "value"), [("4,211", 4211), ("-1,234,567.5", -1234567.5), ("4211", 4211), ("12.5", 12.5)]
)
def test_a_figure_can_be_typed_as_the_page_shows_it(cast, draft, writer, typed, value):
    incident = draft()
    author = writer("author", incident)
    author.send(author.open()["form-new-impact_figures"], **{**SAMPLES["impact_figures"], "value": typed})
    assert [float(row.value) for row in rows(incident, "impact_figures")] == [value]


@pytest.mark.parametrize("typed", ["4,21", "4,2110", "0,125", "1.234,5", "12,5", "4,,211", ",211", "4,211e3", "many"])
def test_an_ambiguous_figure_is_rejected_with_an_example(cast, draft, writer, typed):
    incident = draft()
    author = writer("author", incident)
    values = {**SAMPLES["impact_figures"], "value": typed}
    response = author.send(author.open()["form-new-impact_figures"], **values)
    assert "Enter a number, such as 4211 or 12.5." in text_of(response)
    assert forms_in(response)["form-new-impact_figures"].values["value"] == [typed]
    assert rows(incident, "impact_figures") == []


def test_an_unknown_kind_is_a_404(cast, draft, writer):
    author = writer("author", draft())
    assert author.client.post(author.address("/rows/nothing"), {}).status_code == 404


def test_edits_to_different_rows_never_conflict(cast, draft, writer):
    incident = draft()
    one, two = lessons(cast, incident, "One", "Two")
    author, lead = writer("author", incident), writer("lead", incident)
    mine, theirs = author.open()[f"form-row-{one.uuid}"], lead.open()[f"form-row-{two.uuid}"]
    assert author.send(mine, text="One, mine").status_code == 302
    assert lead.send(theirs, text="Two, theirs").status_code == 302
    assert [row.text for row in rows(incident, "lessons")] == ["One, mine", "Two, theirs"]


@pytest.mark.parametrize("htmx", [False, True])
def test_the_second_writer_of_a_row_sees_both_and_can_overwrite_what_was_shown(cast, draft, writer, htmx):
    incident = draft()
    author = writer("author", incident)
    author.send(author.open()["form-new-actions"], **SAMPLES["actions"])
    row = rows(incident, "actions")[0]
    form = author.open()[f"form-row-{row.uuid}"]
    change_row(
        actor=cast.viewer("lead"),
        incident_id=incident.pk,
        kind="actions",
        row_id=row.uuid,
        values={"state": "done", "text": "Add a budget"},
    )
    response = author.send(form, htmx=htmx, text="Add backoff and jitter")
    assert response.status_code == 409
    page = response.content.decode()
    assert "<ins>backoff and jitter</ins>" in page
    assert "<del>a budget</del>" in page
    assert "Theirs: State" in text_of(response)
    response = author.send(form, htmx=htmx, text="Add backoff, a budget", state="done", over="2")
    assert response.status_code == (200 if htmx else 302)
    row.refresh_from_db()
    assert (row.text, row.state) == ("Add backoff, a budget", "done")


def test_rows_move_up_and_down_and_stop_at_the_ends(cast, draft, writer):
    incident = draft()
    one, two, three = lessons(cast, incident, "One", "Two", "Three")
    author = writer("author", incident)

    def move(row, to):
        response = author.client.post(author.address(f"/rows/lessons/{row.uuid}/move"), {"move": to}, headers=HTMX)
        assert response.status_code == 200
        return [row.text for row in rows(incident, "lessons")]

    assert move(three, "up") == ["One", "Three", "Two"]
    assert move(three, "up") == ["Three", "One", "Two"]
    assert move(three, "up") == ["Three", "One", "Two"]
    assert move(one, "down") == ["Three", "Two", "One"]
    assert move(one, "down") == ["Three", "Two", "One"]
    two.refresh_from_db()
    assert two.version == 1


def test_what_was_typed_in_a_row_is_saved_when_it_is_moved_without_scripts(cast, draft, writer):
    incident = draft()
    _, two = lessons(cast, incident, "One", "Two")
    author = writer("author", incident)
    form, address = author.open()[f"form-row-{two.uuid}"], author.address(f"/rows/lessons/{two.uuid}/move")
    sent = form.with_(text="Two, longer", move="up")
    assert author.client.post(address, sent).status_code == 302
    assert [row.text for row in rows(incident, "lessons")] == ["Two, longer", "One"]
    # The form is out of date now, so nothing is moved and both texts are shown.
    response = author.client.post(address, {**sent, "text": "Two, once more", "move": "down"})
    assert response.status_code == 409
    assert "Two, once more" in response.content.decode()
    assert [row.text for row in rows(incident, "lessons")] == ["Two, longer", "One"]


def test_timeline_events_are_in_chronological_order(cast, draft, writer):
    incident = draft()
    author = writer("author", incident)
    for at, text in (("2026-03-31 15:00", "Later"), ("2026-03-31 14:00", "Earlier")):
        author.send(author.open()["form-new-timeline"], at=at, text=text)
    first, second = rows(incident, "timeline")
    assert [first.text, second.text] == ["Earlier", "Later"]
    assert author.client.post(author.address(f"/rows/timeline/{second.uuid}/move"), {"move": "up"}).status_code == 400
    assert "/move" not in author.client.get(author.address()).content.decode()


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize("kind", SAMPLES)
def test_a_removed_row_comes_back_as_it_was_in_its_old_place(cast, draft, writer, kind, htmx):
    incident = draft()
    author = writer("author", incident)
    author.send(author.open()[f"form-new-{kind}"], **SAMPLES[kind])
    author.send(author.open()[f"form-new-{kind}"], **SAMPLES[kind])
    first = rows(incident, kind)[0]
    before = author.open()[f"form-row-{first.uuid}"].values
    address = author.address(f"/rows/{kind}/{first.uuid}/remove")
    response = author.client.post(address, {}, headers=HTMX if htmx else {})
    assert len(rows(incident, kind)) == 1
    undo = forms_in(response)[author.address(f"/rows/{kind}/back")]
    assert author.send(undo, htmx=htmx).status_code == (200 if htmx else 302)
    assert rows(incident, kind)[0].uuid == first.uuid
    after = author.open()[f"form-row-{first.uuid}"].values
    assert after.pop("version") != before.pop("version")
    assert {**after, "csrfmiddlewaretoken": []} == {**before, "csrfmiddlewaretoken": []}
    assert author.send(undo).status_code == 400


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"row": "nothing", "values": "{}"},
        {"row": "8d3b0b0e-6b0a-4f0e-9d86-0f4f7d8f9a10", "values": "[]"},
        {"row": "8d3b0b0e-6b0a-4f0e-9d86-0f4f7d8f9a10", "values": "{"},
        {"row": "8d3b0b0e-6b0a-4f0e-9d86-0f4f7d8f9a10", "values": '{"text": ""}'},
        {"row": "8d3b0b0e-6b0a-4f0e-9d86-0f4f7d8f9a10", "values": '{"body": "x"}'},
        {"row": "8d3b0b0e-6b0a-4f0e-9d86-0f4f7d8f9a10", "values": "[" * 100_000},
    ],
)
def test_an_invalid_row_to_put_back_is_rejected(cast, draft, writer, sent):
    incident = draft()
    author = writer("author", incident)
    assert author.client.post(author.address("/rows/lessons/back"), sent).status_code == 400
    assert rows(incident, "lessons") == []


def test_an_out_of_range_position_is_not_an_error(cast, draft, writer):
    incident = draft()
    author = writer("author", incident)
    sent = {"row": "8d3b0b0e-6b0a-4f0e-9d86-0f4f7d8f9a10", "values": json.dumps({"text": "x"}), "position": "999999999"}
    assert author.client.post(author.address("/rows/lessons/back"), sent).status_code == 302
    lessons(cast, incident, "after")
    assert [row.text for row in rows(incident, "lessons")] == ["x", "after"]


def test_a_row_removed_in_the_meantime_is_a_404_that_gives_back_what_was_typed(cast, draft, writer):
    incident = draft()
    (row,) = lessons(cast, incident, "One")
    author = writer("author", incident)
    form = author.open()[f"form-row-{row.uuid}"]
    remove_row(actor=cast.viewer("lead"), incident_id=incident.pk, kind="lessons", row_id=row.uuid)
    response = author.send(form, text="One, <b>mine</b>")
    assert response.status_code == 404
    assert "may have been removed in the meantime" in text_of(response)
    assert kept_texts(response) == ["One, <b>mine</b>"]
    moved = author.client.post(author.address(f"/rows/lessons/{row.uuid}/move"), form.with_(text="Again", move="up"))
    assert moved.status_code == 404
    assert kept_texts(moved) == ["Again"]


def test_a_row_of_another_incident_cannot_be_reached_through_this_one(cast, draft, writer):
    (row,) = lessons(cast, draft("Another"), "One")
    author = writer("author", draft("This"))
    for rest in ("", "/move", "/remove"):
        response = author.client.post(author.address(f"/rows/lessons/{row.uuid}{rest}"), {"version": "1", "text": "x"})
        assert response.status_code == 404
    row.refresh_from_db()
    assert row.text == "One"


def test_unknown_facts_that_a_source_supports_are_kept(cast, draft, writer):
    incident = draft()
    add_row(
        actor=cast.viewer("author"),
        incident_id=incident.pk,
        kind="sources",
        values={"title": "Blog", "url": "https://a.example/", "supports": ["timeline"]},
    )
    # Such as from an import.
    Source.objects.update(supports=["row-17", "timeline"])
    source = Source.objects.get()
    author = writer("author", incident)
    author.send(author.open()[f"form-row-{source.uuid}"], publisher="Acme")
    source.refresh_from_db()
    assert sorted(source.supports) == ["row-17", "timeline"]
    assert source.publisher == "Acme"


def test_changing_the_text_of_an_event_in_a_repeated_hour_does_not_move_it(cast, draft, writer):
    """Clocks went back in Madrid on 25 October 2026, so 02:30 occurred twice."""
    incident = draft(time_zone="Europe/Madrid")
    row = add_row(
        actor=cast.viewer("author"),
        incident_id=incident.pk,
        kind="timeline",
        values={"at": "2026-10-25T01:30Z", "text": "The second half past two"},
    )
    author = writer("author", incident)
    form = author.open()[f"form-row-{row.uuid}"]
    assert form.values["at"] == ["2026-10-25 02:30+01:00"]
    author.send(form, text="Still the second")
    row.refresh_from_db()
    assert row.at.isoformat() == "2026-10-25T01:30:00+00:00"
    assert row.text == "Still the second"


@pytest.mark.parametrize("htmx", [False, True])
def test_a_time_is_read_in_the_zone_it_was_shown_in_even_if_the_zone_has_changed_since(cast, draft, writer, htmx):
    incident = draft(time_zone="Europe/Madrid")
    event = {"at": "2026-03-31 14:05", "text": "Resize begins"}
    row = add_row(actor=cast.viewer("author"), incident_id=incident.pk, kind="timeline", values=event)
    author = writer("author", incident)
    page = author.open()
    facts = {"time_zone": "America/New_York"}
    change_incident(actor=cast.viewer("lead"), incident_id=incident.pk, facts=facts)

    def at():
        return [event.at.isoformat() for event in rows(incident, "timeline")]

    form = page[f"form-row-{row.uuid}"]
    author.send(form, htmx=htmx, text="The resize begins")
    assert at() == ["2026-03-31T12:05:00+00:00"]
    author.send(form, htmx=htmx, text="The resize begins", at="2026-03-31 14:06", version="2")
    assert at() == ["2026-03-31T12:06:00+00:00"]
    author.send(page["form-new-timeline"], htmx=htmx, at="2026-03-31 14:09", text="Alert")
    assert at() == ["2026-03-31T12:06:00+00:00", "2026-03-31T12:09:00+00:00"]
    # A rejected row keeps its text and the zone it was typed in.
    refused = author.send(form, htmx=htmx, at="2026-03-31 14:07", text="", version="3")
    assert b'name="zone" value="Europe/Madrid"' in refused.content
    # A page opened after the change uses the new zone.
    page = author.open()[f"form-row-{row.uuid}"]
    assert (page.values["at"], page.values["zone"]) == (["2026-03-31 08:06"], ["America/New_York"])


def test_a_new_event_without_a_date_is_on_the_day_the_incident_started(cast, draft, writer):
    incident = draft(started="2026-03-31T22:03Z", time_zone="Europe/Madrid")
    author = writer("author", incident)
    author.send(author.open()["form-new-timeline"], at="9:05", text="Morning of the first of April, in Madrid")
    assert rows(incident, "timeline")[0].at.isoformat() == "2026-04-01T07:05:00+00:00"


# --- Quick paste -------------------------------------------------------------------------------------
@pytest.mark.parametrize("htmx", [False, True])
def test_pasted_lines_are_previewed_before_they_are_saved(cast, draft, writer, htmx):
    incident = draft(started="2026-03-31T14:03Z")
    author = writer("author", incident)
    lines = "hello\n14:03 Resize begins\n14:09 Alert\nsecond line\n14:58 <script>alert(1)</script>"
    response = author.send(author.open()["form-paste"], htmx=htmx, lines=lines)
    assert response.status_code == 200
    assert rows(incident, "timeline") == []
    assert "3 events found" in text_of(response)
    assert "hello" in text_of(response)
    assert "<script>alert" not in response.content.decode()
    form = forms_in(response)["form-understood"]
    assert form.values["at"] == ["2026-03-31 14:03", "2026-03-31 14:09", "2026-03-31 14:58"]
    form.values["keep"].remove("0")
    form.values["kind"][1] = "detect"
    assert author.send(form, htmx=htmx).status_code == (200 if htmx else 302)
    saved = [(row.at.isoformat(), row.kind, row.text) for row in rows(incident, "timeline")]
    assert saved == [
        ("2026-03-31T14:09:00+00:00", "detect", "Alert\nsecond line"),
        ("2026-03-31T14:58:00+00:00", "other", "<script>alert(1)</script>"),
    ]


def test_pasted_events_are_saved_all_or_none(cast, draft, writer):
    incident = draft(started="2026-03-31T14:03Z")
    author = writer("author", incident)
    form = forms_in(author.send(author.open()["form-paste"], lines="14:03 One\n14:09 Two"))["form-understood"]
    form.values["at"][1] = "soon"
    response = author.send(form)
    assert response.status_code == 400
    assert "Enter a time as" in text_of(response)
    assert forms_in(response)["form-understood"].values["text"] == ["One", "Two"]
    assert rows(incident, "timeline") == []


@pytest.mark.parametrize("htmx", [False, True])
def test_a_rejected_paste_is_shown_again_with_its_ticks(cast, draft, writer, htmx):
    incident = draft(started="2026-03-31T14:03Z", time_zone="Europe/Madrid")
    author = writer("author", incident)
    lines = "14:03 One\n14:09 Two\n14:15 Three"
    form = forms_in(author.send(author.open()["form-paste"], lines=lines))["form-understood"]
    # Another user corrects the zone in the meantime. Times shown in Madrid's zone must still be read in it.
    facts = {"time_zone": "America/New_York"}
    change_incident(actor=cast.viewer("lead"), incident_id=incident.pk, facts=facts)
    form.values["keep"].remove("0")
    form.values["at"][2] = "rubbish"
    response = author.send(form, htmx=htmx)
    assert response.status_code == 400
    assert "see the error at event 3" in text_of(response)
    assert "in Europe/Madrid" in text_of(response)
    again = forms_in(response)
    assert again["form-understood"].values["text"] == ["One", "Two", "Three"]
    assert again["form-understood"].values["keep"] == ["1", "2"]
    assert again["form-paste"].values["lines"] == [lines]
    again["form-understood"].values["at"][2] = "2026-03-31 14:15"
    author.send(again["form-understood"], htmx=htmx)
    saved = [(row.at.isoformat(), row.text) for row in rows(incident, "timeline")]
    assert saved == [("2026-03-31T12:09:00+00:00", "Two"), ("2026-03-31T12:15:00+00:00", "Three")]


def test_a_paste_with_a_nul_is_rejected(cast, draft, writer):
    author = writer("author", draft())
    assert author.send(author.open()["form-paste"], lines="14:03 a\x00b").status_code == 400
