"""As few documents as possible are scored, without changing any score; and nothing hidden influences a score."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from incidents.actions.incidents import change_incident
from incidents.models import Incident
from incidents.scopes import ANONYMOUS
from kb.patterns.models import Pattern, Tag
from kb.search import relay
from kb.search.database.conditions import dialect, scored
from kb.search.database.rarity import EVERYBODY, SIGNED_IN
from kb.search.document import build_many
from kb.search.elastic.engine import ElasticEngine
from kb.search.likeness import Likeness
from kb.search.nodes import And, ChoiceFilter, Or, Phrase, Term
from kb.search.query import parse
from kb.search.service import SearchRequest, search
from kb.search.similar import similar
from tests.search.elastic import own_generations


@pytest.mark.parametrize(
    ("text", "among"),
    [
        ("cache retry", And((Term("cach"), Term("retri")))),
        ("cache OR retry", Or((Term("cach"), Term("retri")))),
        ('"cache miss" retry', And((Phrase(("cach", "miss")), Term("retri")))),
        ("cache -retry severity:sev1", Term("cach")),
        # A document that matches by the filter alone has no score.
        ("cache OR severity:sev1", Term("cach")),
        # A document found by "dns" can contain "cache" without "retry", and "cache" then adds to its score.
        ("(cache retry) OR dns", Or((Term("cach"), Term("retri"), Term("dns")))),
        ("severity:sev1 -cache", None),
        ("", None),
    ],
)
def test_only_documents_found_by_their_words_are_scored(text, among):
    assert scored(parse(text).root)[0] == among


@pytest.mark.django_db
def test_a_narrower_search_gives_the_same_score(published):
    for title in (
        "Cache resize",
        "Retry storm",
        "Cache emptied and retry storm",
        "Disk full",
        "Power lost",
        "Queue grew",
    ):
        published(title, text="Nothing else is said.", visibility="public")
    relay.drain()
    scores = {
        text: {one.title: one.score for one in search(ANONYMOUS, SearchRequest(q=text)).results}
        for text in ("cache retry", "cache OR retry")
    }
    both = "Cache emptied and retry storm"
    assert list(scores["cache retry"]) == [both]
    assert scores["cache retry"][both] == scores["cache OR retry"][both] > scores["cache OR retry"]["Cache resize"] > 0


@pytest.fixture
def tagged() -> Callable[[Incident], Incident]:
    """tagged(incident): the same incident, with a confirmed pattern."""
    pattern = Pattern.objects.create(slug="consumer-lag", name="Consumer lag", family="load", counts="Lag.")

    def tag(incident: Incident) -> Incident:
        Tag.objects.create(incident=incident, pattern=pattern, source="curator", state="confirmed")
        return incident

    return tag


@pytest.mark.django_db
def test_nothing_hidden_influences_a_score_or_a_likeness(cast, draft, published, tagged):
    like = tagged(published("Ransomware encrypted the backups", text="Kafka went with them.", visibility="public"))
    tagged(published("Kafka lagged", text="Consumers slept.", visibility="public"))
    published("Ransomware asked for coins", text="Backups were encrypted.", visibility="internal")

    def seen(who, *, indexed=True):
        if indexed:
            relay.drain()
        pages = [
            search(cast.viewer(who), SearchRequest(q=q))
            for q in ("ransomware", "kafka OR ransomware", '"encrypted the backups" OR kafka', "sleep\nkafka")
        ]
        scores = [[(one.ref, one.score) for one in page.results] for page in pages]
        return scores, [(one.result.ref, one.score) for one in similar(cast.viewer(who), like)]

    before = {who: seen(who) for who in ("anonymous", "outsider")}
    tagged(draft("Ransomware encrypted the backups of kafka"))
    tagged(published("Ransomware, and kafka lagged", text="Consumers encrypted the backups.", visibility="team"))
    assert {who: seen(who) for who in before} == before
    shut = published("Ransomware by kafka", text="It encrypted the backups.", visibility="public")
    relay.drain()
    change_incident(actor=cast.viewer("author"), incident_id=shut.pk, facts={"visibility": "team"})
    assert {who: seen(who, indexed=False) for who in before} == before
    published("More ransomware", text="Colleagues may know.", visibility="internal")
    assert seen("anonymous") == before["anonymous"]
    assert seen("outsider") != before["outsider"]


@pytest.mark.django_db
def test_synonyms_count_once_in_a_likeness(published):
    """A document that contains one of them contains them all."""
    said, once = (published(f"Incident {n}", text=text) for n, text in enumerate(("cert certificate", "certificate")))
    for document in build_many([said.pk, once.pk]).values():
        words = Likeness.of(document, lambda nodes: (100, [1] * len(nodes))).words
        assert len([word for word, _ in words if Term("certif") in getattr(word, "children", ())]) == 1


@pytest.mark.django_db
def test_a_rare_synonym_does_not_outweigh_the_word_that_was_asked_for(published):
    for number in range(6):
        published(f"Incident {number}", text="Some database was slow.", visibility="public")
    published("Another", text="The DB was slow, said one source.", visibility="public")
    relay.drain()

    def titles(query):
        return [one.title for one in search(ANONYMOUS, SearchRequest(q=query)).results]

    assert titles("database")[-1] == "Another"
    assert titles("db")[0] == "Another"
    assert len(titles("db")) == 7
    assert titles('"db"') == ["Another"]


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["rollback", "roll-back"])
def test_another_spelling_of_a_word_comes_before_its_synonyms(published, query):
    for text in ("We had to revert it.", "We had to roll back.", "We had to revert it again."):
        published(text, text="It was slow.", visibility="public")
    relay.drain()
    assert next(iter(search(ANONYMOUS, SearchRequest(q=query)).results)).title == "We had to roll back."


@pytest.mark.django_db
def test_words_that_are_both_asked_for_count_in_full_though_they_are_synonyms(published):
    for text in ("The db was slow.", "The database was slow."):
        published("Incident", text=text, visibility="public")
    relay.drain()
    for query in ("db database", "database db"):
        one, other = (result.score for result in search(ANONYMOUS, SearchRequest(q=query)).results)
        assert one == pytest.approx(other)


@pytest.mark.django_db
def test_a_shared_pattern_counts_less_the_more_incidents_show_it(published):
    incident = published()
    document = build_many([incident.pk])[incident.pk]
    document.facets["pattern"] = ["common", "rare", "unique"]
    counts = {"common": 50, "rare": 5, "unique": 0}

    def count_matches(nodes):
        return 100, [counts[node.values[0]] if isinstance(node, ChoiceFilter) else 1 for node in nodes]

    (_, common), (_, rare), (_, unique) = Likeness.of(document, count_matches).patterns
    assert 0 < 3 * common < rare < unique < 0.5


@pytest.mark.postgres_only
def test_nothing_hidden_influences_a_likeness_on_elasticsearch(cast, draft, published, tagged):
    text = "Ransomware encrypted the backups"
    like = tagged(published(text, text="Kafka went with them.", visibility="public"))
    tagged(published("Kafka lagged", text="Ransomware slept.", visibility="public"))

    def seen(who):
        relay.drain()
        ElasticEngine().refresh()
        document = build_many([like.pk])[like.pk]
        return [(hit.incident_id, hit.score) for hit in ElasticEngine().like(cast.viewer(who), document, 9)]

    with own_generations():
        relay.audit()
        before = {who: seen(who) for who in ("anonymous", "outsider")}
        assert all(before.values())
        tagged(draft(f"{text} of kafka"))
        tagged(published(f"{text} of kafka", visibility="team"))
        assert {who: seen(who) for who in before} == before
        published("More ransomware", text="Colleagues may know.", visibility="internal")
        assert seen("anonymous") == before["anonymous"]
        assert seen("outsider") != before["outsider"]


@pytest.mark.django_db
def test_existing_documents_are_counted_for_those_who_can_read_them(draft, published):
    for visibility in ("public", "internal", "team"):
        published(visibility=visibility)
    draft(visibility="public")
    relay.drain()
    counts = dialect().count([EVERYBODY, SIGNED_IN])
    assert counts == [1, 2]
    is_postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE search_searchdocument SET words = ''" if is_postgresql else "UPDATE search_words SET d = ''"
        )
    assert dialect().count([EVERYBODY, SIGNED_IN]) == [0, 0]
    import_module("kb.search.migrations.0007_who_counts").mark(apps, SimpleNamespace(connection=connection))
    assert dialect().count([EVERYBODY, SIGNED_IN]) == counts
