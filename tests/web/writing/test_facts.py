"""The facts card saves what was touched and nothing else; what two people touched is asked about."""

from __future__ import annotations

import pytest

from incidents.actions.incidents import change_incident, create_incident
from kb.web.writing import facts
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
def test_the_plan_for_a_fact(base, mine, theirs, sent, conflicts):
    planned = facts.plan({"title": base}, {"title": mine}, {"title": theirs})
    assert (planned.sent, planned.conflicts) == (sent, conflicts)


def test_a_time_and_its_precision_are_one_fact():
    base = {"started": "2026-03-31 14:03", "started_precision": ""}
    planned = facts.plan(base, {**base, "started_precision": "hour"}, {**base, "started": "2026-03-31 15:00"})
    assert planned.conflicts == ("started",)


def test_the_form_as_it_was_opened_changes_nothing(cast, draft, writer):
    incident = draft(started="2026-03-31T14:03Z", services=["Cache"], mitigations=["rollback"], planned_change=True)
    author = writer("author", incident)
    assert author.send(shown(author)).status_code == 302
    incident.refresh_from_db()
    assert incident.version == 1


def test_every_fact_can_be_written(cast, draft, writer):
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


def test_a_bare_clock_time_is_on_the_day_it_started(cast, draft, writer):
    incident = draft(started="2026-03-31T14:03Z")
    author = writer("author", incident)
    author.send(shown(author), detected="14:09")
    incident.refresh_from_db()
    assert incident.detected_at.isoformat() == "2026-03-31T14:09:00+00:00"


def test_another_zone_reads_the_times_again_as_they_stand(cast, draft, writer):
    incident = draft(started="2026-03-31T14:03Z", resolved="2026-03-31")
    author = writer("author", incident)
    author.send(shown(author), time_zone="America/New_York")
    incident.refresh_from_db()
    assert incident.started_at.isoformat() == "2026-03-31T18:03:00+00:00"
    form = shown(author)
    assert form.values["started"] == ["2026-03-31 14:03"]
    assert form.values["resolved"] == ["2026-03-31"]


def test_two_people_in_different_facts_never_collide(cast, draft, writer):
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
    assert "Somebody saved SEV 1 here meanwhile" in text_of(response)
    incident.refresh_from_db()
    # The fact that nobody else touched is saved all the same.
    assert (incident.severity, incident.visibility) == ("sev1", "team")


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(("choice", "left"), [("mine", "sev2"), ("theirs", "sev1")])
def test_whoever_sees_both_values_chooses(cast, draft, writer, choice, left, htmx):
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


def test_a_choice_made_on_an_old_value_is_asked_again(cast, draft, writer):
    incident = draft(severity="sev3")
    lead = writer("lead", incident)
    opened = shown(lead)
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"severity": "sev1"})
    form = forms_in(lead.send(opened, severity="sev2"))["form-facts"]
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"severity": "sev4"})
    response = lead.send(form, settle="mine:severity")
    assert response.status_code == 409
    assert "Somebody saved SEV 4 here meanwhile" in text_of(response)


def test_a_bad_fact_is_shown_as_it_was_typed_and_the_others_are_saved(cast, draft, writer):
    incident = draft()
    author = writer("author", incident)
    response = author.send(shown(author), started="yesterday", severity="sev2")
    assert response.status_code == 400
    assert forms_in(response)["form-facts"].values["started"] == ["yesterday"]
    assert "Write a time as" in text_of(response)
    incident.refresh_from_db()
    assert incident.severity == "sev2"
    assert incident.started_at is None


def test_a_title_and_a_service_that_nobody_can_see_name_nothing(cast, draft, writer):
    incident = draft(services=["Cache"])
    author = writer("author", incident)
    response = author.send(shown(author), title="\u2060", services=["Cache", "\u200b"], severity="sev2")
    assert response.status_code == 400
    assert "This is needed." in text_of(response)
    incident.refresh_from_db()
    assert (incident.title, incident.severity) == ("Checkout returned errors", "sev2")
    assert [service.name for service in incident.services.all()] == ["Cache"]


def test_of_two_times_that_contradict_each_other_the_changed_one_is_named(cast, draft, writer):
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


def test_an_answer_never_holds_the_text_of_a_field(cast, draft, writer):
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


def test_organizations_that_only_others_drafts_name_are_not_suggested(cast, draft, writer):
    theirs = draft("Theirs", organization="Secret Supplier")
    ours = create_incident(actor=cast.viewer("outsider"), facts={"title": "Ours", "team": "payments"})
    outsider, author = writer("outsider", ours), writer("author", theirs)
    assert "Secret Supplier" not in outsider.client.get(outsider.address()).content.decode()
    assert '<option value="Secret Supplier">' in author.client.get(author.address()).content.decode()
