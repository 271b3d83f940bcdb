"""What readers and writers see next to the text, and what is printed."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from incidents.actions import lifecycle
from incidents.actions.incidents import create_incident
from incidents.actions.sections import change_row
from incidents.models import User
from kb.search import relay
from tests.conftest import fill
from tests.e2e.conftest import DESKTOP, PATIENCE, PHONE

pytestmark = pytest.mark.django_db(transaction=True)

LONG = "Elisabeth" * 11


@pytest.mark.parametrize(("width", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_writers_see_similar_earlier_incidents(people, published, draft, width, scheme):
    before = published("The cache was resized and every client retried", visibility="internal")
    incident = draft("Cache resized again, clients retried")
    relay.drain()
    author = people("author", width=width, schemes=(scheme,))
    page = author.go(f"/incidents/{incident.ref}/edit")
    panel = page.locator(".editor-aside section", has_text="Has this happened before?")
    expect(panel.get_by_role("link", name=before.title)).to_be_visible()
    author.look()


def test_similar_incidents_follow_the_text_and_no_url_carries_the_csrf_token(people, published, draft):
    before = published("The certificate of the gateway expired", visibility="internal")
    incident = draft("Sign-in fails")
    relay.drain()
    author = people("author")
    asked = []
    author.page.on("request", lambda request: asked.append(request.url))
    page = author.go(f"/incidents/{incident.ref}/edit")
    panel = page.locator("#similar")
    expect(panel).not_to_contain_text("Similar incidents")
    with page.expect_response("**/similar", timeout=PATIENCE):
        page.get_by_label("Summary", exact=True).fill("The certificate of the gateway expired at night.")
    expect(panel.get_by_role("link", name=before.title)).to_be_visible()
    assert [url for url in asked if "middlewaretoken" in url] == []


def test_print_contains_the_record_but_no_navigation(people, published):
    incident = published("The cache was resized", visibility="public")
    page = people().go(f"/incidents/{incident.ref}")
    expect(page.locator("header.top")).to_be_visible()
    page.emulate_media(media="print")
    expect(page.locator("header.top")).to_be_hidden()
    expect(page.get_by_role("heading", name="The cache was resized")).to_be_visible()
    for card in page.locator(".screen-only").all():
        expect(card).to_be_hidden()


def test_print_gives_the_due_date_where_the_screen_counts_days(people, published, cast):
    incident = published("The cache was resized", visibility="public")
    change_row(
        actor=cast.viewer("author"),
        incident_id=incident.pk,
        kind="actions",
        row_id=incident.actionitems.get().uuid,
        values={"due": "2026-03-31"},
    )
    page = people().go(f"/incidents/{incident.ref}")
    late = page.locator(".action .overdue")

    def added():
        return late.evaluate("element => getComputedStyle(element, '::after').content")

    assert added() == "none"
    page.emulate_media(media="print")
    assert added() == '", due 31 March 2026"'


@pytest.mark.parametrize(("width", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_a_search_is_saved_with_its_filters(people, published, width, scheme):
    published("The cache was resized", visibility="public", severity="sev1")
    published("The cache was emptied", visibility="public", severity="sev2")
    relay.drain()
    reader = people("reader", width=width, schemes=(scheme,))
    page = reader.go("/search?q=cache")
    if width == PHONE:
        page.get_by_text("Filters", exact=True).click()
    page.get_by_text("Save this search").click()
    page.get_by_label("Name").fill("Caches that cost most")
    # The typed name survives when the results, and the form next to them, are swapped.
    page.get_by_label("SEV 1").check()
    expect(page.locator("#count")).to_have_text("1 incident")
    expect(page.get_by_label("Name")).to_have_value("Caches that cost most")
    reader.look()
    page.keyboard.press("Escape")
    expect(page.get_by_label("Name")).to_be_hidden()
    page.get_by_text("Save this search").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved as Caches that cost most.")).to_be_visible()
    expect(page.locator("#count")).to_have_text("1 incident")
    reader.look()
    page = reader.go("/")
    reader.look()
    page.get_by_role("link", name="Caches that cost most").click()
    expect(page.locator("#count")).to_have_text("1 incident")
    page = reader.go("/")
    page.get_by_role("button", name="Remove Caches that cost most").click()
    expect(page.get_by_text("Removed Caches that cost most from your saved searches.")).to_be_visible()
    assert page.url == f"{reader.url}/"


def test_on_a_phone_the_sort_order_is_next_to_its_label(people, published):
    for title, resolved in {"The cache was resized": "14:40", "The cache was emptied": "19:12"}.items():
        published(title, visibility="public", started="2026-03-31T14:00Z", resolved=f"2026-03-31T{resolved}Z")
    relay.drain()
    reader = people("reader", width=PHONE, schemes=("light",))
    page = reader.go("/search?q=cache")
    name, order = (page.locator(place).bounding_box() for place in ("label[for=sort]", "#sort"))
    assert order["y"] <= name["y"] + name["height"] / 2 <= order["y"] + order["height"]
    reader.look()


def test_an_error_at_a_number_leaves_the_fields_next_to_it_aligned(people, draft):
    author = people("author", schemes=("light",))
    page = author.go(f"/incidents/{draft('Cache went cold').ref}/edit")
    form = page.locator("form.adding", has=page.get_by_role("button", name="Add impact figure"))
    form.get_by_label("What", exact=True).fill("Failed checkouts")
    form.get_by_label("Number").fill("about 5")
    form.get_by_label("Unit").fill("checkouts")
    form.get_by_role("button", name="Add impact figure").click()
    number = page.locator("#records-impact_figures .adding .number")
    expect(number.locator(".errors li")).to_be_visible()
    inputs = [form.get_by_label(name, exact=True) for name in ("What", "How exact", "Number", "Unit")]
    assert len({round(one.bounding_box()["y"]) for one in inputs}) == 1
    assert inputs[-1].evaluate("field => field.scrollWidth <= field.clientWidth")
    assert number.bounding_box()["width"] > 150
    author.look()


def test_one_long_word_makes_no_page_scroll_sideways(people, cast, published):
    """Tries names, addresses and notes that are too long for a phone."""
    User.objects.filter(pk__in=[cast.admin.pk, cast.author.pk, cast.lead.pk]).update(name=LONG)
    draft = create_incident(actor=cast.viewer("admin"), facts={"title": LONG[:84], "team": "checkout"})
    fill(cast, draft)
    lifecycle.submit(actor=cast.viewer("admin"), incident_id=draft.pk, reviewers=["lead@acme.example"])
    incident = published()
    lifecycle.reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    lifecycle.publish(actor=cast.viewer("lead"), incident_id=incident.pk, note=f"https://acme.example/{LONG}")
    addresses = ["/", "/people", "/teams/checkout", f"/incidents/{draft.ref}/review"]
    addresses += [f"/incidents/{incident.ref}", f"/incidents/{incident.ref}/history"]
    wide = {}
    for width in (PHONE, DESKTOP):
        admin = people("admin", width=width)
        for address in addresses:
            page = admin.go(address)
            wide[address, width] = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert not [there for there, by in wide.items() if by > 0], wide
