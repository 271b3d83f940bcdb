"""The whole journey of a postmortem: invitation, writing from the template, review, publication, search."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from incidents.models import Incident, User
from kb.search import relay
from tests.e2e.conftest import DESKTOP, PHONE

pytestmark = pytest.mark.django_db(transaction=True)

PASTED = """the channel was renamed
14:09 Checkout error alert
14:58 Retries switched off by flag"""


# Every page is checked in both colour schemes: light on a desktop, dark on a phone.
@pytest.mark.parametrize(("width", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_from_an_invitation_to_a_search_result(people, cast, width, scheme):
    look = {"width": width, "schemes": (scheme,)}
    # A lead invites a new colleague.
    lead = people("lead", **look)
    lead.go("/teams/checkout")
    lead.look()
    lead.page.get_by_role("button", name="Create link").click()
    link = lead.page.locator("#secret-link").inner_text().strip()
    lead.look()

    # The colleague joins through the link, with the browser's time zone.
    ana = people(**look)
    ana.page.goto(link)
    ana.look()
    page = ana.page
    page.get_by_label("name", exact=False).first.fill("Ana Ortiz")
    page.get_by_label("E-mail").fill("ana@acme.example")
    for field in page.locator("input[type=password]").all():
        field.fill("several words nobody joins")
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_text("Ana Ortiz").first).to_be_attached()
    ana.look()
    assert User.objects.get(email="ana@acme.example").time_zone == "Europe/Madrid"

    # She starts a postmortem and writes it; everything is saved automatically.
    ana.go("/incidents/new")
    ana.look()
    page.get_by_label("What happened?").fill("Checkout returned errors after the cache was resized")
    page.get_by_role("button", name="Create draft").click()
    page.wait_for_url(re.compile(r"/incidents/INC-\d+/edit$"))
    incident = Incident.objects.get()
    assert incident.time_zone == "Europe/Madrid"
    ana.look()
    page.get_by_label("SEV 2").check()
    page.get_by_label("Impact started", exact=True).fill("2026-03-31 14:03")
    page.get_by_label("Resolved", exact=True).fill("15:15")
    page.get_by_label("Services, 1").fill("Payments cache")
    page.get_by_label("Summary", exact=True).fill(
        "About 18% of checkouts failed: a **resize** emptied the payment cache."
    )
    page.get_by_label("Impact", exact=True).fill("Customers could not pay for an hour.")
    ana.saved()

    page.get_by_text("Paste lines from a chat").click()
    page.get_by_label("Lines").fill(PASTED)
    page.get_by_role("button", name="Find events").click()
    expect(page.get_by_text("2 events found")).to_be_visible()
    ana.look()
    page.get_by_role("button", name="Save these events").click()
    expect(page.locator("#records-timeline .row")).to_have_count(2)

    def add(kind: str, values: dict[str, str], button: str) -> None:
        form = page.locator(f"#form-new-{kind}")
        for label, value in values.items():
            field = form.get_by_label(label, exact=True)
            if field.evaluate("element => element.tagName") == "SELECT":
                field.select_option(label=value)
            else:
                field.fill(value)
        form.get_by_role("button", name=button).click()
        expect(page.locator(f"#records-{kind} .row").last).to_contain_text("Remove")

    add("causes", {"Kind": "Trigger", "What made it possible": "The resize flushed every key."}, "Add cause")
    add("lessons", {"Lesson": "A resize is a flush: retries met a cold cache."}, "Add lesson")
    add("actions", {"What will change": "Clients back off", "Owner": "lead@acme.example"}, "Add action item")
    expect(page.locator("#readiness").get_by_text("missing")).to_have_count(0)
    ana.saved()
    ana.look()

    # She asks for a review.
    page.get_by_role("link", name="Send for review").click()
    ana.look()
    page.get_by_label("Someone else, by e-mail address").fill("reviewer@acme.example")
    page.get_by_role("button", name="Send for review").click()
    expect(page.get_by_text("Asked", exact=True)).to_be_visible()
    ana.look()

    # A reviewer from another team reads and approves it.
    reviewer = people("reviewer", **look)
    reviewer.go("/")
    reviewer.look()
    reviewer.page.get_by_role("link", name=incident.title).first.click()
    reviewer.look()
    reviewer.go(f"/incidents/{incident.ref}/review")
    reviewer.look()
    reviewer.page.get_by_label("Comment").fill("Clear, and kind to everybody.")
    reviewer.page.get_by_role("button", name="Approve").click()
    expect(reviewer.page.get_by_text("Approved. Thank you.")).to_be_visible()

    # She publishes it.
    ana.go(f"/incidents/{incident.ref}/publish")
    ana.look()
    page.get_by_label("Note").fill("First account")
    page.get_by_role("button", name="Publish revision 1").click()
    expect(page.get_by_text("Published as revision 1.")).to_be_visible()
    ana.look()
    ana.go(f"/incidents/{incident.ref}/history")
    ana.look()

    # A colleague from another team, who knows only her own symptoms, finds it.
    relay.drain()
    outsider = people("outsider", **look)
    outsider.go("/search?q=retries+cold+cache")
    outsider.look()
    outsider.page.get_by_role("link", name=incident.title).click()
    expect(outsider.page.get_by_role("heading", level=1)).to_have_text(incident.title)
    expect(outsider.page.get_by_text("The resize flushed every key.")).to_be_visible()
    outsider.look()


def test_the_main_path_works_without_javascript(people, cast):
    ana = people("author", scripts=False)
    page = ana.page
    ana.go("/incidents/new")
    page.get_by_label("What happened?").fill("Cache went cold")
    page.get_by_role("button", name="Create draft").click()
    incident = Incident.objects.get()
    for label in ("Summary", "Impact"):
        page.get_by_label(label, exact=True).fill(f"{label} without scripts.")
        page.locator(f"#form-section-{label.lower()}").get_by_role("button", name="Save", exact=True).click()
    for kind, label in (("causes", "What made it possible"), ("lessons", "Lesson"), ("actions", "What will change")):
        form = page.locator(f"#form-new-{kind}")
        form.get_by_label(label, exact=True).fill(f"{kind} without scripts.")
        form.get_by_role("button", name="Add").click()
    page.get_by_label("SEV 3").check()
    page.get_by_label("Impact started", exact=True).fill("2026-03-31 14:03")
    page.locator("#form-facts").get_by_role("button", name="Save", exact=True).click()
    form = page.locator("#form-new-timeline")
    form.get_by_label("Time", exact=True).fill("14:05")
    form.get_by_label("What happened", exact=True).fill("Resize begins")
    form.get_by_role("button", name="Add").click()
    lesson = page.locator("#records-lessons .row").first
    lesson.get_by_label("Lesson", exact=True).fill("Changed in place.")
    lesson.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#records-lessons .row textarea").first).to_have_value("Changed in place.")

    lead = people("lead", scripts=False)
    lead.go(f"/incidents/{incident.ref}/publish")
    lead.page.get_by_role("button", name="Publish revision 1").click()
    expect(lead.page.get_by_text("Published as revision 1.")).to_be_visible()
    incident.refresh_from_db()
    assert (incident.status, incident.severity) == ("published", "sev3")


def test_signing_in_and_saving_need_only_a_keyboard(people, cast, draft):
    incident = draft("Cache went cold")
    ana = people()
    page = ana.page
    ana.go("/sign-in")

    def tab_to(condition: str) -> None:
        for _ in range(120):
            page.keyboard.press("Tab")
            if page.evaluate(f"document.activeElement.matches({condition!r})"):
                return
        raise AssertionError(f"{condition} cannot be reached by Tab")

    page.locator("body").press("Tab")
    if not page.evaluate("document.activeElement.matches('[name=username]')"):
        tab_to("[name=username]")
    page.keyboard.type("author@acme.example")
    tab_to("[name=password]")
    page.keyboard.type("a long enough pass phrase")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Account of")).to_be_attached()

    ana.go(f"/incidents/{incident.ref}/edit")
    tab_to("#section-summary-body")
    page.keyboard.type("Written without a mouse.")
    page.keyboard.press("Control+s")
    ana.saved()
    tab_to("#new-lessons-text")
    page.keyboard.type("A lesson.")
    tab_to("#add-lessons")
    page.keyboard.press("Enter")
    expect(page.locator("#records-lessons .row")).to_have_count(1)
    # The focus stays where it was instead of jumping to the top of the page.
    expect(page.locator("#add-lessons")).to_be_focused()
    assert incident.sections.get(key="summary").body == "Written without a mouse."
