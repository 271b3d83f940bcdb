"""Search as the pages and the REST API see it: syntax, corrections, relaxation, cursors, rejected parameters, and the
fallback for Elasticsearch."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from incidents import outbox
from incidents.actions.links import add_link
from incidents.actions.sections import change_section
from kb.patterns.models import Pattern, Tag
from kb.search import cursor, engines, query, relay
from kb.search.breaker import Breaker, State
from kb.search.elastic import generations
from kb.search.elastic.client import client
from kb.search.elastic.engine import ElasticEngine
from kb.search.service import BadCursor, BadRequest, SearchRequest, search
from kb.search.similar import similar
from tests.search.elastic import own_generations

HOSTILE = [
    "a" * 10_000,
    "word " * 2_000,
    '"unbalanced quotes',
    "the of and to",
    "retr* re?ry ~fuzzy^3",
    " OR ".join(f"w{n}" for n in range(500)),
    "-" * 500,
    "(" * 500,
    "NULL\x00byte \ue000mark\ue001",
    "[error] 2026/03/03 14:03:11 [crit] 42#0: *7 connect() to 10.0.0.1:6379 failed (111: Connection refused) while on",
    'Traceback (most recent call last):\n  File "/srv/app.py", line 12, in <module>\n    main()\nOOM command',
    "severity:nonsense started:yesterday org: :: a:b C:\\x https://example.org/?q=1&r=[2]",
    "'; DROP TABLE incidents; --",
    "MATCH NEAR(a b) {a b} : a AND NOT",
]

LONG_PHRASES = " OR ".join('"' + " ".join(f"a{n}b{k}" for k in range(30)) + '"' for n in range(45))
LONG = [
    LONG_PHRASES,
    LONG_PHRASES.replace(" OR ", " "),
    " ".join("-".join(f"a{n}b{k}" for k in range(20)) for n in range(64)),
    " OR ".join(["oom dc mttr spof elb rca pop"] * 9),
]


def refs(page):
    return [result.ref for result in page.results]


def test_a_pattern_is_chosen_in_any_letter_case(cast, published):
    tank = Pattern.objects.create(slug="empty-tank", name="Empty tank", family="physical")
    incident = published("Connection refused", visibility="public")
    Tag.objects.create(incident=incident, pattern=tank, source="rule", state="automatic")
    relay.drain()
    page = search(cast.viewer("anonymous"), SearchRequest(filters={"pattern": ["Empty-Tank"]}))
    assert refs(page) == [incident.ref]
    assert [(value.value, value.requested) for value in page.facets["pattern"]] == [("empty-tank", ("Empty-Tank",))]


@pytest.mark.parametrize(
    "asked",
    [{"q": "pattern:dry-well"}, {"q": "pattern:dry-well,empty-tank (refused OR pattern:dry-well)"},
     {"filters": {"pattern": ["dry-well"]}}],
)  # fmt: skip
def test_a_merged_pattern_finds_the_incidents_of_the_one_it_was_merged_into(cast, published, asked):
    tank = Pattern.objects.create(slug="empty-tank", name="Empty tank", family="physical")
    Pattern.objects.create(slug="dry-well", name="Dry well", family="physical", status="merged", merged_into=tank)
    incident = published("Connection refused", visibility="public")
    published("Another", visibility="public")
    Tag.objects.create(incident=incident, pattern=tank, source="rule", state="automatic")
    relay.drain()
    page = search(cast.viewer("anonymous"), SearchRequest(**asked))
    assert refs(page) == [incident.ref]
    assert page.notices == ("The pattern dry-well was merged into empty-tank, which was searched instead.",)
    # The choice can be removed by the name it was made with.
    selected = [(value.value, value.count, value.requested) for value in page.facets["pattern"] if value.selected]
    assert selected == [("empty-tank", 1, ("dry-well",)) for _ in asked.get("filters", [])]


def test_excluding_a_merged_pattern_excludes_the_one_it_was_merged_into(cast, published):
    tank = Pattern.objects.create(slug="empty-tank", name="Empty tank", family="physical")
    Pattern.objects.create(slug="dry-well", name="Dry well", family="physical", status="merged", merged_into=tank)
    incident, other = published("Refused", visibility="public"), published("Another", visibility="public")
    Tag.objects.create(incident=incident, pattern=tank, source="rule", state="automatic")
    relay.drain()
    assert refs(search(cast.viewer("anonymous"), SearchRequest(q="-pattern:dry-well"))) == [other.ref]


@pytest.mark.parametrize("q", HOSTILE)
def test_any_text_can_be_searched_for(cast, published, q):
    published("Connection refused", visibility="public")
    relay.drain()
    assert search(cast.viewer("anonymous"), SearchRequest(q=q)).total in (0, 1)


def test_a_pasted_log_line_finds_the_incident_that_contains_it(cast, published):
    incident = published(
        "Cache away",
        text="The log said connect() to 10.0.0.1:6379 failed (111: Connection refused).",
        visibility="public",
    )
    published("Something else", text="The connection was slow and failed.", visibility="public")
    relay.drain()
    page = search(cast.viewer("anonymous"), SearchRequest(q=HOSTILE[9]))
    assert refs(page)[0] == incident.ref


def test_a_query_that_no_incident_satisfies_is_relaxed_with_a_notice(cast, published):
    incident = published("Retries overloaded redis", visibility="public")
    relay.drain()
    page = search(cast.viewer("anonymous"), SearchRequest(q="retries zeppelin"))
    assert refs(page) == [incident.ref]
    (notice,) = page.notices
    assert notice.startswith("No incident contains all of these words. ")


@pytest.mark.parametrize(
    ("query", "filters", "notice"),
    [
        ("retries redis is:internal", {}, "No incident that matches the filters contains all of these words. "),
        ("retries redis", {"status": ["published"], "severity": ["sev4"]}, None),
        ("redis:overloaded", {}, "No incident contains all of these words, with redis:overloaded in one piece. "),
        ("INC-7 retries zeppelin", {}, "No incident contains all of these words. "),
    ],
)
def test_the_notice_says_what_else_had_to_match(cast, published, query, filters, notice):
    published("Retries overloaded redis", visibility="public", severity="sev2")
    published("Retries", visibility="internal")
    relay.drain()
    page = search(cast.viewer("reader"), SearchRequest(q=query, filters=filters))
    assert [text[: len(notice or "")] for text in page.notices] == ([notice] if notice else [])


def test_a_reference_finds_that_incident_or_nothing(cast, draft, published):
    hidden, shown = draft("Disk full"), published("Retries overloaded redis", visibility="public")
    relay.drain()

    def found(q):
        return refs(search(cast.viewer("anonymous"), SearchRequest(q=q)))

    assert found(shown.ref) == [shown.ref]
    assert found(hidden.ref) == found("INC-999999") == []
    assert found(f"{hidden.ref} zeppelin") == found(f"see\n{hidden.ref}") == []
    assert found(f"{hidden.ref} retries") == [shown.ref]


def test_a_correction_is_offered_for_a_mistyped_field(cast):
    page = search(cast.viewer("anonymous"), SearchRequest(q="redis sevrity:sev1"))
    assert [c.suggestion for c in page.corrections] == ["severity:sev1"]


def test_markup_in_a_text_is_escaped_in_titles_and_highlights(cast, published):
    published(
        "A <img src=x onerror=alert(1)> title",
        text="Before <script>alert('wombat')</script> after.",
        visibility="public",
    )
    relay.drain()
    page = search(cast.viewer("anonymous"), SearchRequest(q="wombat title"))
    html = page.results[0].title_html + "".join(h.html for h in page.results[0].highlights)
    assert "<mark>wombat</mark>" in html
    assert "<script" not in html
    assert "<img" not in html


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (SearchRequest(sort="loudest"), "sort"),
        (SearchRequest(page_size=0), "page_size"),
        (SearchRequest(page_size=101), "page_size"),
        (SearchRequest(filters={"colour": ["red"]}), "colour"),
        (SearchRequest(filters={"severity": ["loud"]}), "severity"),
        (SearchRequest(filters={"year": ["2026", "abc"]}), "year"),
        (SearchRequest(filters={"year": ["2026\n"]}), "year"),
        (SearchRequest(filters={"organization": ["a\x00b"]}), "organization"),
    ],
)
def test_an_invalid_parameter_is_rejected_by_name(cast, request_, field):
    with pytest.raises(BadRequest) as refused:
        search(cast.viewer("anonymous"), request_)
    assert refused.value.field == field


def test_a_cursor_belongs_to_its_query(cast, published):
    for n in range(3):
        published(f"Wombat {n}", visibility="public")
    relay.drain()
    viewer = cast.viewer("anonymous")
    first = search(viewer, SearchRequest(q="wombat", page_size=2))
    second = search(viewer, SearchRequest(q="wombat", page_size=2, cursor=first.next_cursor))
    assert len({*refs(first), *refs(second)}) == 3
    assert second.next_cursor is None
    for other in ("x", first.next_cursor + "x"):
        with pytest.raises(BadCursor):
            search(viewer, SearchRequest(q="wombat", page_size=2, cursor=other))


def test_a_cursor_of_another_engine_is_rejected_for_that_reason(cast):
    position = cursor.Position(key=1.0, incident_id=1, engine="elasticsearch", relaxed=False)
    text = cursor.write(position, {"q": "wombat", "filters": {}, "sort": "relevance"})
    with pytest.raises(BadCursor, match="answered by another engine"):
        search(cast.viewer("anonymous"), SearchRequest(q="wombat", cursor=text))


@pytest.mark.parametrize(
    "changed",
    [
        {"q": "badger"},
        {"sort": "newest"},
        {"filters": {}},
        {"filters": {"severity": ["unknown", "sev1"]}},
        {"filters": {"severity": ["unknown"], "origin": ["own"]}},
    ],
)
def test_a_cursor_is_rejected_with_other_words_other_filters_or_another_order(cast, published, changed):
    for n in range(3):
        published(f"Wombat {n}", visibility="public")
    relay.drain()
    viewer = cast.viewer("anonymous")
    asked = SearchRequest(q="wombat", filters={"severity": ["unknown"]}, page_size=2)
    asked = replace(asked, cursor=search(viewer, asked).next_cursor)
    # The page size can change, because the place stays the same.
    assert len(search(viewer, replace(asked, page_size=1)).results) == 1
    with pytest.raises(BadCursor):
        search(viewer, replace(asked, **changed))


def test_a_page_takes_a_bounded_number_of_queries(cast, published, django_assert_max_num_queries):
    for n in range(5):
        published(f"Wombat {n}", visibility="public")
    relay.drain()
    viewer = cast.viewer("author")
    with django_assert_max_num_queries(9):
        search(viewer, SearchRequest(q="wombat", filters={"severity": ["unknown"]}))


# --- Similar incidents -------------------------------------------------------------------------------
def test_similar_incidents_have_reasons_and_are_visible_to_the_viewer(cast, published):
    one = published(
        "Retries overloaded the redis cache",
        text="Clients retried without backoff and redis stayed overloaded.",
        visibility="public",
        services=["Cache"],
        mitigations=["throttle"],
    )
    like = published(
        "A retry storm on redis",
        text="Retries without backoff kept redis overloaded.",
        visibility="public",
        services=["Cache"],
        mitigations=["throttle"],
    )
    hidden = published(
        "Retries and redis again", text="Retries without backoff kept redis overloaded.", visibility="team"
    )
    published("The office door", text="Nobody could enter the building.", visibility="public")
    relay.drain()
    seen = {s.result.ref: s.reasons for s in similar(cast.viewer("anonymous"), one)}
    assert like.ref in seen
    assert hidden.ref not in seen
    assert one.ref not in seen
    assert "same service: Cache" in seen[like.ref]
    assert hidden.ref in {s.result.ref for s in similar(cast.viewer("author"), one)}


def test_other_is_not_a_mitigation_that_incidents_share(cast, published):
    facts = {"visibility": "public", "services": ["Cache"], "mitigations": ["other", "wait"]}
    one, _ = published("A door stuck", **facts), published("The lights failed", **facts)
    relay.drain()
    (found,) = similar(cast.viewer("anonymous"), one)
    assert [reason for reason in found.reasons if "mitigation" in reason] == ["same mitigation: wait"]


def test_reasons_are_in_the_plural_where_several_things_are_shared(cast, published):
    facts = {"visibility": "public", "services": ["Cache", "Queue"], "mitigations": ["restart", "wait"]}
    one, _ = published("A door stuck", **facts), published("The lights failed", **facts)
    relay.drain()
    (found,) = similar(cast.viewer("anonymous"), one)
    assert found.reasons[:3] == [
        "same services: Cache, Queue",
        "same kind of cause: a change we made",
        "same mitigations: restart, wait",
    ]


@pytest.fixture
def alike(draft):
    """Two drafts with a pattern in common, and without any distinctive words."""
    pattern = Pattern.objects.create(slug="dns", name="DNS", family="network", counts="x")
    one, like = draft("DB 1"), draft("Go 2")
    for incident in (one, like):
        Tag.objects.create(incident=incident, pattern=pattern, source="person", state="confirmed")
    outbox.raise_index_version([one.pk, like.pk])
    return one, like


def test_without_distinctive_words_patterns_alone_make_incidents_similar(cast, alike):
    one, like = alike
    relay.drain()
    assert [s.result.ref for s in similar(cast.viewer("author"), one)] == [like.ref]


@pytest.mark.postgres_only
def test_patterns_alone_make_incidents_similar_on_elasticsearch_too(cast, alike):
    one, like = alike
    with own_generations():
        relay.drain()
        client().indices.refresh(index=generations.read_alias())
        assert [s.result.ref for s in similar(cast.viewer("author"), one)] == [like.ref]
        assert engines.breaker().state is State.CLOSED


@pytest.mark.parametrize("title", ["Lunch menu mixed up", "Something broke", "We had a problem and it was fixed"])
def test_a_few_shared_words_do_not_make_incidents_similar(cast, draft, published, title):
    published("The menu of alerts was mixed up", text="Something else broke: the problem was fixed.")
    one = draft(title)
    relay.drain()
    assert similar(cast.viewer("author"), one) == []


@pytest.mark.postgres_only
@pytest.mark.parametrize("title", ["Lunch menu mixed up", "Something broke", "We had a problem and it was fixed"])
def test_a_few_shared_words_do_not_make_incidents_similar_on_elasticsearch_either(cast, draft, published, title):
    published("The menu of alerts was mixed up", text="Something else broke: the problem was fixed.")
    one = draft(title)
    with own_generations():
        relay.audit()
        relay.drain()
        ElasticEngine().refresh()
        assert similar(cast.viewer("author"), one) == []
        assert engines.breaker().state is State.CLOSED


def test_similar_wording_is_a_reason_in_addition_to_open_actions(cast, draft, published):
    text = "The thermostat of the greenhouse froze while gardeners watered tomatoes, cucumbers, basil and melons."
    one, like = draft("Greenhouse"), published(text=text)
    change_section(actor=cast.viewer("author"), incident_id=one.pk, key="summary", body=text)
    relay.drain()
    (found,) = similar(cast.viewer("author"), one)
    assert found.result.ref == like.ref
    assert found.reasons == ["similar wording", "1 action still open"]


def test_a_link_does_not_reveal_a_hidden_incident(cast, published):
    from incidents.document import read, with_all_parts
    from incidents.scopes import visible_incidents

    shown, hidden = published("Shown", visibility="public"), published("Hidden", visibility="team")
    add_link(actor=cast.viewer("author"), incident_id=shown.pk, kind="related", to=hidden.ref)
    viewer = cast.viewer("anonymous")
    reading = read(with_all_parts(visible_incidents(viewer)).get(pk=shown.pk), viewer)
    assert reading.document["links"] == []


# --- The fallback for Elasticsearch ------------------------------------------------------------------
def test_the_breaker_opens_probes_and_closes():
    answers = [False, False, True]
    breaker = Breaker(lambda: answers.pop(0) if answers else True, interval=0.01)
    assert breaker.allows()
    breaker.failed("away")
    assert not breaker.allows()
    deadline = time.monotonic() + 5
    while breaker.state is not State.HALF_OPEN and time.monotonic() < deadline:
        time.sleep(0.01)
    assert breaker.allows()
    assert not breaker.allows(), "only one search tries a half-open circuit"
    breaker.succeeded()
    assert breaker.allows()


@pytest.mark.postgres_only
def test_the_database_answers_only_while_elasticsearch_cannot(cast, published, settings):
    incident = published("Wombats", visibility="public")
    with own_generations():
        relay.audit()
        relay.drain()
        client().indices.refresh(index=generations.read_alias())
        viewer = cast.viewer("anonymous")
        assert search(viewer, SearchRequest(q="wombats")).engine == "elasticsearch"
        alias = generations.read_alias()
        client().indices.close(index=alias)
        for _ in range(3):
            page = search(viewer, SearchRequest(q="wombats"))
            assert (page.engine, page.degraded, refs(page)) == ("postgresql", True, [incident.ref])
        client().indices.open(index=alias)
        deadline = time.monotonic() + 10
        while engines.breaker().state is not State.HALF_OPEN and time.monotonic() < deadline:
            time.sleep(0.05)
        page = search(viewer, SearchRequest(q="wombats"))
        assert (page.engine, page.degraded) == ("elasticsearch", False)


@pytest.mark.postgres_only
def test_the_database_answers_a_query_that_elasticsearch_refuses_and_no_other_query_is_affected(
    cast, published, monkeypatch
):
    incident = published("Wombats", visibility="public")
    viewer = cast.viewer("anonymous")
    with own_generations():
        relay.drain()
        client().indices.refresh(index=generations.read_alias())
        monkeypatch.setattr(query, "MAX_WORDS", 10**6)
        page = search(viewer, SearchRequest(q=f"wombats -({LONG_PHRASES})"))
        assert (page.engine, page.degraded, refs(page)) == ("postgresql", True, [incident.ref])
        assert engines.breaker().state is State.CLOSED
        page = search(viewer, SearchRequest(q="wombats"))
        assert (page.engine, page.degraded) == ("elasticsearch", False)


@pytest.mark.postgres_only
@pytest.mark.parametrize("q", [*HOSTILE, *LONG])
def test_elasticsearch_answers_any_text_at_all(cast, published, q):
    published("Connection refused", visibility="public")
    with own_generations():
        relay.drain()
        assert not search(cast.viewer("anonymous"), SearchRequest(q=q)).degraded


@pytest.mark.postgres_only
def test_elasticsearch_agrees_on_the_most_similar_incident(cast, published):
    one = published(
        "Retries overloaded the redis cache",
        text="Clients retried without backoff and redis stayed overloaded.",
        visibility="public",
    )
    like = published(
        "A retry storm on redis",
        text="Clients retried without backoff and the redis cache stayed overloaded.",
        visibility="public",
    )
    for n in range(4):
        published(f"The office door {n}", text="Nobody could enter the building for an hour.", visibility="public")
    with own_generations():
        relay.audit()
        relay.drain()
        client().indices.refresh(index=generations.read_alias())
        assert similar(cast.viewer("anonymous"), one)[0].result.ref == like.ref
