"""One suite that every engine has to pass, over one corpus of two hundred incidents.

An engine that matches substrings cannot pass it, and neither can one that filters after counting.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from incidents import template
from incidents.actions.organizations import create_team, save_template, set_membership
from incidents.models import Incident, OutboxEntry, User
from incidents.scopes import ANONYMOUS, Viewer
from kb.english import APART_IN_SMALL_LETTERS, FORMS
from kb.search.analysis import tokenize
from kb.search.database.conditions import names_archived
from kb.search.database.engine import DatabaseEngine
from kb.search.document import build_many
from kb.search.elastic import generations
from kb.search.elastic.client import client
from kb.search.elastic.engine import ElasticEngine
from kb.search.engine import Answer, Engine, EngineRequest, Hit
from kb.search.highlight import END, START
from kb.search.likeness import inverse_frequency
from kb.search.query import MAX_DEPTH, parse
from kb.search.similar import LEAST
from tests.search import corpus as corpora
from tests.search.corpus import Corpus
from tests.search.elastic import own_generations

PERSON_PARTS = ("author", "outsider", "admin", "reviewer", "former reviewer")


@pytest.fixture(scope="module")
def corpus(kept: None) -> Corpus:
    """Built once for the module."""
    system = Viewer.system()
    for definition in template.shipped_definitions():
        save_template(actor=system, definition=definition)
    team = create_team(actor=system, name="Checkout")
    people = {
        name: User.objects.create(
            email=f"{name.replace(' ', '-')}@acme.example", name=name, is_admin=name == "admin", password="!"
        )
        for name in PERSON_PARTS
    }
    set_membership(actor=system, team_id=team.pk, user=people["author"], role="lead")
    others = create_team(actor=system, name="Payments")
    for name in ("reviewer", "former reviewer"):
        set_membership(actor=system, team_id=others.pk, user=people[name], role="author")
    made = corpora.build(team, people["author"], reviewer=people["reviewer"], former_reviewer=people["former reviewer"])
    DatabaseEngine().index(list(build_many(made.everything).values()))
    made.viewers = {"anonymous": ANONYMOUS, **{name: Viewer.of(user) for name, user in people.items()}}
    return made


class EngineContract:
    """Subclasses provide `engine`, filled with the corpus."""

    @pytest.fixture
    def engine(self, corpus: Corpus, db: None) -> Engine:
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _setup(self, engine: Engine, corpus: Corpus) -> None:
        self.engine, self.all = engine, corpus

    def ask(self, q: str = "", *, who: str = "anonymous", **more: Any) -> Answer:
        root = parse(q).root
        options = {"size": 100, "archived": names_archived(root), **more}
        return self.engine.search(EngineRequest(viewer=self.all.viewers[who], root=root, **options))

    def found(self, q: str, **more: Any) -> list[str]:
        return self.all.names([hit.incident_id for hit in self.ask(q, **more).hits])

    def marked(self, q: str) -> list[str]:
        """The fragments of each hit as one text, in which adjacent marked words share one pair of marks."""
        texts = (" ".join(text for _, text in hit.fragments) for hit in self.ask(q).hits)
        return [text.replace(f"{END} {START}", " ") for text in texts]

    # --- What matches --------------------------------------------------------------------------------
    def test_words_match_by_their_stem(self):
        assert set(self.found("retry overload redis")) == {"title", "summary", "lesson", "message"}
        assert self.found("retried overloads redis") == self.found("retry overload redis")

    def test_a_part_of_a_word_is_no_match(self):
        assert set(self.found("cat")) == {"cat", "catalog"}
        assert self.found("cats keyboard") == ["cat"]
        assert self.found("catalogue") == ["catalog"]
        assert self.found("atalo") == []
        assert self.found("key") == []

    def test_irregular_forms_and_british_spellings_match(self):
        assert self.found("catalogs of cats") == self.found("catalogues of cats") == ["catalog"]
        assert self.found("facades breaking") == self.found("broken facade") == ["french"]
        assert self.found('"running out of memory"') == ["starved"]

    def test_all_words_are_needed(self):
        assert self.found("redis wombats") == []

    def test_the_words_of_a_phrase_must_be_adjacent(self):
        assert self.found('"primary database failed"') == ["phrase"]
        assert set(self.found("primary database failed over")) == {"phrase", "scattered"}

    def test_a_phrase_never_runs_from_one_text_into_the_next(self):
        assert self.found('"redis a cache"') == []

    def test_a_compound_is_found_as_it_is_written(self):
        assert self.found("us-east-1") == ["region"]
        assert set(self.found("us east")) == {"region", "words"}
        for compound in ("kube-system", "ECONNRESET", "econnreset", "10.0.0.1:6379", "net.js:123"):
            assert self.found(compound) == ["region"], compound

    def test_case_and_accents_do_not_matter(self):
        assert self.found("CAFE deja") == ["french"]
        assert self.found("zurich façade") == ["french"]

    def test_synonyms_are_found_both_ways(self):
        assert self.found("kubernetes upgrade") == ["cluster"]
        assert self.found("k8s control plane") == ["cluster"]

    def test_an_incident_is_found_by_the_date_it_started(self):
        assert self.found("forty wombats 2020-01-01") == ["long"]
        assert self.found("forty wombats 1 january 2020") == self.found("forty wombats jan 2020") == ["long"]
        assert self.found("forty wombats 2020-01-02") == []

    def test_other_spellings_are_found(self):
        assert self.found("failover") == self.found("fail-over") == ["phrase"]
        assert self.found("a key-board") == ["cat"]

    @pytest.mark.parametrize(
        "q",
        [
            "障害",
            "ล่ม",
            "bandicoot",
            "クラスタ",
            "ｸﾗｽﾀ",
            "eclair",
            "e\u0301clair",
            "елка",
            "київ",
            "محمد",
            "애",
            "walrus",
            "whal",
            "ibex",
            "oce\u00adlot",
            "ocelot\ufeff",
        ],
    )
    def test_words_of_every_script_are_found_with_and_without_invisible_characters(self, q):
        assert self.found(q) == ["foreign"]

    def test_a_synonym_of_several_words_is_found_where_they_are_adjacent(self):
        assert self.found("oom") == ["starved"]
        assert self.ask("-oom").total == self.ask("").total - 1
        assert START not in "".join(text.replace(f"{START}out of memory{END}", "") for text in self.marked("oom"))

    def test_an_inflected_word_has_synonyms_too(self):
        assert self.found("ooms printing") == ["starved"]

    def test_or_minus_and_groups(self):
        assert set(self.found("ECONNRESET OR kubernetes")) == {"region", "cluster"}
        assert set(self.found("us east -pods")) == {"words"}
        assert set(self.found("(ECONNRESET OR kubernetes) -pods")) == {"cluster"}
        assert set(self.found("east (-pods OR ECONNRESET)")) == {"region", "words"}

    def test_a_negation_alone_finds_everything_else(self):
        assert self.ask("-wombats").total == self.ask("").total - self.ask("wombats").total

    def test_a_filter_works_inside_an_or(self):
        assert set(self.found("ECONNRESET OR (wombats org:initech)")) == {"region", "long"}

    @pytest.mark.parametrize(
        "level",
        [
            "(wombats OR -cat {})",
            "-(wombats OR cat keyboard {})",
            "(severity:sev1 OR started:2019.. {})",
            '-("a b" OR org:acme,b team:x {} us-east-1 OR is:overdue)',
        ],
    )
    def test_nested_groups_are_answered_to_the_greatest_depth_that_is_parsed(self, level):
        q = "is:famous"
        for _ in range(MAX_DEPTH):
            q = level.format(q)
        assert not parse(q).notices
        assert self.ask(q, who="author", chosen={"organization": ["Hooli"]}).total >= 0

    # --- How it ranks --------------------------------------------------------------------------------
    def test_a_match_in_the_title_counts_most_and_in_the_message_to_customers_least(self):
        order = self.found("retries overloaded redis")
        assert order[0] == "title"
        assert order[-1] == "message"

    def test_scores_never_rise_along_the_page(self):
        scores = [hit.score for hit in self.ask("wombats").hits]
        assert scores == sorted(scores, reverse=True)
        assert scores[-1] > 0

    # --- Filters -------------------------------------------------------------------------------------
    @pytest.mark.parametrize(
        ("q", "names"),
        [
            ("wombats org:initech", {"long"}),
            ("wombats severity:sev2", {"short", "own"}),
            ("wombats severity:1", {"long"}),
            ("wombats origin:own", {"own"}),
            ("wombats detected:alert", {"long"}),
            ("wombats mitigation:rollback", {"long", "short"}),
            ("wombats -mitigation:restart mitigation:rollback", {"short"}),
            ("wombats family:load", {"long"}),
            ("wombats started:2020", {"long"}),
            ("wombats started:2021..", {"short", "own"}),
            ("wombats duration:>1h", {"long", "own"}),
            ("wombats duration:<1h", {"short"}),
            ("wombats duration:5m..3h", {"short", "own"}),
            ("wombats has:causes", {"long", "short"}),
            ("wombats is:ours", {"own"}),
            ("is:archived", {"archived"}),
            ("wombats status:archived", {"archived"}),
        ],
    )
    def test_filters(self, q, names):
        assert set(self.found(q)) == names

    @pytest.mark.parametrize(
        ("q", "names"),
        [
            ("is:draft", {"sketch"}),
            ("status:draft", {"sketch"}),
            ("is:published", {"whole", "plain", "inside", "team"}),
            ("status:published", {"whole", "plain", "inside", "team"}),
            ("is:public", {"whole", "plain", "sketch"}),
            ("is:internal", {"inside"}),
            ("is:team", {"team"}),
            ("is:famous", {"whole"}),
            ("is:imported", {"plain"}),
            ("severity:unknown", {"plain"}),
            ("severity:sev3", {"whole"}),
            ("detected:staff", {"whole"}),
            ("pattern:retry-storm", {"whole"}),
            ("pattern:split-brain", {"plain"}),
            ("-pattern:retry-storm", {"plain", "inside", "team", "sketch"}),
            ("family:response", {"whole", "plain"}),
            ("family:data", {"whole"}),
            ('service:"Potoroo\u2122"', {"whole"}),
            ("service:potorootm", {"whole"}),
            ("service:potoroo", set()),
            ('org:"Wallaroo\u2122 Works"', {"whole"}),
            ('org:"WALLAROOTM  works"', {"whole"}),
            ("has:timeline", {"whole"}),
            ("has:lessons", {"whole"}),
            ("has:actions", {"whole", "plain"}),
            ("has:open-actions", {"whole"}),
            ("has:sources", {"whole"}),
            ("has:revision", {"whole", "plain", "inside", "team"}),
            ("has:customer-message", {"whole"}),
            ("has:patterns", {"whole", "plain"}),
        ],
    )
    def test_every_field_and_flag_filters(self, q, names):
        assert set(self.found(f"platypuses {q}", who="author")) == names

    def test_incidents_in_review_are_found_by_their_status(self):
        for q in ("is:in-review", "status:in_review"):
            assert self.found(f"quokkas {q}", who="author") == ["asked"], q

    @pytest.mark.parametrize(
        "word", ["echidna", "numbat", "quoll", "bilby", "dunnart", "thylacine", "wallaroo", "potoroo"]
    )
    def test_a_word_of_any_record_or_name_finds_its_incident(self, word):
        assert self.found(word) == ["whole"]

    def test_a_condition_on_teams_reveals_nothing_to_anonymous_viewers(self):
        q = "wombats team:checkout org:hooli"
        for who in PERSON_PARTS:
            assert set(self.found(q, who=who)) == {"short", "own"}, who
            assert self.ask("wombats -team:checkout", who=who).total == 0, who
        assert self.ask(q).total == self.ask("team:checkout").total == self.ask("team:payments").total == 0
        everything = self.ask("wombats").total
        assert self.ask("wombats -team:checkout").total == self.ask("wombats -team:payments").total == everything
        assert self.ask("wombats (team:checkout OR org:initech)").total == 1

    def test_overdue_is_what_readers_see_as_overdue(self):
        """An action that is only in the draft of a reopened incident does not count."""
        for who in self.all.viewers:
            assert self.found("is:overdue", who=who) == ["late"], who
            assert self.found("aardvarks -is:overdue", who=who) == ["reopened"], who

    def test_a_reopened_incident_is_found_by_what_it_published(self):
        for who in self.all.viewers:
            assert self.found("aardvarks org:globex", who=who) == ["reopened"], who
            assert self.found("org:vandelay", who=who) == [], who
            assert self.ask("aardvarks", who=who).facets["organization"] == {"Northwind": 1, "Globex": 1}, who

    def test_archived_incidents_are_found_only_when_asked_for(self):
        assert "archived" not in self.found("wombats")
        assert "archived" in self.found("wombats", archived=True)

    # --- Who can find it -----------------------------------------------------------------------------
    def test_everyone_finds_only_what_is_shared_with_them(self):
        public = {"long", "short", "own", "markup"}
        assert set(self.found("wombats")) == public
        assert set(self.found("wombats", who="outsider")) == public | {"internal"}
        assert set(self.found("wombats", who="author")) == public | {"internal", "private", "draft"}
        assert set(self.found("wombats", who="admin")) == public | {"internal", "private", "draft"}

    def test_an_asked_reviewer_finds_a_draft_of_another_team_until_the_round_ends(self):
        def seen(who):
            answer = self.ask("quokkas", who=who)
            names = self.all.names([hit.incident_id for hit in answer.hits])
            return set(names), answer.total, answer.facets["status"]

        assert seen("author") == ({"asked", "ended"}, 2, {"in_review": 1, "draft": 1})
        assert seen("reviewer") == ({"asked"}, 1, {"in_review": 1})
        for who in ("former reviewer", "outsider", "anonymous"):
            assert seen(who) == (set(), 0, {}), who

    def test_totals_facets_and_durations_reveal_nothing_hidden(self):
        seen, everything = self.ask("wombats"), self.ask("wombats", who="admin")
        assert seen.total == 4
        assert everything.total == 7
        assert sum(seen.facets["organization"].values()) == 4
        assert "draft" not in seen.facets["status"]
        assert everything.facets["status"]["draft"] == 1

    def test_a_negation_reveals_nothing_hidden(self):
        assert self.ask("secret").total == 0
        assert self.ask("-secret").total == self.ask("").total

    def test_an_incident_whose_access_is_being_narrowed_is_hidden_at_once(self):
        pk = self.all.named["long"]
        Incident.objects.filter(pk=pk).update(visibility="team")
        OutboxEntry.objects.bulk_create(
            OutboxEntry(consumer=consumer, incident_id=pk, narrows=True)
            for consumer in ("database_index", "elasticsearch")
        )
        answer = self.ask("wombats", who="outsider")
        assert "long" not in self.all.names([hit.incident_id for hit in answer.hits])
        assert answer.total == 4
        assert "Initech" not in answer.facets["organization"]

    # --- Facets --------------------------------------------------------------------------------------
    def test_facets_count_what_was_found(self):
        facets = self.ask("wombats").facets
        assert facets["organization"] == {"Hooli": 2, "Initech": 1, "Northwind": 1}
        assert facets["severity"] == {"sev1": 1, "sev2": 2, "unknown": 1}
        assert facets["mitigation"] == {"rollback": 2, "restart": 1}
        assert facets["family"] == {"load": 1, "change": 1}
        assert facets["year"] == {"2020": 1, "2021": 1, "2022": 1, "unknown": 1}
        assert facets["duration"] == {"over-24h": 1, "under-1h": 1, "1h-6h": 1, "unknown": 1}
        assert facets["origin"] == {"imported": 3, "own": 1}
        assert facets["detected_by"] == {"alert": 1, "customer": 1, "unknown": 2}

    def test_a_choice_narrows_every_facet_but_its_own(self):
        answer = self.ask("wombats", chosen={"organization": ["Hooli"]})
        assert answer.total == 2
        assert answer.facets["organization"] == {"Hooli": 2, "Initech": 1, "Northwind": 1}
        assert answer.facets["severity"] == {"sev2": 2}

    def test_several_values_of_a_facet_are_any_and_several_facets_are_all(self):
        assert self.ask("wombats", chosen={"organization": ["Hooli", "Initech"]}).total == 3
        assert self.ask("wombats", chosen={"organization": ["Hooli"], "mitigation": ["rollback"]}).total == 1

    @pytest.mark.parametrize(
        ("facet", "value", "names", "counts"),
        [
            ("pattern", "retry-storm", {"whole"}, {"retry-storm": 1, "split-brain": 1}),
            ("pattern", "split-brain", {"plain"}, {"retry-storm": 1, "split-brain": 1}),
            ("family", "response", {"whole", "plain"}, {"data": 1, "response": 2}),
            ("mitigation", "rollback", set(), {}),
            ("duration", "1h-6h", {"whole"}, {"1h-6h": 1, "unknown": 4}),
            ("detected_by", "staff", {"whole"}, {"staff": 1, "unknown": 4}),
            ("status", "draft", {"sketch"}, {"draft": 1, "published": 4}),
            ("status", "published", {"whole", "plain", "inside", "team"}, {"draft": 1, "published": 4}),
            ("severity", "unknown", {"plain"}, {"sev3": 1, "sev4": 3, "unknown": 1}),
            ("origin", "famous", {"whole"}, {"famous": 1, "imported": 1, "own": 3}),
            ("year", "2020", {"whole"}, {"2020": 1, "unknown": 4}),
            ("organization", "Wallaroo\u2122 Works", {"whole"}, {"Wallaroo\u2122 Works": 1, "Northwind": 4}),
        ],
    )
    def test_every_facet_can_be_chosen(self, facet, value, names, counts):
        answer = self.ask("platypuses", who="author", chosen={facet: [value]})
        assert set(self.all.names([hit.incident_id for hit in answer.hits])) == names
        assert answer.total == len(names)
        assert answer.facets[facet] == counts

    def test_the_median_counts_known_durations(self):
        assert self.ask("wombats").median_duration_seconds == pytest.approx(7200, rel=0.01)
        assert self.ask("cat").median_duration_seconds is None

    # --- Pages ---------------------------------------------------------------------------------------
    @pytest.mark.parametrize("sort", ["relevance", "newest", "oldest", "longest", "shortest", "severity"])
    @pytest.mark.parametrize("q", ["", "the ledger"])
    def test_pages_contain_everything_once_in_a_single_order(self, q, sort):
        whole = [hit.incident_id for hit in self.ask(q, sort=sort, size=250).hits]
        paged: list[int] = []
        request = EngineRequest(viewer=ANONYMOUS, root=parse(q).root, sort=sort, size=23)
        while True:
            answer = self.engine.search(request)
            paged += [hit.incident_id for hit in answer.hits]
            if not answer.has_more:
                break
            request = replace(request, after=(answer.hits[-1].sort_key, answer.hits[-1].incident_id))
        assert paged == whole
        assert len(set(paged)) == len(paged) == self.ask(q).total

    def test_sorting_by_time_and_length(self):
        assert self.found("wombats", sort="newest")[:3] == ["own", "short", "long"]
        assert self.found("wombats", sort="oldest")[:3] == ["long", "short", "own"]
        assert self.found("wombats", sort="longest")[:3] == ["long", "own", "short"]
        assert self.found("wombats", sort="shortest")[:3] == ["short", "own", "long"]
        assert self.found("wombats", sort="severity")[0] == "long"

    # --- Similar incidents ---------------------------------------------------------------------------
    def like(self, *patterns: str, size: int = 5, **texts: str) -> list[Hit]:
        """What an anonymous viewer finds similar to an incident with these patterns and texts, which is not indexed."""
        document = build_many([self.all.named["cat"]])[self.all.named["cat"]]
        asked = replace(document, texts=texts, facets={**document.facets, "pattern": list(patterns)})
        return self.engine.like(ANONYMOUS, asked, size)

    def test_the_incident_that_shares_most_patterns_is_first_however_many_share_words(self):
        words = {"title": "The phantom ledger", "summary": "Wombats were slow to retry redis, and a cat to cache."}
        assert len(self.like(**words, size=100)) > 5
        best = self.like("backup-failure", "data-loss", "slow-recovery", "split-brain", **words)
        assert self.all.names([best[0].incident_id]) == ["numbers"]
        # Each of the three is shown by this one incident.
        total = max(self.ask().total, 100)
        rarity = inverse_frequency(total, 1) / inverse_frequency(total, 0)
        assert best[0].score == pytest.approx(3 * 0.4 * rarity, rel=0.01)

    def test_words_in_every_fourth_incident_make_no_incidents_similar(self):
        assert self.ask("ledger").total * 4 > self.ask().total
        assert self.like(title="The ledger froze", summary="The router crashed under load, because a switch was.") == []

    def test_a_few_words_score_little_and_all_together_at_most_one(self):
        for title in ("Redis overloaded", "Redis"):
            found = self.like(title=title)
            assert set(self.all.names([hit.incident_id for hit in found])) == {"title", "summary", "lesson", "message"}
            assert all(hit.score < LEAST for hit in found)
        text = "Pods in kube-system saw ECONNRESET from 10.0.0.1:6379 in net.js:123, and errors in us-east-1."
        more = "The aardvarks, wombats, quokkas, platypuses, bandicoots and rhinos had to be fed late."
        (alone, *_), (among, *_) = self.like(summary=text), self.like(summary=f"{text} {more}")
        assert self.all.names([alone.incident_id, among.incident_id]) == ["region", "region"]
        assert LEAST < among.score < alone.score <= 1

    # --- Highlights ----------------------------------------------------------------------------------
    def test_matches_are_marked_by_word_in_the_section_that_holds_them(self):
        hit = next(h for h in self.ask("retry").hits if h.incident_id == self.all.named["summary"])
        fragments = dict(hit.fragments)
        assert f"{START}retrying{END}" in fragments["summary"]
        assert "title" not in fragments

    def test_a_record_is_highlighted_in_its_own_section(self):
        hit = next(h for h in self.ask("redis").hits if h.incident_id == self.all.named["lesson"])
        assert f"{START}redis{END}" in dict(hit.fragments)["lessons"]

    def test_a_disagreement_of_sources_is_highlighted_with_the_sources(self):
        (hit,) = self.ask("thylacine").hits
        assert f"{START}thylacine{END}" in dict(hit.fragments)["sources"]

    def test_words_are_marked_even_if_there_is_a_phrase(self):
        assert all(START in text for text in self.marked('redis OR "failed over"'))
        assert all(START in text for text in self.marked("redis OR us-east-1"))
        (text,) = self.marked('"failed over" late')
        assert f"{START}late{END}" in text

    def test_fragments_are_the_original_text_and_nothing_else(self):
        hit = next(h for h in self.ask("wombats").hits if h.incident_id == self.all.named["markup"])
        text = dict(hit.fragments)["summary"]
        assert text.replace(START, "").replace(END, "") == 'A <b>bold</b> claim about wombats & "quotes".'

    def test_fragments_are_plain_text_unless_only_the_target_of_a_link_matches(self):
        assert self.marked("bold rhinos") == [f"{START}Rhino{END} rules Rules Two {START}bold rhinos{END}. A link."]
        (text,) = self.marked("hippos")
        assert f"example.org/{START}hippos{END}" in text

    def test_hits_carry_what_a_result_shows(self):
        hit = next(h for h in self.ask("wombats").hits if h.incident_id == self.all.named["long"])
        assert hit.shown["title"] == "Long wombats"
        assert hit.shown["duration_seconds"] == timedelta(hours=40).total_seconds()
        assert hit.shown["organization"] == "Initech"


class WritingContract:
    """Subclasses provide `engine`, which the tests write to, filled with the corpus's incident "cat"."""

    @pytest.fixture(autouse=True)
    def _setup(self, engine: Engine, corpus: Corpus) -> None:
        self.engine, self.pk = engine, corpus.named["cat"]

    def total(self, q: str) -> int:
        self.refresh()
        return self.engine.search(EngineRequest(viewer=ANONYMOUS, root=parse(q).root)).total

    def refresh(self) -> None:
        """Make writes visible to the next search, for engines that delay them."""

    def test_a_match_in_a_teams_own_section_is_shown_under_its_name(self):
        document = build_many([self.pk])[self.pk]
        texts = {"weather": "Fine.", "runbook_used": "The quagga runbook.", "other": "Rain."}
        self.engine.index([replace(document, texts={**document.texts, **texts})])
        self.refresh()
        for q, section in (("quagga", "runbook_used"), ("rain", "other")):
            (hit,) = self.engine.search(EngineRequest(viewer=ANONYMOUS, root=parse(q).root)).hits
            assert dict(hit.fragments).keys() == {section}

    def test_an_older_document_never_overwrites_a_newer_one(self):
        document = build_many([self.pk])[self.pk]
        newer = replace(
            document, index_version=document.index_version + 5, texts={**document.texts, "title": "A zebra"}
        )
        assert self.engine.index([newer]) == {}
        assert self.engine.index([document]) == {}
        assert self.total("zebra") == 1
        assert self.engine.versions()[self.pk] == document.index_version + 5

    def test_a_document_can_be_written_again(self):
        document = build_many([self.pk])[self.pk]
        self.engine.index([document])
        self.engine.index([document])
        assert self.total("keyboard") == 1

    def test_a_removed_incident_is_not_found(self):
        assert self.total("keyboard") == 1
        self.engine.remove({self.pk: 10**6})
        assert self.total("keyboard") == 0
        assert self.pk not in self.engine.versions()

    def test_a_late_document_does_not_bring_a_removed_incident_back(self):
        document = build_many([self.pk])[self.pk]
        Incident.objects.filter(pk=self.pk).update(published_revision=None)
        Incident.objects.filter(pk=self.pk).delete()
        self.engine.remove({self.pk: 10**6})
        self.engine.index([document])
        assert self.total("keyboard") == 0


