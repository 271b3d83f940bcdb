"""Why does it carry this pattern? Asked, answered in the text and decided, in a browser with and without scripts."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from kb.patterns.models import Pattern, Tag, TagSource, TagState
from kb.search import relay
from kb.web.patterns import SIZES
from tests.e2e.conftest import DESKTOP, PHONE

pytestmark = pytest.mark.django_db(transaction=True)

STORM = "Every client retried at once."


@pytest.fixture
def stormy(published):
    """A postmortem long enough to scroll, with two patterns found by rules, and an incident from another year."""
    text = "\n\n".join(["A cache was resized."] * 40 + [STORM] + ["Then it was over."] * 40)
    incident = published("Gateway was slow", visibility="public", text=text, started="2021-03-03")
    for slug, quote in (("retry-storm", STORM), ("cold-start", "A cache was resized.")):
        pattern = Pattern.objects.create(
            slug=slug, name=slug.replace("-", " ").capitalize(), family="load", counts="It counts.", rule_version=1
        )
        stored = [{"field": "sections.summary", "hash": "", "start": 0, "end": len(quote), "quote": quote}]
        for one in (incident, published("Earlier", visibility="public", started="2019")):
            Tag.objects.create(
                incident=one,
                pattern=pattern,
                source=TagSource.RULE,
                state=TagState.AUTOMATIC,
                rule_version=1,
                score=2.0,
                evidence=stored,
            )
    Pattern.objects.create(slug="dns", name="DNS failure", family="network", counts="Names.")
    relay.drain()
    return incident


def state(incident, slug):
    return Tag.objects.get(incident=incident, pattern__slug=slug).state


@pytest.mark.parametrize(
    ("width", "scheme", "scripts"),
    [(DESKTOP, "light", True), (PHONE, "dark", True), (DESKTOP, "light", False)],
)
def test_patterns_are_explained_confirmed_rejected_and_added(people, stormy, width, scheme, scripts):
    author = people("author", width=width, schemes=(scheme,), scripts=scripts)
    page = author.page

    def look():
        if scripts:
            author.look()

    author.go(f"/incidents/{stormy.ref}")
    look()
    page.get_by_role("link", name="why? Retry storm").click()
    mark = page.locator("mark")
    expect(mark).to_have_text(STORM)
    expect(mark).to_be_in_viewport()
    look()

    page.get_by_role("button", name="Confirm Retry storm").click()
    expect(page.get_by_text("confirmed by Author")).to_be_visible()
    assert state(stormy, "retry-storm") == "confirmed"

    page.get_by_role("link", name="why? Cold start").click()
    page.locator("summary").get_by_text("Reject Cold start").click()
    page.get_by_role("button", name="Reject Cold start").click()
    expect(page.get_by_text("Say in a few words why it does not apply.")).to_be_visible()
    look()
    page.get_by_role("textbox", name="Why not?").fill("It was warm.")
    page.get_by_role("button", name="Reject Cold start").click()
    expect(page.get_by_text("Rejected because: It was warm.")).to_be_visible()
    assert state(stormy, "cold-start") == "rejected"
    look()
    page.get_by_role("button", name="Undo (Cold start)").click()
    expect(page.get_by_text("Decision undone: Cold start.")).to_be_visible()

    page.get_by_text("Add a pattern").click()
    page.get_by_label("Pattern", exact=True).select_option(label="DNS failure")
    page.get_by_label("The sentence that shows it").fill("Nobody wrote this.")
    page.get_by_role("button", name="Add pattern").click()
    expect(page.get_by_text("The text that readers see does not contain this sentence.")).to_be_visible()
    look()
    page.get_by_label("The sentence that shows it").fill(STORM)
    page.get_by_role("button", name="Add pattern").click()
    expect(page.get_by_text("Added: DNS failure.")).to_be_visible()
    expect(page.locator("mark")).to_have_text(STORM)
    assert state(stormy, "dns") == "confirmed"
    # No request may still use the database when it is flushed.
    page.wait_for_load_state("networkidle")


def test_the_trend_of_a_pattern_matches_the_colour_scheme_and_the_width_of_the_screen(people, stormy):
    seen = set()
    for width in (DESKTOP, PHONE):
        reader = people(width=width)
        drawing = reader.go("/patterns/retry-storm").locator("figure img")
        for scheme in ("light", "dark"):
            reader.page.emulate_media(color_scheme=scheme)
            drawing.scroll_into_view_if_needed()
            expect(drawing).to_have_js_property("naturalWidth", SIZES["narrow" if width == PHONE else "wide"].width)
            address = drawing.evaluate("image => image.currentSrc")
            assert ("size=narrow" in address, "scheme=dark" in address) == (width == PHONE, scheme == "dark")
            seen.add(address)
        reader.page.get_by_text("The numbers").click()
        expect(reader.page.get_by_role("row")).to_have_count(4)
        reader.look()
    assert len(seen) == 4
