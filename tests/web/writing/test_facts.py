"""The facts card saves only what the user changed, and asks about facts that another user changed too."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from incidents.actions.incidents import change_incident, create_incident
from incidents.durations import Moment
from incidents.vocabulary import Precision
from kb.web.writing import facts, moments
from tests.web.writing.conftest import HTMX, forms_in, text_of


def shown(writer):
    return writer.open()["form-facts"]


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "sent", "conflicts"),
    [
        ("a", "a", "a", (), ()),
        ("a", "b", "a", ("title",), ()),
        ("a", "a", "b", (), ()),
        ("a", "b", "b", (), ()),
        ("a", "b", "c", (), ("title",)),
    ],
)
def test_each_fact_is_left_saved_or_reported_as_a_conflict(base, mine, theirs, sent, conflicts):
    planned = facts.plan({"title": base}, {"title": mine}, {"title": theirs})
    assert (planned.to_save, planned.conflicts) == (sent, conflicts)


def test_a_time_and_its_precision_are_one_fact():
    base = {"started": "2026-03-31 14:03", "started_precision": ""}
    planned = facts.plan(base, {**base, "started_precision": "hour"}, {**base, "started": "2026-03-31 15:00"})
    assert planned.conflicts == ("started",)


def test_sending_the_form_unchanged_changes_nothing(cast, draft, writer):
    stated = {"seconds": 7805, "text": "two hours"}
    facts = {"services": ["Cache"], "mitigations": ["rollback"], "planned_change": True, "stated_duration": stated}
    incident = draft(started="2026-03-31T14:03Z", **facts)
    author = writer("author", incident)
    assert author.send(shown(author)).status_code == 302
    incident.refresh_from_db()
    assert incident.version == 1


def test_every_fact_can_be_saved(cast, draft, writer):
    incident = draft()
    author = writer("author", incident)
    response = author.send(
        shown(author),
        title="Checkout fell over",
        organization="Acme",
        services=["Payments cache", "", "Checkout API"],
        severity="sev2",
        started="2026-03-31 14:03",
        detected="14:09",
        detected_precision="",
        mitigated="2026-03-31 14:00",
        mitigated_precision="hour",
        resolved="2026-03-31",
        time_zone="Europe/Madrid",
        planned_change="on",
        detected_by="alert",
        mitigations=["rollback", "throttle"],
        visibility="team",
        stated_duration="3 h",
    )
    assert response.status_code == 302
    incident.refresh_from_db()
    assert incident.title == "Checkout fell over"
    assert {service.name for service in incident.services.all()} == {"Payments cache", "Checkout API"}
    assert (incident.severity, incident.detected_by, incident.visibility) == ("sev2", "alert", "team")
    assert incident.mitigations == ["rollback", "throttle"]
    assert incident.planned_change is True
    assert incident.started_at.isoformat() == "2026-03-31T12:03:00+00:00"
    assert incident.mitigated_precision == "hour"
    assert incident.resolved_precision == "day"
    assert incident.stated_seconds == 3 * 3600


@pytest.mark.parametrize(
    ("typed", "words", "seconds", "again"),
    [
        ("27 min", "", 1620, "27 min"),
        ("2h10m", "just over two hours", 7800, "2 h 10 min"),
        ("1620 s", "", 1620, "27 min"),
        ("3 days", "three days", 259_200, "3 d"),
        ("2 h 10 min 5 s", "", 7805, "2 h 10 min 5 s"),
    ],
)
def test_a_stated_duration_can_be_typed_as_people_say_it(cast, draft, writer, typed, words, seconds, again):
    incident = draft()
    author = writer("author", incident)
    assert author.send(shown(author), stated_duration=typed, stated_duration_text=words).status_code == 302
    incident.refresh_from_db()
    assert (incident.stated_seconds, incident.stated_text) == (seconds, words)
    form = shown(author)
    assert (form.values["stated_duration"], form.values["stated_duration_text"]) == ([again], [words])


def test_new_wording_of_a_stated_duration_leaves_its_seconds_alone(cast, draft, writer):
    incident = draft(stated_duration={"seconds": 93_784, "text": "about a day"})
    author = writer("author", incident)
    author.send(shown(author), stated_duration_text="a day and two hours")
    incident.refresh_from_db()
    assert (incident.stated_seconds, incident.stated_text) == (93_784, "a day and two hours")


def test_emptying_a_stated_duration_removes_it(cast, draft, writer):
    incident = draft(stated_duration={"seconds": 1620, "text": "27 minutes"})
    author = writer("author", incident)
    author.send(shown(author), stated_duration="", stated_duration_text="")
    incident.refresh_from_db()
    assert (incident.stated_seconds, incident.stated_text) == (None, "")


@pytest.mark.parametrize(("typed", "words"), [("a while", ""), ("0 min", ""), ("", "a while"), ("9999999 w", "")])
def test_a_stated_duration_that_cannot_be_read_says_what_to_type(cast, draft, writer, typed, words):
    incident = draft(stated_duration={"seconds": 1620, "text": "27 minutes"})
    author = writer("author", incident)
    changes = {"stated_duration": typed, "stated_duration_text": words, "severity": "sev2"}
    page = author.send(shown(author), htmx=True, **changes).content.decode()
    said = '<div id="facts-stated_duration-said" hx-swap-oob="innerHTML"><ul class="errors"><li>Enter a duration'
    assert said in page
    incident.refresh_from_db()
    assert (incident.stated_seconds, incident.stated_text, incident.severity) == (1620, "27 minutes", "sev2")


@pytest.mark.parametrize(("choice", "left"), [("mine", (7200, "two hours")), ("theirs", (1620, "27 minutes"))])
def test_a_conflict_of_two_stated_durations_shows_both(cast, draft, writer, choice, left):
    incident = draft()
    lead = writer("lead", incident)
    opened = shown(lead)
    stated = {"stated_duration": {"seconds": 1620, "text": "27 minutes"}}
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts=stated)
    again = lead.send(opened, stated_duration="2 h", stated_duration_text="two hours")
    assert again.status_code == 409
    assert "Someone else changed this to 27 min, “27 minutes” in the meantime" in text_of(again)
    assert lead.send(forms_in(again)["form-facts"], settle=f"{choice}:stated_duration").status_code == 302
    incident.refresh_from_db()
    assert (incident.stated_seconds, incident.stated_text) == left


def test_a_fact_missing_from_the_form_stays_unchanged(cast, draft, writer):
    incident = draft(stated_duration={"seconds": 1620, "text": "27 minutes"}, planned_change=True)
    author = writer("author", incident)
    form = shown(author)
    form.values = {name: values for name, values in form.values.items() if "stated" not in name}
    form.values.pop("planned_change")
    author.send(form, severity="sev2")
    incident.refresh_from_db()
    assert (incident.severity, incident.stated_seconds) == ("sev2", 1620)
    # An unchecked box is not sent either, but means no.
    assert incident.planned_change is False


@pytest.mark.parametrize("lacking", ["started_precision", "stated_duration_text"])
def test_a_fact_sent_without_one_of_its_parts_is_rejected(cast, draft, writer, lacking):
    incident = draft()
    author = writer("author", incident)
    form = shown(author)
    del form.values[lacking]
    answer = author.send(form, started="2026-01-01 10:00", stated_duration="3 h", severity="sev2")
    assert answer.status_code == 400
    assert "This form is incomplete" in text_of(answer)
    incident.refresh_from_db()
    assert incident.severity is None


def test_a_time_without_a_date_is_on_the_day_the_incident_started(cast, draft, writer):
    incident = draft(started="2026-03-31T14:03Z")
    author = writer("author", incident)
    author.send(shown(author), detected="14:09")
    incident.refresh_from_db()
    assert incident.detected_at.isoformat() == "2026-03-31T14:09:00+00:00"


def test_changing_the_zone_keeps_the_times_as_typed(cast, draft, writer):
    incident = draft(started="2026-03-31T14:03Z", resolved="2026-03-31")
    author = writer("author", incident)
    author.send(shown(author), time_zone="America/New_York")
    incident.refresh_from_db()
    assert incident.started_at.isoformat() == "2026-03-31T18:03:00+00:00"
    form = shown(author)
    assert form.values["started"] == ["2026-03-31 14:03"]
    assert form.values["resolved"] == ["2026-03-31"]


def test_edits_to_different_facts_never_conflict(cast, draft, writer):
    incident = draft(severity="sev3")
    author, lead = writer("author", incident), writer("lead", incident)
    mine, theirs = shown(author), shown(lead)
    assert author.send(mine, severity="sev1").status_code == 302
    assert lead.send(theirs, visibility="team").status_code == 302
    incident.refresh_from_db()
    assert (incident.severity, incident.visibility) == ("sev1", "team")


def test_the_second_writer_of_a_fact_sees_both_values_and_nothing_is_overwritten(cast, draft, writer):
    incident = draft(severity="sev3")
    author, lead = writer("author", incident), writer("lead", incident)
    mine, theirs = shown(author), shown(lead)
    author.send(mine, severity="sev1")
    response = lead.send(theirs, severity="sev2", visibility="team")
    assert response.status_code == 409
    assert "Someone else changed this to SEV 1 in the meantime" in text_of(response)
    incident.refresh_from_db()
    # The fact without a conflict is saved.
    assert (incident.severity, incident.visibility) == ("sev1", "team")


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(("choice", "left"), [("mine", "sev2"), ("theirs", "sev1")])
def test_the_second_writer_chooses_between_both_values(cast, draft, writer, choice, left, htmx):
    incident = draft(severity="sev3")
    lead = writer("lead", incident)
    opened = shown(lead)
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"severity": "sev1"})
    again = lead.send(opened, severity="sev2")
    form = forms_in(again)["form-facts"]
    assert form.values["severity"] == ["sev2"]
    response = lead.send(form, htmx=htmx, settle=f"{choice}:severity")
    assert response.status_code == (200 if htmx else 302)
    incident.refresh_from_db()
    assert incident.severity == left
    if htmx and choice == "theirs":
        assert 'id="field-facts-severity"' in response.content.decode()


def test_a_choice_based_on_a_stale_value_is_asked_again(cast, draft, writer):
    incident = draft(severity="sev3")
    lead = writer("lead", incident)
    opened = shown(lead)
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"severity": "sev1"})
    form = forms_in(lead.send(opened, severity="sev2"))["form-facts"]
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"severity": "sev4"})
    response = lead.send(form, settle="mine:severity")
    assert response.status_code == 409
    assert "Someone else changed this to SEV 4 in the meantime" in text_of(response)


def test_an_invalid_fact_is_shown_as_typed_and_the_others_are_saved(cast, draft, writer):
    incident = draft()
    author = writer("author", incident)
    response = author.send(shown(author), started="yesterday", severity="sev2")
    assert response.status_code == 400
    assert forms_in(response)["form-facts"].values["started"] == ["yesterday"]
    assert "Enter a time as 2026-03-31 14:05, or" in text_of(response)
    incident.refresh_from_db()
    assert incident.severity == "sev2"
    assert incident.started_at is None


def test_an_invisible_title_is_rejected_and_an_invisible_service_ignored(cast, draft, writer):
    incident = draft(services=["Cache"])
    author = writer("author", incident)
    response = author.send(shown(author), title="\u2060", services=["Cache", "\u200b"], severity="sev2")
    assert response.status_code == 400
    assert "This field is required." in text_of(response)
    incident.refresh_from_db()
    assert (incident.title, incident.severity) == ("Checkout returned errors", "sev2")
    assert [service.name for service in incident.services.all()] == ["Cache"]


def test_when_two_times_contradict_each_other_the_changed_one_gets_the_error(cast, draft, writer):
    incident = draft(started="2026-03-31T14:03Z", resolved="2026-03-31T15:15Z")
    author = writer("author", incident)
    response = author.client.post(
        author.address("/facts"), shown(author).with_(started="2026-03-31 16:00", title="New title"), headers=HTMX
    )
    page = response.content.decode()
    assert response.status_code == 400
    assert '<div id="facts-started-said" hx-swap-oob="innerHTML"><ul class="errors"><li>The end is before' in page
    incident.refresh_from_db()
    assert incident.title == "New title"


def test_an_htmx_answer_never_holds_the_text_of_a_field(cast, draft, writer):
    incident = draft()
    author = writer("author", incident)
    page = author.send(shown(author), htmx=True, title="Another title").content.decode()
    assert 'name="title"' not in page
    assert 'name="base-title" value="Another title"' in page
    assert "<html" not in page


def test_detection_before_the_start_of_a_planned_change_is_saved_with_a_warning(cast, draft, writer):
    incident = draft(started="2026-03-31T14:03Z", planned_change=True)
    author = writer("author", incident)
    response = author.client.post(
        author.address("/facts"), shown(author).with_(detected="2026-03-31 14:00"), follow=True
    )
    assert "Detected before the impact began" in text_of(response)
    incident.refresh_from_db()
    assert incident.detected_at is not None


def test_organizations_named_only_in_hidden_drafts_are_not_suggested(cast, draft, writer):
    theirs = draft("Theirs", organization="Secret Supplier")
    ours = create_incident(actor=cast.viewer("outsider"), facts={"title": "Ours", "team": "payments"})
    outsider, author = writer("outsider", ours), writer("author", theirs)
    assert "Secret Supplier" not in outsider.client.get(outsider.address()).content.decode()
    assert '<option value="Secret Supplier">' in author.client.get(author.address()).content.decode()


def test_a_historical_offset_with_seconds_is_left_out_too():
    at = Moment(datetime(1970, 5, 1, 10, 44, 30, tzinfo=UTC), Precision.MINUTE)
    assert moments.form_values(at, "Africa/Monrovia") == ("1970-05-01 10:00", "")


def test_only_a_time_that_the_clock_showed_twice_has_an_offset(cast, draft, writer):
    author = writer("author", draft(time_zone="Europe/Madrid"))
    refused = author.send(shown(author), started="2026-10-25 02:30").content.decode()
    assert "Add the offset: 2026-10-25 02:30:00+02:00 or 2026-10-25 02:30:00+01:00." in refused
    author.send(shown(author), started="2026-10-25 02:30+01:00", resolved="2026-10-25 03:30")
    form = shown(author)
    assert [*form.values["started"], *form.values["resolved"]] == ["2026-10-25 02:30+01:00", "2026-10-25 03:30"]
    author.send(form, started_precision="hour")
    assert shown(author).values["started"] == ["2026-10-25 02:00+01:00"]


def test_the_day_of_pasted_lines_follows_the_start(cast, draft, writer):
    author = writer("author", draft(time_zone="Europe/Madrid"))
    form = shown(author)
    assert b"paste-day" not in author.send(form, htmx=True, severity="sev2").content
    answer = author.send(form, htmx=True, started="2026-03-31 23:30").content.decode()
    assert 'name="day" value="2026-03-31" hx-swap-oob="true"' in answer


def test_forms_for_new_rows_learn_of_a_changed_zone(cast, draft, writer):
    author = writer("author", draft(time_zone="Asia/Kathmandu"))
    form = shown(author)
    zone = '<input type="hidden" name="zone" value="UTC">'
    assert zone not in author.send(form, htmx=True, severity="sev2").content.decode()
    assert zone in author.send(form, htmx=True, time_zone="UTC").content.decode()


def test_forms_for_new_rows_learn_of_a_zone_taken_over_in_a_conflict(cast, draft, writer):
    author = writer("author", draft(time_zone="Asia/Kathmandu"))
    form = shown(author)
    writer("lead", author.incident).send(form, time_zone="UTC")
    values = {"time_zone": "Europe/Madrid", "settle": "theirs:time_zone", "seen-time_zone": "UTC"}
    answer = author.send(form, htmx=True, **values)
    assert '<input type="hidden" name="zone" value="UTC">' in answer.content.decode()
