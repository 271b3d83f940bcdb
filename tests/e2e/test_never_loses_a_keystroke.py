"""Two people on one text, lost connections, ended sessions, closed windows: no typed text is ever lost."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from incidents.actions.incidents import change_incident
from incidents.actions.rows import add_rows
from incidents.actions.sections import change_row, change_section
from incidents.models import Organization, PostmortemSection, TimelineEvent

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def incident(draft):
    return draft("Cache went cold", started="2026-03-31T14:03Z")


@pytest.fixture
def at_the_editor(people, incident):
    def sit_down(name):
        person = people(name)
        person.go(f"/incidents/{incident.ref}/edit")
        return person

    return sit_down


def body(incident, key="summary"):
    return PostmortemSection.objects.get(incident=incident, key=key).body


def summary(person):
    return person.page.get_by_label("Summary", exact=True)


def test_text_is_saved_soon_after_typing_stops_and_at_once_when_its_field_is_left(at_the_editor, incident):
    ana = at_the_editor("author")
    summary(ana).press_sequentially("It broke.")
    expect(ana.page.locator("#save-state")).to_have_text("Not saved yet")
    ana.saved()
    assert body(incident) == "It broke."
    summary(ana).press_sequentially(" Then not.")
    ana.page.get_by_label("Impact", exact=True).focus()
    ana.saved()
    assert body(incident) == "It broke. Then not."


def test_text_typed_during_a_save_is_saved_too(at_the_editor, incident):
    ana = at_the_editor("author")
    ana.page.route("**/edit/sections/summary", lambda route: (ana.page.wait_for_timeout(700), route.continue_()))
    summary(ana).press_sequentially("One.")
    ana.page.keyboard.press("Control+s")
    summary(ana).press_sequentially(" Two.", delay=60)
    expect(summary(ana)).to_have_value("One. Two.")
    ana.saved()
    assert body(incident) == "One. Two."


def test_text_typed_during_a_save_is_saved_even_if_a_button_then_has_the_focus(at_the_editor, incident):
    ana = at_the_editor("author")
    ana.page.route("**/edit/sections/summary", lambda route: (ana.page.wait_for_timeout(700), route.continue_()))
    summary(ana).press_sequentially("One.")
    ana.page.keyboard.press("Control+s")
    summary(ana).press_sequentially(" Two.")
    ana.page.get_by_role("button", name="Preview: Summary").focus()
    ana.saved()
    assert body(incident) == "One. Two."


def slowed(person, path):
    """Each request to the path takes most of a second."""
    person.page.route(path, lambda route: (person.page.wait_for_timeout(700), route.continue_()))


def test_a_box_that_is_cleared_while_it_is_saved_as_ticked_is_saved_as_cleared(at_the_editor, incident):
    ana = at_the_editor("author")
    slowed(ana, "**/edit/facts")
    planned = ana.page.get_by_label("It started with a planned change")
    planned.check()
    planned.uncheck()
    ana.page.get_by_label("Rollback").check()
    ana.saved()
    incident.refresh_from_db()
    assert (incident.planned_change, incident.mitigations) == (False, ["rollback"])


def test_a_change_during_a_save_is_saved_even_if_its_field_keeps_the_focus(at_the_editor, incident):
    ana = at_the_editor("author")
    slowed(ana, "**/edit/facts")
    ana.page.get_by_label("Rollback").check()
    ana.page.get_by_label("Restart").check()
    expect(ana.page.get_by_label("Restart")).to_be_focused()
    ana.saved()
    incident.refresh_from_db()
    assert incident.mitigations == ["rollback", "restart"]


def test_a_row_whose_date_moves_with_the_time_zone_conflicts_only_with_others(at_the_editor, incident, cast):
    actor = cast.viewer("author")
    rows = [{"at": "2026-03", "text": "Mine"}, {"at": "2026-03-31", "text": "Also changed by Bo"}]
    _, theirs = add_rows(actor=actor, incident_id=incident.pk, kind="timeline", rows=rows)
    ana = at_the_editor("author")
    change_row(actor=actor, incident_id=incident.pk, kind="timeline", row_id=theirs.uuid, values={"text": "By Bo"})
    ana.page.get_by_label("Time zone of these times").select_option("Asia/Tokyo")
    ana.saved()
    mine = ana.page.get_by_label("What happened").filter(visible=True).first
    mine.fill("Mine, again")
    ana.page.keyboard.press("Control+s")
    ana.saved()
    assert TimelineEvent.objects.get(at__month=2, incident=incident).text == "Mine, again"
    expect(ana.page.locator(".conflict")).to_have_count(0)
    ana.page.get_by_label("What happened").filter(visible=True).nth(1).fill("By me")
    ana.page.keyboard.press("Control+s")
    expect(ana.page.locator(".conflict")).to_contain_text("By Bo")


def test_the_focus_is_never_under_the_bar(at_the_editor, incident):
    ana = at_the_editor("author")
    ana.page.set_viewport_size({"width": 1280, "height": 700})
    ana.page.locator("#editor :is(input, textarea, select)").filter(visible=True).last.focus()
    for _ in range(40):
        ana.page.keyboard.press("Shift+Tab")
        focused, bottom, bar = ana.page.evaluate(
            """() => [document.activeElement.outerHTML, document.activeElement.getBoundingClientRect().bottom,
                      document.querySelector(".editor-bar").getBoundingClientRect().bottom]"""
        )
        assert bottom > bar, focused


def test_a_time_is_read_in_the_zone_its_form_names(at_the_editor, incident):
    ana = at_the_editor("author")
    added, pasted = ana.page.locator("#form-new-timeline"), ana.page.locator("#form-paste")
    ana.page.get_by_text("Paste lines from a chat").click()
    pasted.get_by_label("Lines").fill("14:02 Alert")

    def move_to(zone):
        ana.page.get_by_label("Time zone").select_option(zone)
        expect(ana.page.locator("#state-facts [name=base-time_zone]")).to_have_value(zone)

    move_to("Asia/Tokyo")
    expect(added).to_contain_text("Enter the time in Asia/Tokyo")
    # Lines that are already there were typed while the form named the zone before.
    expect(pasted).to_contain_text("Times are in UTC")
    added.get_by_label("Time", exact=True).fill("2026-03-31 23:05")
    added.get_by_label("What happened").fill("Resize begins")
    move_to("Europe/Madrid")
    expect(added).to_contain_text("Enter the time in Asia/Tokyo")
    added.get_by_role("button", name="Add timeline event").click()
    expect(ana.page.locator(".row.of-timeline [name=at]")).to_have_value("2026-03-31 16:05")
    expect(added).to_contain_text("Enter the time in Europe/Madrid")
    pasted.get_by_label("Lines").fill("")
    move_to("America/New_York")
    # Rows already on the page keep their zone, and the page names it.
    expect(ana.page.locator("#records-timeline")).to_contain_text("Times in Europe/Madrid")
    expect(ana.page.locator(".row.of-timeline [name=at]")).to_have_value("2026-03-31 16:05")
    pasted.get_by_label("Lines").fill("2026-03-31 10:07 Alert")
    pasted.get_by_role("button", name="Find events").click()
    ana.page.get_by_role("button", name="Save these events").click()
    expect(ana.page.locator(".row.of-timeline")).to_have_count(2)
    ana.look()
    events = TimelineEvent.objects.filter(incident=incident).order_by("at")
    assert [f"{event.at:%H:%M}" for event in events] == ["14:05", "14:07"]


def test_two_people_in_one_section_both_keep_their_words(at_the_editor, incident):
    ana, leo = at_the_editor("author"), at_the_editor("lead")
    summary(ana).fill("About 18% of checkouts failed.")
    ana.saved()
    summary(leo).fill("Nearly 20% of checkouts failed.")
    conflict = leo.page.locator("#problems-section-summary .conflict")
    expect(conflict).to_contain_text("Author saved this first")
    expect(conflict.locator("ins")).to_have_text("Nearly 20")
    expect(conflict.locator("del")).to_have_text("About 18")
    expect(leo.page.locator("#save-state")).to_contain_text("Not saved yet")
    leo.look()
    # Leo keeps typing, and nothing is overwritten in the meantime.
    summary(leo).fill("About 18 to 20% of checkouts failed.")
    leo.page.wait_for_timeout(2_000)
    assert body(incident) == "About 18% of checkouts failed."
    leo.page.get_by_role("button", name="Save what is in the field").click()
    leo.saved()
    expect(conflict).to_have_count(0)
    assert body(incident) == "About 18 to 20% of checkouts failed."


def test_using_the_other_version_puts_it_in_the_field(at_the_editor, incident, cast):
    leo = at_the_editor("lead")
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body="Theirs.")
    summary(leo).fill("Mine.")
    leo.page.get_by_role("button", name="Use theirs instead").click()
    expect(summary(leo)).to_have_value("Theirs.")
    leo.saved()
    summary(leo).fill("Theirs, and more.")
    leo.saved()
    assert body(incident) == "Theirs, and more."


def test_two_people_in_different_places_never_conflict(at_the_editor, incident):
    ana, leo = at_the_editor("author"), at_the_editor("lead")
    ana.page.get_by_label("SEV 2").check()
    ana.saved()
    leo.page.get_by_label("Team only").check()
    leo.saved()
    summary(ana).fill("Ana's summary.")
    leo.page.get_by_label("Impact", exact=True).fill("Leo's impact.")
    ana.saved()
    leo.saved()
    incident.refresh_from_db()
    assert (incident.severity, incident.visibility) == ("sev2", "team")
    assert (body(incident), body(incident, "impact")) == ("Ana's summary.", "Leo's impact.")


def test_a_conflict_over_one_fact_is_left_to_the_user(at_the_editor, incident):
    ana, leo = at_the_editor("author"), at_the_editor("lead")
    ana.page.get_by_label("SEV 2").check()
    ana.saved()
    leo.page.get_by_label("SEV 1").check()
    meanwhile = leo.page.locator("#facts-severity-said")
    expect(meanwhile).to_contain_text("Someone else changed this to SEV 2 in the meantime.")
    leo.look()
    meanwhile.get_by_role("button", name="Use theirs").click()
    leo.saved()
    expect(leo.page.get_by_label("SEV 2")).to_be_checked()
    incident.refresh_from_db()
    assert incident.severity == "sev2"


def test_unsaved_text_of_a_closed_window_can_be_restored(at_the_editor, incident):
    ana = at_the_editor("author")
    ana.page.route("**/edit/sections/**", lambda route: route.abort())
    summary(ana).press_sequentially("An hour of work.")
    expect(ana.page.locator("#save-state")).to_contain_text("no connection")
    ana.page.close(run_before_unload=False)
    page = ana.page = ana.context.new_page()
    ana.go(f"/incidents/{incident.ref}/edit")
    expect(page.get_by_text("is still in this browser")).to_be_visible()
    ana.look()
    page.get_by_role("button", name="Restore it").click()
    expect(summary(ana)).to_have_value("An hour of work.")
    ana.saved()
    assert body(incident) == "An hour of work."
    # Text whose row is gone is shown so that it can be copied.
    kept = "Object.keys(localStorage).length"
    page.evaluate(
        """owner => localStorage.setItem(`precedent:kept:${owner}:row-gone`,
        JSON.stringify({ at: Date.now(), fields: [["text", "Of a row that is gone"]] }))""",
        page.locator("#editor").get_attribute("data-kept-under"),
    )
    page.reload()
    expect(page.get_by_text("is still in this browser")).to_have_count(0)
    expect(page.get_by_label("Unsaved text")).to_have_value("Of a row that is gone")
    ana.look()
    page.get_by_role("button", name="Discard it").click()
    expect(page.get_by_label("Unsaved text")).to_have_count(0)
    assert page.evaluate(kept) == 0


def test_restored_text_does_not_overwrite_what_others_have_written_since(at_the_editor, incident, cast):
    ana = at_the_editor("author")
    ana.page.route("**/edit/sections/**", lambda route: route.abort())
    summary(ana).press_sequentially("Mine, from yesterday.")
    expect(ana.page.locator("#save-state")).to_contain_text("no connection")
    ana.page.close(run_before_unload=False)
    change_section(actor=cast.viewer("lead"), incident_id=incident.pk, key="summary", body="Theirs, from today.")
    ana.page = ana.context.new_page()
    ana.go(f"/incidents/{incident.ref}/edit")
    ana.page.get_by_role("button", name="Restore it").click()
    expect(ana.page.locator("#problems-section-summary .conflict")).to_be_visible()
    assert body(incident) == "Theirs, from today."


def test_a_lost_connection_is_reported_and_the_text_is_saved_when_it_is_back(at_the_editor, incident):
    ana = at_the_editor("author")
    ana.context.set_offline(True)
    summary(ana).press_sequentially("Typed in a tunnel.")
    expect(ana.page.locator("#save-state")).to_contain_text("no connection")
    ana.context.set_offline(False)
    ana.saved()
    assert body(incident) == "Typed in a tunnel."


@pytest.mark.parametrize("status", [429, 503])
def test_a_temporary_refusal_by_the_server_is_not_reported_as_a_lost_connection(at_the_editor, incident, status):
    ana = at_the_editor("author")
    ana.page.route("**/edit/sections/**", lambda route: route.fulfill(status=status))
    summary(ana).press_sequentially("Typed while it rested.")
    expect(ana.page.locator("#save-state")).to_contain_text("the server cannot save right now")
    ana.page.unroute_all()
    ana.saved()
    assert body(incident) == "Typed while it rested."


def test_an_automatic_save_does_not_press_a_button_that_merely_has_the_focus(at_the_editor, incident, cast):
    add_rows(actor=cast.viewer("author"), incident_id=incident.pk, kind="lessons", rows=[{"text": "A resize"}])
    ana = at_the_editor("author")
    ana.context.set_offline(True)
    summary(ana).press_sequentially("Typed in a tunnel.")
    expect(ana.page.locator("#save-state")).to_contain_text("no connection")
    lesson = ana.page.locator("#records-lessons .row .row-form")
    lesson.get_by_label("Lesson", exact=True).fill("A resize is a flush")
    # Both, one after the other: htmx remembers for each form which button had the focus last.
    lesson.get_by_role("button", name="Remove").focus()
    ana.page.get_by_role("button", name="Preview: Summary").focus()
    ana.context.set_offline(False)
    ana.saved()
    assert body(incident) == "Typed in a tunnel."
    assert incident.lessons.get().text == "A resize is a flush"


def test_a_session_that_ends_while_typing_loses_nothing(at_the_editor, incident):
    ana = at_the_editor("author")
    ana.context.clear_cookies(name="sessionid")
    ana.page.locator("#form-new-causes").get_by_label("What made it possible", exact=True).fill("No backoff")
    ana.page.get_by_role("button", name="Add cause").click()
    summary(ana).press_sequentially("Typed after the session ended.")
    notice = ana.page.locator("#editor-notice")
    expect(notice).to_contain_text("You are signed out. Your text is kept")
    ana.look()
    with ana.context.expect_page() as opened:
        notice.get_by_role("link", name="Sign in").click()
    other = opened.value
    other.get_by_label("E-mail").fill("author@acme.example")
    other.get_by_label("Password", exact=True).fill("a long enough pass phrase")
    other.get_by_role("button", name="Sign in").click()
    expect(other.get_by_text("Account of")).to_be_attached()
    other.close()
    ana.page.bring_to_front()
    ana.page.evaluate("window.dispatchEvent(new Event('focus'))")
    # Cards that save automatically are saved; the page says that the rest is not added yet.
    expect(ana.page.locator("#save-state")).to_have_text("Not added yet")
    expect(notice).to_be_empty()
    assert body(incident) == "Typed after the session ended."
    ana.page.get_by_role("button", name="Add cause").click()
    ana.saved()
    assert incident.causes.get().text == "No backoff"


def test_leaving_needs_confirmation_only_while_something_is_unsaved(at_the_editor, incident):
    ana = at_the_editor("author")
    asked: list[str] = []
    ana.page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    summary(ana).press_sequentially("Saved.")
    ana.saved()
    ana.page.reload()
    assert asked == []
    summary(ana).press_sequentially(" Not saved.")
    ana.page.reload()
    assert asked == ["beforeunload"]


def test_leaving_the_manage_page_needs_confirmation_and_its_buttons_save_what_is_unsaved(people, published):
    incident = published()
    author = people("author")
    page = author.go(f"/incidents/{incident.ref}/upkeep")
    author.look()
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.get_by_label("Due").fill("2026-05-01")
    page.get_by_role("link", name=incident.ref).first.click(no_wait_after=True)
    page.get_by_label("Team only").check()
    page.get_by_role("complementary").get_by_role("button", name="Save").click()
    expect(page.get_by_text("Visibility changed to: team only.")).to_be_visible()
    expect(page.get_by_label("Due")).to_have_value("2026-05-01")
    assert asked == ["beforeunload"]


def test_moving_a_row_first_saves_what_is_being_typed_in_another(at_the_editor, incident):
    ana = at_the_editor("author")
    page = ana.page
    adding = page.locator("#form-new-lessons")
    for text in ("First", "Second"):
        adding.get_by_label("Lesson", exact=True).fill(text)
        adding.get_by_role("button", name="Add lesson").click()
        expect(page.locator("#records-lessons .row textarea").last).to_have_value(text)
    first = page.locator("#records-lessons .row textarea").first
    first.press("End")
    first.press_sequentially(", and more")
    page.get_by_role("button", name="Up: Second").click()
    expect(page.locator("#records-lessons .row textarea").first).to_have_value("Second")
    expect(page.locator("#records-lessons .row textarea").last).to_have_value("First, and more")
    ana.saved()
    assert [lesson.text for lesson in incident.lessons.all()] == ["Second", "First, and more"]


def test_removing_a_row_can_be_undone_with_one_click(at_the_editor, incident):
    ana = at_the_editor("author")
    page = ana.page
    adding = page.locator("#form-new-causes")
    adding.get_by_label("What made it possible", exact=True).fill("No backoff")
    adding.get_by_role("button", name="Add cause").click()
    page.get_by_role("button", name="Remove: No backoff").click()
    expect(page.locator("#records-causes .row")).to_have_count(0)
    ana.look()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#records-causes .row textarea")).to_have_value("No backoff")
    assert incident.causes.count() == 1


def test_a_half_typed_name_is_not_saved_until_its_field_is_left(at_the_editor, incident, cast):
    ana = at_the_editor("author")
    organization = ana.page.get_by_label("Organization", exact=True)
    organization.fill("")
    organization.press_sequentially("Northwind", delay=20)
    ana.page.wait_for_timeout(2_500)
    assert list(Organization.objects.values_list("name", flat=True)) == ["Acme"]
    organization.blur()
    ana.saved()
    incident.refresh_from_db()
    assert incident.organization.name == "Northwind"


def test_an_invalid_time_is_reported_at_its_field_and_saved_once_corrected(at_the_editor, incident):
    ana = at_the_editor("author")
    resolved = ana.page.get_by_label("Resolved", exact=True)
    resolved.fill("2026-03-31 13:00")
    resolved.blur()
    expect(ana.page.locator("#facts-resolved-said")).to_contain_text("The end is before the start.")
    expect(ana.page.locator("#save-state")).to_contain_text("see what needs attention")
    ana.look()
    resolved.fill("15:15")
    resolved.blur()
    ana.saved()
    expect(resolved).to_have_value("2026-03-31 15:15")
    expect(ana.page.locator("#facts-resolved-said")).to_be_empty()


def test_text_typed_while_a_row_is_being_added_is_saved_or_still_there_afterwards(at_the_editor, incident):
    ana = at_the_editor("author")
    page = ana.page
    lessons = page.locator("#records-lessons .row textarea")
    new = page.locator("#form-new-lessons").get_by_label("Lesson", exact=True)
    new.fill("First")
    page.get_by_role("button", name="Add lesson").click()
    expect(lessons).to_have_count(1)
    page.route("**/edit/rows/lessons", lambda route: (page.wait_for_timeout(2_500), route.continue_()))
    new.fill("Second")
    page.get_by_role("button", name="Add lesson").click()
    lessons.first.fill("First, and more")
    new.fill("Third, before the second was there")
    expect(lessons).to_have_count(2)
    expect(new).to_have_value("Third, before the second was there")
    expect(page.locator("#save-state")).to_have_text("Not saved yet")
    page.get_by_role("button", name="Add lesson").click()
    expect(lessons).to_have_count(3)
    ana.saved()
    # And the row still saves automatically.
    lessons.first.fill("First, and still more")
    lessons.first.blur()
    ana.saved()
    told = ["First, and still more", "Second", "Third, before the second was there"]
    assert [lesson.text for lesson in incident.lessons.all()] == told
    assert ana.complaints == []


def test_the_button_that_is_pressed_settles_the_title_and_the_focus_is_never_lost(at_the_editor, incident, cast):
    ana = at_the_editor("author")
    page = ana.page
    title = page.get_by_label("Title", exact=True).first
    for mine, theirs, button, stays in (
        ("Cache was cold", "Cache went icy", "Keep mine", "Cache was cold"),
        ("Cache was frozen", "Cache was lukewarm", "Use theirs", "Cache was lukewarm"),
    ):
        page.wait_for_load_state("networkidle")
        change_incident(actor=cast.viewer("lead"), incident_id=incident.pk, facts={"title": theirs})
        title.fill(mine)
        title.blur()
        page.get_by_role("button", name=button).click()
        ana.saved()
        expect(title).to_have_value(stays)
        expect(title).to_be_focused()
        incident.refresh_from_db()
        assert incident.title == stays
    # A refused value is announced to screen readers, and when a row is removed the focus stays in its place.
    resolved = page.get_by_label("Resolved", exact=True)
    resolved.fill("soon")
    resolved.blur()
    expect(resolved).to_have_attribute("aria-invalid", "true")
    assert "facts-resolved-said" in resolved.get_attribute("aria-describedby")
    resolved.fill("")
    resolved.blur()
    ana.saved()
    expect(resolved).not_to_have_attribute("aria-invalid", "true")
    for count in (1, 2):
        page.locator("#form-new-lessons").get_by_label("Lesson", exact=True).fill("Same")
        page.get_by_role("button", name="Add lesson").click()
        expect(page.locator("#records-lessons .row")).to_have_count(count)
    ana.look()
    page.get_by_role("button", name="Remove: Same").first.press("Enter")
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Add lesson")).to_be_focused()


def test_pressing_a_button_twice_during_a_slow_response_submits_once(people):
    ana = people("author")
    page = ana.go("/incidents/new")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.route("**/incidents/new", lambda route: (page.wait_for_timeout(500), route.continue_()))
    page.get_by_label("What happened?").fill("Queue backed up")
    page.get_by_role("button", name="Create draft").evaluate("b => { b.click(); setTimeout(() => b.click(), 200); }")
    page.wait_for_url("**/edit")
    assert sent == [f"{ana.url}/incidents/new"]
