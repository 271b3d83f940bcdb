"""The search page: results by viewer, facets, paging, and that highlights are plain text."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from incidents.actions import lifecycle
from incidents.actions.incidents import change_incident
from incidents.actions.sections import change_section
from kb.search import engines
from kb.search.elastic import client
from kb.search.query import parse
from kb.web.search import views
from tests.conftest import Cast, fill
from tests.web.conftest import parsed

SECRET = "zyzzyva"


def titles(response):
    return [
        element.text for element in parsed(response).all("h2") if "hit-title" in element.attributes.get("class", "")
    ]


def count(response):
    return next(element.text for element in parsed(response).all("b") if element.attributes.get("id") == "count")


def test_a_search_finds_words_in_any_form_and_marks_them(published, indexed, browser):
    published("Cache went cold", visibility="public", text="Every client retried at once.")
    indexed()
    response = browser("anonymous").get("/search", {"q": "retries"})
    page = parsed(response)
    assert titles(response) == ["Cache went cold"]
    assert [mark.text for mark in page.all("mark")] == ["retried"]
    assert "matched in summary" in page.text
    assert page.all("input")[0].attributes["value"] == "retries"


@pytest.mark.parametrize(
    ("visibility", "is_published", "sees"),
    [
        ("public", False, {"reader", "author", "lead", "admin"}),
        ("public", True, set(Cast.NAMES)),
        ("internal", True, set(Cast.NAMES) - {"anonymous"}),
        ("team", True, {"reader", "author", "lead", "admin"}),
    ],
)
def test_results_counts_and_facets_reveal_nothing_the_viewer_cannot_see(
    cast, draft, indexed, browser, visibility, is_published, sees
):
    incident = draft(SECRET, visibility=visibility, organization=f"{SECRET} Ltd", severity="sev1")
    fill(cast, incident, text=SECRET)
    if is_published:
        lifecycle.publish(actor=cast.viewer("lead"), incident_id=incident.pk)
    indexed()
    addresses = ("/search", f"/search?q={SECRET}", "/incidents", "/organizations")
    for name in Cast.NAMES:
        browsing = browser(name)
        for address in addresses:
            assert (SECRET in _results(browsing.get(address))) == (name in sees), (name, address)
        assert (browsing.get(f"/organizations/{SECRET}-ltd").status_code == 200) == (name in sees)
        assert count(browsing.get("/search")) == ("1 incident" if name in sees else "No incidents")


def _results(response):
    """The page without the search box, which repeats the query."""
    page = parsed(response)
    return next(element.text for element in page.all("main"))


def test_readers_find_the_published_text_and_not_the_one_being_written(cast, published, indexed, browser):
    incident = published("Cache went cold", visibility="public")
    lifecycle.reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body=SECRET)
    indexed()
    for name in ("anonymous", "reader", "outsider"):
        assert titles(browser(name).get(f"/search?q={SECRET}")) == []
        assert titles(browser(name).get("/search?q=emptied")) == ["Cache went cold"]


def test_narrowed_visibility_takes_effect_at_once_even_before_the_index_is_updated(cast, published, indexed, browser):
    incident = published(SECRET, visibility="public")
    indexed()
    assert titles(browser("anonymous").get("/search")) == [SECRET]
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"visibility": "team"})
    for address in ("/search", f"/search?q={SECRET}", "/incidents", "/", "/organizations/acme"):
        assert SECRET not in _results(browser("anonymous").get(address))


def test_facets_narrow_and_can_be_undone(published, indexed, browser):
    published("One", visibility="public", severity="sev1")
    published("Two", visibility="public", severity="sev2")
    indexed()
    client = browser("anonymous")
    assert count(client.get("/search")) == "2 incidents"
    response = client.get("/search?severity=sev1")
    assert titles(response) == ["One"]
    page = parsed(response)
    boxes = {box.attributes["value"]: box for box in page.all("input") if box.attributes.get("name") == "severity"}
    assert "checked" in boxes["sev1"].attributes
    assert "checked" not in boxes["sev2"].attributes
    chip = next(link for link in page.all("a") if link.attributes.get("class") == "chip")
    assert count(client.get(chip.attributes["href"])) == "2 incidents"
    assert chip.text.split()[:4] == ["Remove", "Severity:", "SEV", "1"]


def test_an_organization_given_by_its_slug_is_selected_and_can_be_removed(published, indexed, browser):
    published("One", visibility="public", organization="Square Dance")
    published("Two", visibility="public", organization="Slack")
    indexed()
    client = browser("anonymous")
    page = parsed(client.get("/search?organization=square-dance&organization=SQUARE+dance"))
    boxes = {box.attributes["value"]: box for box in page.all("input") if box.attributes.get("name") == "organization"}
    assert [value for value, box in boxes.items() if "checked" in box.attributes] == ["Square Dance"]
    assert set(boxes) == {"Square Dance", "Slack"}
    (chip,) = (link for link in page.all("a") if link.attributes.get("class") == "chip")
    assert chip.attributes["href"] == "/search"


def test_values_of_one_facet_are_combined_with_or_and_facets_with_and(published, indexed, browser):
    published("One", visibility="public", severity="sev1", organization="Square")
    published("Two", visibility="public", severity="sev2", organization="Square")
    published("Three", visibility="public", severity="sev2", organization="Slack")
    indexed()
    response = browser("anonymous").get("/search?severity=sev1&severity=sev2&organization=Square")
    assert set(titles(response)) == {"One", "Two"}


def test_the_filters_work_without_javascript_as_one_form(published, indexed, browser):
    published("One", visibility="public", severity="sev1")
    indexed()
    page = parsed(browser("anonymous").get("/search?q=cache"))
    form = next(form for form in page.all("form") if form.attributes.get("id") == "filters")
    assert (form.attributes["action"], form.attributes["method"]) == ("/search", "get")
    assert any(button.text == "Apply" for button in page.all("button"))
    hidden = next(box for box in page.all("input") if box.attributes.get("type") == "hidden")
    assert (hidden.attributes["name"], hidden.attributes["value"]) == ("q", "cache")
    assert next(s for s in page.all("select")).attributes["form"] == "filters"


def test_a_facet_shows_eight_values_including_the_selected_ones(draft, indexed, browser):
    for number in range(12):
        draft(f"Incident {number}", organization=f"Organization {number:02}")
    indexed()
    page = parsed(browser("author").get("/search?organization=Organization+11"))
    boxes = [box for box in page.all("input") if box.attributes.get("name") == "organization"]
    assert boxes[0].attributes["value"] == "Organization 11"
    assert len([box for box in boxes if box.inside.count("details") == 1]) == 8
    assert len([box for box in boxes if box.inside.count("details") == 2]) == 4


def test_paging_neither_skips_nor_repeats_results(draft, indexed, browser):
    wanted = {f"Incident {number}" for number in range(23)}
    for title in wanted:
        draft(title)
    indexed()
    client, address, seen = browser("author"), "/incidents", []
    while address:
        response = client.get(address)
        assert count(response) == "23 incidents"
        seen += titles(response)
        address = next(
            (a.attributes["href"] for a in parsed(response).all("a") if a.attributes.get("rel") == "next"), None
        )
    assert len(seen) == 23
    assert set(seen) == wanted


def test_a_cursor_from_another_query_shows_the_first_page(draft, indexed, browser):
    for number in range(21):
        draft(f"Incident {number}")
    indexed()
    client = browser("author")
    first = parsed(client.get("/search"))
    cursor = next(a for a in first.all("a") if a.attributes.get("rel") == "next").attributes["href"].split("cursor=")[1]
    for address in (f"/search?q=incident&cursor={cursor}", "/search?q=incident&cursor=tampered"):
        response = client.get(address)
        assert len(titles(response)) == 20
        assert [a.text for a in parsed(response).all("a") if a.text in ("First page", "Next")] == ["Next"]
        assert views.PAGE_LOST in parsed(response).text
    # The address of a search for a pasted log is too long for a redirect.
    assert client.get("/search", {"q": "é" * 9_000, "cursor": "tampered"}).status_code == 200


@pytest.mark.parametrize(
    ("query", "names"),
    [("severity=sev9", "severity"), ("sort=alphabet", "sort"), ("organization=a%00b", "organization")],
)
def test_an_invalid_filter_is_named(cast, browser, query, names):
    response = browser("anonymous").get(f"/search?{query}")
    assert response.status_code == 400
    assert names in [element.text for element in parsed(response).all("b")]


def test_a_correction_is_offered_for_a_misspelled_field_name(published, indexed, browser):
    published("One", visibility="public", severity="sev1")
    indexed()
    client = browser("anonymous")
    page = parsed(client.get("/search?q=severty:1"))
    link = next(a for a in page.all("a") if "q=severity" in a.attributes["href"])
    assert "Did you mean" in page.text
    assert titles(client.get(link.attributes["href"])) == ["One"]


def test_a_looser_search_is_offered_if_few_incidents_contain_all_of_the_words(published, indexed, browser):
    published("Quokka wombat numbat", visibility="public", severity="sev1")
    published("Quokka alone", visibility="public", severity="sev1")
    published("Numbat alone", visibility="public")
    indexed()
    client = browser("anonymous")

    def looser(query: str) -> list[str]:
        page = parsed(client.get(query))
        return [a.attributes["href"] for a in page.all("a") if a.text == "Show incidents with any of them"]

    (address,) = looser("/search?q=quokka+wombat+numbat&severity=sev1")
    assert titles(client.get(address)) == ["Quokka wombat numbat", "Quokka alone"]
    (address,) = looser("/search?q=quokka+wombat+numbat+is:public")
    assert len(titles(client.get(address))) == 3
    assert looser("/search?q=quokka+wombat") == looser("/search?q=quokka+wombat+koala") == looser(address) == []


def test_the_names_that_may_have_been_meant_are_offered_in_one_sentence(published, indexed, browser):
    published("One", visibility="public", organization="Wallaroo Works")
    published("Two", visibility="public", organization="Wallaroo <b>Mines</b>")
    indexed()
    client = browser("anonymous")
    page = parsed(client.get("/search?q=org:wallaroo&severity=unknown"))
    sentence = 'There is no organization wallaroo. Did you mean org:"Wallaroo <b>Mines</b>" or org:"Wallaroo Works"?'
    assert sentence in page.text
    link = next(a for a in page.all("a") if "Wallaroo+Works" in a.attributes["href"])
    assert "severity=unknown" in link.attributes["href"]
    assert titles(client.get(link.attributes["href"])) == ["One"]


@pytest.mark.parametrize(
    "query",
    [
        '"unbalanced',
        "the of and",
        "a*",
        "(((",
        "\x00\x00",
        "x " * 2000,
        "foo:bar/baz[0]",
        "' OR 1=1 --",
        "\ue000x\ue001",
        "Traceback (most recent call last):\n  File \"a.py\", line 3, in <module>\n    raise ValueError('x')",
        " OR ".join(["word"] * 500),
    ],
)
def test_any_text_at_all_just_searches(published, indexed, browser, query):
    published("One", visibility="public")
    indexed()
    response = browser("anonymous").get("/search", {"q": query})
    assert response.status_code == 200
    parsed(response)


def test_nothing_found_offers_next_steps(cast, browser):
    page = parsed(browser("anonymous").get(f"/search?q={SECRET}&severity=sev1"))
    steps = {link.text for link in page.all("a")}
    assert {"Search without filters", "patterns", "famous outages"} <= steps
    assert "you see only public incidents" in page.text


def test_highlighted_text_is_never_markup(cast, draft, indexed, browser):
    incident = draft(
        "<b>overload</b> <img src=x onerror=alert(1)>", visibility="public", organization="<script>alert(1)</script>"
    )
    fill(
        cast,
        incident,
        text="overload <script>alert(2)</script> \ue000<mark onclick=x>overload\ue001 \"'><svg onload=x>",
    )
    lifecycle.publish(actor=cast.viewer("lead"), incident_id=incident.pk)
    indexed()
    for query in ("overload", "<script>alert(3)</script> overload", '"><img src=x onerror=alert(4)> overload'):
        for address in ("/search", "/incidents"):
            page = parsed(browser("anonymous").get(address, {"q": query}))
            assert titles_of(page), query
            for element in page.elements:
                assert not any(name.startswith("on") for name in element.attributes)
                assert element.tag != "img"
                assert element.tag != "script" or element.attributes["src"].startswith("/static/")
            assert all(not mark.attributes for mark in page.all("mark"))
            assert "overload" in {mark.text.lower() for mark in page.all("mark")}


def titles_of(page):
    return [element.text for element in page.all("h2") if "hit-title" in element.attributes.get("class", "")]


@pytest.fixture
def engine_out_of_reach(settings) -> Iterator[None]:
    """Points the engine at an address where nothing listens, and resets the circuit breaker afterwards."""
    settings.ELASTICSEARCH_URL = "http://127.0.0.1:9"
    _forget_engine()
    yield
    engines.breaker().succeeded()
    _forget_engine()


def _forget_engine() -> None:
    engines.breaker.cache_clear()
    client.client.cache_clear()


def test_an_unavailable_engine_is_announced_and_results_are_still_shown(published, indexed, browser, request):
    published("Cache went cold", visibility="public")
    indexed()
    request.getfixturevalue("engine_out_of_reach")
    response = browser("anonymous").get("/search?q=cache")
    assert titles(response) == ["Cache went cold"]
    assert (
        "The search engine is unavailable. These results come from the database and may be ranked differently."
        in parsed(response).text
    )


def test_all_query_examples_on_the_page_are_valid(db):
    for example, _ in views.QUERY_HELP:
        query = parse(example)
        assert query.root is not None
        assert not query.corrections
        assert not query.notices


def test_archived_incidents_are_left_out_unless_asked_for(cast, published, indexed, browser):
    incident = published("Long ago", visibility="public")
    lifecycle.archive(actor=cast.viewer("lead"), incident_id=incident.pk)
    indexed()
    client = browser("anonymous")
    for address in ("/search", "/incidents", "/organizations/acme", "/"):
        assert "Long ago" not in parsed(client.get(address)).text
    assert titles(client.get("/search?q=is:archived")) == ["Long ago"]
