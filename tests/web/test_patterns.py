"""The page of a pattern: its statistics, and that they reveal nothing hidden."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from django.utils import timezone

from incidents.actions.lifecycle import archive
from kb.patterns.models import Pattern, PatternStatus, Tag, TagSource, TagState
from kb.web.colours import colours
from tests.conftest import Cast, forget_counts
from tests.web.conftest import parsed

TREND = "/patterns/retry-storm/trend.svg"


@pytest.fixture(autouse=True)
def _nothing_drawn_yet():
    forget_counts()
    yield
    forget_counts()


def make_pattern(slug="retry-storm", **more):
    return Pattern.objects.create(
        slug=slug, name=slug.replace("-", " ").capitalize(), family="load", counts="Retries multiplied.", **more
    )


def tag(incident, *patterns, state=TagState.AUTOMATIC, **more):
    for pattern in patterns:
        Tag.objects.create(incident=incident, pattern=pattern, source=TagSource.RULE, state=state, **more)


@pytest.fixture
def storm(published):
    """A pattern with incidents in 2019 and 2021 that everyone can see, and one in 2009 that only Checkout can."""
    pattern, cold = make_pattern(), make_pattern("cold-start")
    seen = {"visibility": "public", "organization": "Square & Sons"}
    tag(published("First", started="2019-07-02", mitigations=["rollback"], **seen), pattern, cold)
    tag(published("Second", started="2021", **seen), pattern)
    hidden = {"visibility": "team", "organization": "Hidden Ltd", "mitigations": ["isolate"]}
    tag(published("Secret", started="2009-05", **hidden), pattern, make_pattern("secret-pattern"))
    return pattern


def page_of(browser, name):
    response = browser(name).get("/patterns/retry-storm")
    assert response.status_code == 200
    return parsed(response)


def section(page, title):
    """The text of the section with this title, or "" if there is none."""
    found = [one.text for one in page.all("section") if title in one.text and "aria-labelledby" in one.attributes]
    return re.sub(r"\s+", " ", found[0]) if found else ""


# --- Statistics ------------------------------------------------------------------------------------
def test_the_page_shows_where_a_pattern_occurred_with_what_else_and_what_mitigated_it(storm, browser):
    page = page_of(browser, "anonymous")
    assert "Square & Sons 2 incidents" in section(page, "Where it happened")
    assert "Cold start 1 incident" in section(page, "Occurs together with")
    assert "Rollback 1 incident" in section(page, "What mitigated it")
    assert "1 of 2 incidents does not say" in section(page, "What mitigated it")
    assert page.all("img")[0].attributes["alt"] == "Incidents per year from 2019 to 2021. The peak was 1 in 2019."
    table = [[cell.text for cell in page.all(tag)] for tag in ("th", "td")]
    assert table == [["Year", "Incidents", "2019", "2020", "2021"], ["1", "0", "1"]]


def test_its_numbers_link_to_the_incidents_they_count(storm, indexed, browser):
    indexed()
    client = browser("anonymous")
    page = parsed(client.get("/patterns/retry-storm"))
    for text, titles in {"Square & Sons": {"First", "Second"}, "Rollback": {"First"}}.items():
        link = next(one for one in page.all("a") if one.text == text and "pattern=" in one.attributes["href"])
        found = parsed(client.get(link.attributes["href"]))
        assert {title for title in ("First", "Second", "Secret") if title in found.text} == titles


@pytest.mark.parametrize("name", Cast.NAMES)
def test_nothing_on_the_page_reveals_a_hidden_incident(storm, indexed, browser, name):
    indexed()
    html = browser(name).get("/patterns/retry-storm").content.decode()
    sees = name in {"reader", "author", "lead", "admin"}
    for trace in ("Secret", "Hidden Ltd", "2009", "Isolate"):
        assert (trace in html) == sees, trace


def test_many_rows_are_behind_more(published, browser):
    pattern = make_pattern()
    for number in range(10):
        tag(published(f"Incident {number}", visibility="public", organization=f"Org {number:02}"), pattern)
    page = page_of(browser, "anonymous")
    text = section(page, "Where it happened")
    assert "2 more" in text
    assert all(f"Org {number:02}" in text for number in range(10))


def test_further_pages_of_the_list_do_not_repeat_the_statistics(published, indexed, browser):
    pattern = make_pattern()
    for number in range(25):
        tag(published(f"Incident {number}", visibility="public", started=f"20{number:02}"), pattern)
    indexed()
    client = browser("anonymous")
    first = parsed(client.get("/patterns/retry-storm"))
    assert first.all("img")
    following = next(link.attributes["href"] for link in first.all("a") if link.attributes.get("rel") == "next")
    second = parsed(client.get(following))
    assert not second.all("img")
    assert not section(second, "Where it happened")
    assert "Incident 0" in second.text


def test_a_pattern_without_incidents_shows_its_definition_and_no_empty_lists(db, browser):
    make_pattern(rule_version=1)
    page = page_of(browser, "anonymous")
    assert not page.all("img")
    assert not any(section(page, title) for title in ("Where it happened", "Occurs together", "What mitigated"))
    (everything,) = (link for link in page.all("a") if link.text == "Search without filters")
    assert everything.attributes["href"] == "/search"
    assert "No decisions yet" in section(page, "How often its rule is right")


def test_the_precision_of_a_rule_is_shown_with_its_interval(cast, published, browser):
    pattern = make_pattern(rule_version=1)
    decided = {"decided_by": cast.author, "decided_at": timezone.now()}
    for number, state in enumerate([TagState.CONFIRMED] * 3 + [TagState.REJECTED]):
        tag(published(f"Incident {number}", visibility="public"), pattern, state=state, **decided)
    tag(published("Hidden", visibility="team"), pattern, state=TagState.REJECTED, **decided)
    assert "5 tags from this rule and confirmed 3" in section(page_of(browser, "author"), "How often its rule is right")
    told = section(page_of(browser, "anonymous"), "How often its rule is right")
    # The Wilson interval of 3 in 4.
    assert "4 tags from this rule and confirmed 3: 75% (95% interval 30% to 95%)" in told


def test_a_pattern_without_a_rule_says_that_people_set_it(db, browser):
    make_pattern()
    assert "People add it by hand" in section(page_of(browser, "anonymous"), "How often its rule is right")


# --- The drawing -----------------------------------------------------------------------------------
def bars(response):
    """The heights of the bars of a drawing, in reading order."""
    root = ElementTree.fromstring(response.content)
    paths = [
        path
        for group in root.iter()
        if "mark-rect" in group.get("class", "").split()
        for path in group.iter("{http://www.w3.org/2000/svg}path")
    ]
    return [float(re.search(r"v(-?[\d.]+)", path.get("d"))[1]) for path in paths]


def test_the_trend_counts_only_incidents_the_viewer_can_see(storm, browser):
    for name, years in {"anonymous": 3, "outsider": 3, "reader": 13, "admin": 13}.items():
        response = browser(name).get(TREND)
        assert (response.status_code, response["Content-Type"]) == (200, "image/svg+xml")
        found = bars(response)
        assert len(found) == years
        assert sum(height > 0 for height in found) == (2 if years == 3 else 3)


def test_the_drawing_is_private_and_resent_only_when_it_has_changed(storm, published, browser):
    client = browser("anonymous")
    first = client.get(TREND)
    assert "private" in first["Cache-Control"]
    assert "no-cache" in first["Cache-Control"]
    again = client.get(TREND, headers={"if-none-match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert browser("reader").get(TREND, headers={"if-none-match": first["ETag"]}).status_code == 200
    tag(published("Third", visibility="public", started="2020"), storm)
    changed = client.get(TREND, headers={"if-none-match": first["ETag"]})
    assert changed.status_code == 200
    assert bars(changed) != bars(first)


def test_the_drawing_has_the_colours_of_the_page_and_no_style_or_script(storm, browser):
    client = browser("anonymous")
    for scheme in ("light", "dark"):
        root = ElementTree.fromstring(client.get(f"{TREND}?scheme={scheme}").content)
        used = {value for element in root.iter() for value in (element.get("fill"), element.get("stroke")) if value}
        assert {colours(scheme)[name] for name in ("accent", "ink-2", "line-strong")} <= used
        names = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert not names & {"style", "script", "foreignObject", "image", "a"}
        for element in root.iter():
            assert not any(name == "style" or name.startswith("on") or name.endswith("href") for name in element.attrib)
    assert colours("light")["accent"] != colours("dark")["accent"]


def test_a_narrow_screen_gets_its_own_drawing(storm, browser):
    client = browser("anonymous")
    widths = [
        ElementTree.fromstring(client.get(f"{TREND}?size={size}").content).get("width") for size in ("wide", "narrow")
    ]
    page = page_of(browser, "anonymous")
    (picture,) = page.all("img")
    narrow = [one for one in page.all("source") if "size=narrow" in one.attributes["srcset"]]
    assert widths == [picture.attributes["width"], narrow[0].attributes["width"]]
    assert picture.attributes["loading"] == "lazy"
    for one in page.all("source"):
        assert client.get(one.attributes["srcset"]).status_code == 200


@pytest.mark.parametrize("query", ["?scheme=pink", "?size=9999", "?scheme=", "?size=wide%00"])
def test_only_drawings_that_pages_use_are_served(storm, browser, query):
    assert browser("anonymous").get(TREND + query).status_code == 404


def test_there_is_no_drawing_for_an_unknown_pattern_or_one_without_a_trend(storm, published, browser):
    tag(published("Alone", visibility="public", started="2019"), make_pattern("alone"))
    client = browser("anonymous")
    assert client.get("/patterns/nothing/trend.svg").status_code == 404
    assert client.get("/patterns/alone/trend.svg").status_code == 404
    assert not parsed(client.get("/patterns/alone")).all("img")
    # Nor does it reveal that other viewers would see more.
    assert client.get("/patterns/secret-pattern/trend.svg").status_code == 404


def patterns_of_hits(response):
    links = parsed(response).all("a")
    return [link.text for link in links if "pattern" in link.attributes.get("class", "").split()]


@pytest.mark.parametrize(
    "address",
    [
        "/search?q=retries",
        "/search?q=pattern:retry-storm",
        "/search?q=pattern:reconnects",
        "/search?pattern=retry-storm",
        "/patterns/retry-storm",
    ],
)
def test_the_patterns_that_a_search_is_about_are_shown_first_in_each_hit(published, indexed, browser, address):
    storm, others = make_pattern(), [make_pattern(f"cold-cache-{number}") for number in range(4)]
    make_pattern("reconnects", status=PatternStatus.MERGED, merged_into=storm)
    tag(published("Retries piled up", visibility="public"), *others, storm)
    indexed()
    shown = patterns_of_hits(browser("anonymous").get(address))
    assert shown == ["Retry storm", "Cold cache 0", "Cold cache 1", "Cold cache 2"]


@pytest.mark.parametrize("query", ["service:payments", "piled -denial"])
def test_names_of_fields_and_excluded_words_are_not_what_a_search_is_about(published, indexed, browser, query):
    incident = published("Retries piled up", visibility="public", services=["payments"])
    tag(incident, make_pattern("cold-cache"), make_pattern("denial-of-service"))
    indexed()
    shown = patterns_of_hits(browser("anonymous").get("/search", {"q": query}))
    assert shown == ["Cold cache", "Denial of service"]


def test_a_pattern_of_archived_incidents_links_to_them(cast, published, indexed, browser):
    incident = published("Long ago", visibility="public")
    tag(incident, make_pattern())
    archive(actor=cast.viewer("lead"), incident_id=incident.pk)
    indexed()
    page = page_of(browser, "anonymous")
    assert "Only archived incidents here" in page.text
    (link,) = (link for link in page.all("a") if link.text == "Show archived incidents")
    assert "Long ago" in parsed(browser("anonymous").get(link.attributes["href"])).text