class TestDatabaseEngine(EngineContract):
    """SQLite in the embedded run, PostgreSQL in the full one."""

    @pytest.fixture
    def engine(self, corpus: Corpus, db: None) -> Engine:
        return DatabaseEngine()


class TestWritingToTheDatabaseEngine(WritingContract):
    @pytest.fixture
    def engine(self, corpus: Corpus, db: None) -> Engine:
        return DatabaseEngine()


@pytest.fixture(scope="class")
def generation(corpus: Corpus) -> Iterator[None]:
    with own_generations():
        generations.swap(generations.create())
        ElasticEngine().index(list(build_many(corpus.everything).values()))
        client().indices.refresh(index=generations.read_alias())
        yield


@pytest.mark.postgres_only
class TestElasticsearch(EngineContract):
    @pytest.fixture
    def engine(self, corpus: Corpus, generation: None, db: None) -> Engine:
        return ElasticEngine()

    def test_similar_incidents_score_the_same_as_in_the_database(self):
        for name, pk in self.all.named.items():
            document = build_many([pk])[pk]
            for viewer in self.all.viewers.values():
                mine, other = (
                    {hit.incident_id: hit.score for hit in engine.like(viewer, document, 250)}
                    for engine in (self.engine, DatabaseEngine())
                )
                assert mine == pytest.approx(other, rel=1e-4), name

    @pytest.mark.parametrize(
        "text",
        [
            "net.js:123 foo_bar us-east-1 x\u00b2 \u00bd \u2460 Stra\u00dfe",
            "customer's we'll don't DON\u2019T customers' O'Reilly's rock'n'roll",
            "大規模障害 v2接続 Bandicootクラスタ ﾊﾞｸﾞ \U00020000b",
            "cafe\u0301 \ufb01le Ｆｕｌｌ wal\u00adrus nar\u200bwhal \u202eibex\ufeff",
            "ฐานล่ม 서버 हिन्दी مُحَمَّد ёлка Київ Αθήνα Việt",
            "\U0001f525 burned",
            "x" * 50_000 + " " + "e\u0301" * 20_000,
            " ".join([*FORMS, *FORMS.values(), *APART_IN_SMALL_LETTERS]),
            "Utilisation authorised recognised re-initialising precise otherwise revised exercises surprisingly",
        ],
    )
    def test_words_and_offsets_are_those_of_the_shared_analysis(self, text):
        found = client().indices.analyze(index=generations.read_alias(), analyzer="words", text=text)["tokens"]
        assert [(one["token"], one["start_offset"], one["end_offset"]) for one in found] == [
            (stem, units(text[:start]), units(text[:end])) for stem, start, end, _ in tokenize(text)
        ]


def units(text: str) -> int:
    """The length in UTF-16 units, which is what Java counts."""
    return len(text.encode("utf-16-le")) // 2


@pytest.mark.postgres_only
class TestWritingToElasticsearch(WritingContract):
    @pytest.fixture
    def engine(self, corpus: Corpus, db: None) -> Iterator[Engine]:
        with own_generations():
            generations.swap(generations.create())
            engine = ElasticEngine()
            engine.index(list(build_many([corpus.named["cat"]]).values()))
            yield engine

    def refresh(self) -> None:
        client().indices.refresh(index=generations.read_alias())
