"""The query language: what is syntax, what is plain text, and that no text at all breaks it."""

import random
import string
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kb.search import fields, query
from kb.search.analysis import stems
from kb.search.nodes import conjunction, disjunction, leaves, negation
from kb.search.query import (
    ANY_OF_PASTE,
    And,
    ChoiceFilter,
    Correction,
    Filter,
    Node,
    Not,
    NumberFilter,
    Or,
    Phrase,
    Query,
    Term,
    any_of_the_words,
    parse,
    relaxed,
)

# Pieces that queries are made of, in any order.
SYNTAX = st.lists(
    st.sampled_from(
        [
            *(
                "(",
                ")",
                '"',
                "-",
                " ",
                " ",
                "OR",
                "a",
                "redis",
                "the",
                "us-east-1",
                "status:draft",
                "status:500",
            ),
            *(
                "org:",
                "sevrity:1",
                "is:draft,famous",
                "started:2019..",
                "\n",
                "[error]",
                ":",
                "\u201c",
                "\ue000",
            ),
            *("\x00", "INC-7"),
        ]
    ),
    max_size=40,
).map("".join)
ANYTHING = st.one_of(SYNTAX, st.text())


def word(text: str) -> Term | Phrase:
    found = tuple(stems(text))
    return Phrase(found) if len(found) > 1 else Term(found[0])


def words(text: str) -> list[Node | None]:
    return [word(one) for one in text.split()]


def all_of(text: str) -> Node | None:
    return conjunction(words(text))


def any_of(text: str) -> Node | None:
    return disjunction(words(text))


DRAFT = ChoiceFilter("status", ("draft",))
SLACK = ChoiceFilter("org", ("slack",))


class TestSyntax:
    @pytest.mark.parametrize(
        ("text", "root"),
        [
            ("retries overload redis", all_of("retry overloaded redis")),
            ("Retries retry RETRIED", Term("retri")),
            ('"connection pool"', Phrase(("connect", "pool"))),
            ('"redis"', Term("redi")),
            ("\u201cconnection pool\u201d", Phrase(("connect", "pool"))),
            ("dns OR bgp", any_of("dns bgp")),
            ("dns bgp OR redis cache", disjunction([all_of("dns bgp"), all_of("redis cache")])),
            ("dns (bgp OR redis)", conjunction([word("dns"), any_of("bgp redis")])),
            ("(dns OR bgp) OR redis", any_of("dns bgp redis")),
            ("((dns))", Term("dns")),
            ("-dns", Not(Term("dns"))),
            ("redis -dns", conjunction([word("redis"), Not(Term("dns"))])),
            ('redis -"connection pool"', conjunction([word("redis"), Not(Phrase(("connect", "pool")))])),
            ("redis -us-east-1", conjunction([word("redis"), Not(word("us-east-1"))])),
            ("-(dns bgp)", Not(And((Term("dns"), Term("bgp"))))),
            ("-(dns OR bgp)", Not(Or((Term("dns"), Term("bgp"))))),
            ("-(-(dns))", Term("dns")),
            ("dns OR -bgp", Or((Term("dns"), Not(Term("bgp"))))),
            ("status:draft", DRAFT),
            ("STATUS:Draft", DRAFT),
            ("-status:draft", Not(DRAFT)),
            ("status:draft,published", ChoiceFilter("status", ("draft", "published"))),
            ('org:"Knight Capital",Slack', ChoiceFilter("org", ("knight capital", "slack"))),
            ("(org:Slack OR status:draft)", Or((SLACK, DRAFT))),
            ("redis org:Slack -status:draft", conjunction([word("redis"), SLACK, Not(DRAFT)])),
            ("status:draft status:draft", DRAFT),
            ("ref:INC-12,13", NumberFilter("ref", (12, 13))),
            ("foo(bar) OR baz", disjunction([all_of("foo bar"), word("baz")])),
        ],
    )
    def test_it_is_read_as_this_tree(self, text: str, root: Node) -> None:
        parsed = parse(text)
        assert parsed.root == root
        assert not parsed.is_paste

    def test_a_node_remembers_what_was_typed(self) -> None:
        root = parse('Retries "Connection  Pool" us-east-1 org:"Slack"').root
        assert isinstance(root, And)
        assert [leaf.text for leaf in leaves(root)] == [
            "Retries",
            "Connection  Pool",
            "us-east-1",
            'org:"Slack"',
        ]
        assert [leaf.quoted for leaf in leaves(root) if isinstance(leaf, Phrase)] == [True, False]

    def test_the_terms_are_the_positive_words(self) -> None:
        text = 'retries "the connection pool" us-east-1 -dns -(bgp OR redis) org:slack -(-cache)'
        assert parse(text).terms == ("retri", "connect", "pool", "us", "east", "cach")

    def test_a_reference_is_searched_as_a_whole(self) -> None:
        assert parse("INC-12").root == Phrase(("inc", "12"))


class TestStopWords:
    @pytest.mark.parametrize(
        ("text", "root"),
        [
            ("the cause of the outage", all_of("cause outage")),
            ("to be or not to be", all_of("to be or not")),
            ("the", Term("the")),
            ("don't retry and/or fail", all_of("retry fail")),
            ('"the" outage', all_of("the outage")),
            ('"end of the world"', Phrase(("end", "of", "the", "world"))),
            ("the OR dns", Term("dns")),
            ("dns -the", Term("dns")),
            ("the org:slack", conjunction([word("the"), SLACK])),
            ("down up out", all_of("down up out")),
        ],
    )
    def test_they_count_only_if_there_is_nothing_else(self, text: str, root: Node) -> None:
        assert parse(text).root == root


class TestPlainText:
    @pytest.mark.parametrize(
        ("text", "root"),
        [
            ("us-east-1", word("us-east-1")),
            ("net.js:123", word("net.js:123")),
            ("10.0.0.1:6379", word("10.0.0.1:6379")),
            ("a:b", word("a:b")),
            ("foo:bar", word("foo:bar")),
            ("C:\\x\\y", word("C:\\x\\y")),
            ("https://example.com/a?b=c", word("https://example.com/a?b=c")),
            ("status: 500", all_of("status 500")),
            ("status :draft", all_of("status draft")),
            ("--flag", word("flag")),
            ("redis - dns", all_of("redis dns")),
            ("exit code -1", all_of("exit code 1")),
            ("-0.5 -1,5", all_of("0.5 1,5")),
            ("-5xx", Not(Term("5xx"))),
            ("re*is? ^~!{}[]", word("re*is")),
            ("redis*", word("redis")),
            ("and or not", all_of("and or not")),
            ("dns or bgp", all_of("dns bgp")),
            ("dns AND bgp", all_of("dns bgp")),
            ("{redis} [dns]", all_of("redis dns")),
            ("re\x00dis \ue000dns\ue001", all_of("re dis dns")),
            ('"unbalanced quote', all_of("unbalanced quote")),
            ('"a pool" lone" quote', conjunction([Phrase(("a", "pool")), *words("lone quote")])),
            ("(unbalanced open", all_of("unbalanced open")),
            ("unbalanced close)", all_of("unbalanced close")),
            ("-(unbalanced minus", all_of("unbalanced minus")),
            ('-"unbalanced minus', all_of("unbalanced minus")),
            (")dns OR bgp(", any_of("dns bgp")),
            (")dns( OR )bgp(", all_of("dns bgp")),
            ("OR dns", Term("dns")),
            ("dns OR", Term("dns")),
            ("dns OR OR bgp", any_of("dns bgp")),
            ("(OR) dns", Term("dns")),
            ("() OR dns", Term("dns")),
            ("OR", Term("or")),
            ("dns -OR", Term("dns")),
            ('org:"unbalanced', all_of("org unbalanced")),
            ("org:", Term("org")),
            ("org:(slack)", all_of("org slack")),
            ("xorg:slack", word("xorg:slack")),
            ("x-org:slack", word("x-org:slack")),
            ('"dns"org:slack', conjunction([word("dns"), word("org:slack")])),
            ("\u6570\u636e\u5e93", word("\u6570\u636e\u5e93")),
        ],
    )
    def test_it_just_searches(self, text: str, root: Node) -> None:
        assert parse(text).root == root

    @pytest.mark.parametrize("text", ["", " ", "\t\n "])
    def test_an_empty_query_sets_no_condition_and_gives_no_notice(self, text: str) -> None:
        assert parse(text) == Query(None, text)

    @pytest.mark.parametrize("text", ["???", "()", '""', "-", "-(", "\U0001f525", "--- ---"])
    def test_a_query_without_letters_and_digits_says_so(self, text: str) -> None:
        assert parse(text).root is None
        assert parse(text).notices == ("The search has no letters or digits to look for.",)


class TestNotices:
    def test_a_value_that_a_field_cannot_take_is_searched_and_explained(self) -> None:
        parsed = parse("status:500 redis")
        assert parsed.root == conjunction([word("status:500"), word("redis")])
        assert parsed.notices == (
            "status takes draft, in_review, published or archived; status:500 was searched as text.",
        )

    def test_one_bad_value_in_a_list_makes_all_of_it_text(self) -> None:
        assert parse("severity:sev1,high").root == word("severity:sev1,high")

    def test_a_negated_bad_value_is_left_out_as_text(self) -> None:
        assert parse("redis -started:yesterday").root == conjunction([word("redis"), Not(word("started:yesterday"))])

    def test_notices_are_few_and_short_and_not_repeated(self) -> None:
        parsed = parse(" ".join(f"status:{'x' * 50}{n % 20}" for n in range(100)))
        assert len(parsed.notices) == len(set(parsed.notices)) < 10
        assert all(len(notice) < 200 for notice in parsed.notices)
        assert len(parse("status:5 status:5").notices) == 1

    def test_not_in_capitals_is_explained(self) -> None:
        assert parse("dns NOT bgp").root == all_of("dns bgp")
        assert "minus" in parse("dns NOT bgp").notices[0]
        assert parse("dns not bgp").notices == ()

    def test_an_unclosed_group_after_a_minus_is_explained(self) -> None:
        assert "no closing parenthesis" in parse("redis -(dns").notices[0]
        assert parse("redis (dns").notices == parse("redis -(dns)").notices == ()

    def test_an_or_in_small_letters_is_explained(self) -> None:
        assert "write OR in capitals" in parse("dns or bgp").notices[0]
        assert parse("dns OR bgp").notices == parse("dns for bgp").notices == ()


LOG = "2024-05-01T12:00:03.123Z ERROR net.js:123 connect ECONNREFUSED 10.0.0.1:6379 (attempt -3) -retrying"


@pytest.mark.parametrize(
    ("text", "looser"),
    [
        ("dns cache cold", "dns OR cache OR cold"),
        ('the "dns cache" net.js:12 of cold', '"dns cache" OR net.js:12 OR cold'),
        ("dns severity:1 cache cold org:a,b", "(dns OR cache OR cold) severity:1 org:a,b"),
        *((text, "") for text in ("dns cache", "dns cache -cold", "dns cache OR cold", "dns cache is:ours", "", LOG)),
    ],
)
def test_a_row_of_words_can_be_loosened(text: str, looser: str) -> None:
    assert any_of_the_words(parse(text)) == looser


@given(SYNTAX)
def test_what_is_loosened_asks_for_any_of_the_same_words(text: str) -> None:
    parsed = parse(text)
    if looser := any_of_the_words(parsed):
        assert set(leaves(parse(looser).root)) == set(leaves(parsed.root))
        assert any_of_the_words(parse(looser)) == ""


class TestCorrections:
    @pytest.mark.parametrize(
        ("text", "correction"),
        [
            ("sevrity:1 dns", Correction("sevrity:1", "severity:1", "severity:1 dns")),
            ("dns organisation:x", Correction("organisation:x", "org:x", "dns org:x")),
            ('organization:"A B"', Correction('organization:"A B"', 'org:"A B"', 'org:"A B"')),
            ("sev:1", Correction("sev:1", "severity:1", "severity:1")),
            ("(dns -statsu:draft)", Correction("statsu:draft", "status:draft", "(dns -status:draft)")),
            (
                "\u201cx y\u201d team-s:z teams:z",
                Correction("teams:z", "team:z", "\u201cx y\u201d team-s:z team:z"),
            ),
        ],
    )
    def test_a_mistyped_field_is_searched_as_text_and_a_correction_is_offered(
        self, text: str, correction: Correction
    ) -> None:
        parsed = parse(text)
        assert correction in parsed.corrections
        assert not parsed.filters
        assert parse(correction.query).filters

    @pytest.mark.parametrize(
        ("text", "found", "query"),
        [
            ("org: github dns", "org: github", "org:github dns"),
            ("dns severity:sev1, sev2", "severity:sev1, sev2", "dns severity:sev1,sev2"),
            ('-(org: "A B" , c) x', 'org: "A B" , c', '-(org:"A B",c) x'),
            ("org: \u201cA B\u201d", "org: \u201cA B\u201d", 'org:"A B"'),
        ],
    )
    def test_a_filter_with_spaces_is_offered_without_them(self, text: str, found: str, query: str) -> None:
        (correction,) = parse(text).corrections
        assert (correction.found, correction.query) == (found, query)

    @pytest.mark.parametrize(
        "text", ["sevrity: high", "severity: high", "org: ", "org:a , ", "status:draft,\nin_review", "net: x"]
    )
    def test_other_spaces_are_left_alone(self, text: str) -> None:
        assert parse(text).corrections == ()

    @pytest.mark.parametrize("text", ["sevrity:high", "a:b", "error:timeout", "http://org.example", "sevrity: 1"])
    def test_nothing_is_offered_that_would_not_be_a_filter(self, text: str) -> None:
        assert parse(text).corrections == ()

    @given(SYNTAX)
    def test_every_corrected_query_is_free_of_that_mistake(self, text: str) -> None:
        parsed = parse(text)
        for correction in parsed.corrections:
            assert set(parse(correction.suggestion).filters) <= set(parse(correction.query).filters)
            assert parsed.text.count(correction.found) > correction.query.count(correction.found)

    def test_corrections_are_few(self) -> None:
        assert len(parse(" ".join(f"sevrity:1,{n % 4 + 1}" + ",2" * n for n in range(50))).corrections) == 5


TRACE = """Traceback (most recent call last):
  File "/app/checkout/cart.py", line 42, in total
    raise TimeoutError("redis (primary) -unreachable")
TimeoutError: redis (primary) -unreachable
"""


class TestPastes:
    @pytest.mark.parametrize(
        "text",
        [
            LOG,
            TRACE,
            "redis\n-dns",
            "redis timeout\r\nredis retry",
            "May  1 12:00:03 host sshd[123]: failed -x",
            '127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 500',
            "12:00:03,123 WARN pool exhausted -x",
            "ERROR: connection -reset",
            "[error] connection -reset",
            "level=error msg=-x",
            "java.net.SocketTimeoutException: connect -timed out",
            "at com.example.Foo$Bar.run(Foo.java:12) -x",
            "goroutine 12 [running]: -x",
            '{"level": "error", "msg": "-x"}',
        ],
    )
    def test_output_of_programs_is_recognized_and_has_no_syntax(self, text: str) -> None:
        parsed = parse(text)
        assert parsed.is_paste
        assert parsed.terms
        assert not any(isinstance(node, Not) for node in _nodes(parsed.root))

    @pytest.mark.parametrize(
        "text",
        [
            *(
                "redis timeout -dns",
                "error -timeout",
                "started:2019-07-02 outage",
                "outage 12:30 -dns",
                "redis\n",
            ),
            *(
                "ERROR redis (dns OR bgp)",
                "net.js:123 -x",
                "10.0.0.1:6379",
                "TypeError undefined",
                "C:\\x [a]",
            ),
            *("2019-07-02 13:42 -waf", "sev1 at 3am {x}", "us-east-1:2 a:b:c"),
        ],
    )
    def test_typed_queries_are_not_taken_for_pastes(self, text: str) -> None:
        assert not parse(text).is_paste

    def test_any_word_of_a_long_paste_can_match(self) -> None:
        root = parse(LOG).root
        assert isinstance(root, Or)
        assert word("econnrefused") in root.children
        assert word("net.js:123") in root.children
        assert word("10.0.0.1:6379") in root.children
        assert word("6379") in root.children

    def test_all_words_of_a_short_paste_must_match(self) -> None:
        assert parse("redis timeout\npool").root == all_of("redis timeout pool")

    def test_times_and_words_that_say_little_are_left_out(self) -> None:
        terms = parse(LOG).terms
        assert not {"2024", "05", "01t12", "123z", "3"} & set(terms)
        assert parse("12:00:03 a\nthe 1").root is not None

    def test_filters_typed_before_a_paste_are_filters(self) -> None:
        parsed = parse(f'org:slack status:draft {LOG} severity:1 "')
        assert isinstance(parsed.root, And)
        assert parsed.filters == (SLACK, DRAFT)
        assert "econnrefus" in parsed.terms

    def test_fields_within_a_paste_are_text(self) -> None:
        parsed = parse(f"{LOG} service:checkout status:500")
        assert parsed.filters == ()
        assert parsed.notices == (ANY_OF_PASTE,)
        assert "checkout" in parsed.terms

    def test_it_is_said_when_any_word_of_a_paste_is_enough(self) -> None:
        few, many = parse("12:00:03 cache redis lag"), parse("12:00:03 cache redis lag retry timeout queue worker")
        assert isinstance(few.root, And)
        assert few.notices == ()
        assert isinstance(many.root, Or)
        assert many.notices == (ANY_OF_PASTE,)

    def test_a_stack_trace_is_searched_by_the_names_in_it(self) -> None:
        assert {"timeouterror", "redi", "checkout", "cart"} <= set(parse(TRACE).terms)

    def test_a_reference_in_a_paste_is_searched_as_a_whole(self) -> None:
        root = parse(f"{LOG}\nsee INC-4242").root
        assert isinstance(root, Or)
        assert word("INC-4242") in root.children
        assert not {word("inc"), word("4242")} & set(root.children)


class TestLimits:
    def test_the_first_meaningful_clauses_are_kept(self) -> None:
        parsed = parse("the " * 200 + "dns " * 200 + " ".join(f"w{n}" for n in range(500)))
        assert parsed.terms == ("dns", *(f"w{n}" for n in range(query.MAX_CLAUSES - 1)))
        assert parsed.notices == (f"Only the first {query.MAX_CLAUSES} words and phrases were searched.",)

    def test_repetitions_and_stop_words_do_not_count(self) -> None:
        text = "the dns " * 100 + " ".join(f"w{n}" for n in range(query.MAX_CLAUSES - 1))
        assert parse(text).notices == ()

    @pytest.mark.parametrize("separator", [" ", " OR ", " -", "\n", ") ("])
    def test_five_hundred_clauses_become_sixty_four(self, separator: str) -> None:
        parsed = parse(separator.join(f"w{n}" for n in range(500)))
        assert len(list(leaves(parsed.root))) == query.MAX_CLAUSES
        assert any("words and phrases" in notice for notice in parsed.notices)

    @pytest.mark.parametrize(("before", "between", "after"), [('"', " ", '"'), ("", "-", "")])
    def test_the_limit_of_words_covers_all_phrases_and_splits_none(self, before, between, after) -> None:
        length = 20
        text = " ".join(before + between.join(f"w{n}x{k}" for k in range(length)) + after for n in range(60))
        parsed = parse(text)
        phrases = list(leaves(parsed.root))
        assert {len(phrase.stems) for phrase in phrases} == {length}
        assert len(phrases) == query.MAX_WORDS // length
        assert parsed.notices == (f"Only the first {query.MAX_WORDS} words were searched, without splitting phrases.",)

    def test_values_of_filters_are_limited(self) -> None:
        for text in (
            " ".join(f"org:o{n}" for n in range(500)),
            "org:" + ",".join(f"o{n}" for n in range(500)),
        ):
            parsed = parse(text)
            assert sum(len(found.values) for found in parsed.filters) == query.MAX_VALUES
            assert parsed.notices == (f"Only the first {query.MAX_VALUES} field values were used.",)

    def test_a_long_phrase_is_cut_and_not_dropped(self) -> None:
        parsed = parse('"' + "a b " * 100 + '"')
        assert parsed.root == Phrase(("a", "b") * 16)
        assert len(parsed.notices) == 1

    def test_ten_thousand_parentheses_do_not_nest_deep(self) -> None:
        for text in (
            "(" * 5_000 + "dns" + ")" * 5_000,
            "(a OR (b " * 500 + "))" * 500,
            "-(x OR " * 1_000 + ")" * 1_000,
        ):
            parsed = parse(text)
            assert _depth(parsed.root) <= 3 * query.MAX_DEPTH
            assert any("deeper" in notice for notice in parsed.notices)

    def test_the_greatest_depth_allowed_is_kept(self) -> None:
        parsed = parse("(" * query.MAX_DEPTH + "dns" + ")" * query.MAX_DEPTH)
        assert parsed.root == Term("dns")
        assert parsed.notices == ()

    def test_an_overlong_text_is_cut_between_words_with_a_notice(self) -> None:
        parsed = parse("redis " * 5_000)
        assert parsed.root == Term("redi")
        assert len(parsed.text) <= query.MAX_TEXT
        assert parsed.notices == ("Only the first 10,000 characters were searched.",)
        assert parse("x" * 20_000).root == parse("x" * query.MAX_TEXT).root


class TestRelaxed:
    @pytest.mark.parametrize(
        ("text", "root"),
        [
            ("dns bgp", any_of("dns bgp")),
            ("dns bgp org:slack", conjunction([any_of("dns bgp"), SLACK])),
            ("dns bgp -redis", conjunction([any_of("dns bgp"), Not(Term("redi"))])),
            ("dns bgp -(redis cache)", conjunction([any_of("dns bgp"), negation(all_of("redis cache"))])),
            ('"connection pool" dns', Or((Phrase(("connect", "pool")), Term("dns")))),
            ("(dns OR bgp) redis", any_of("dns bgp redis")),
            ("dns bgp OR redis cache", any_of("dns bgp redis cache")),
            (
                "(dns bgp org:slack) OR redis",
                disjunction([conjunction([any_of("dns bgp"), SLACK]), word("redis")]),
            ),
            ("dns bgp (redis OR org:slack)", conjunction([any_of("dns bgp"), Or((Term("redi"), SLACK))])),
            ("kube-proxy", Or((word("kube-proxy"), Term("kube"), Term("proxi")))),
            ("dns 10.0.0.1:6379", disjunction([word("dns"), word("10.0.0.1:6379"), word("6379")])),
            ("see INC-4242 dns", any_of("see INC-4242 dns")),
            ("kb/INC-42", disjunction([word("kb/INC-42"), word("kb")])),
        ],
    )
    def test_any_word_can_match_and_the_rest_stays(self, text: str, root: Node) -> None:
        found = relaxed(parse(text))
        assert found is not None
        assert found.root == root

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "dns",
            '"connection pool"',
            "dns OR bgp",
            "-dns",
            "-(dns bgp)",
            "org:slack status:draft",
            "dns org:slack",
            "INC-4242",
            "inc-4242 org:slack",
            LOG,
        ],
    )
    def test_there_is_nothing_to_relax(self, text: str) -> None:
        assert relaxed(parse(text)) is None

    @given(SYNTAX)
    def test_it_keeps_every_filter_and_negation_and_changes_nothing_the_second_time(self, text: str) -> None:
        parsed = parse(text)
        found = relaxed(parsed)
        if found:
            assert set(found.filters) == set(parsed.filters)
            negated = [node for node in _nodes(parsed.root) if isinstance(node, Not)]
            assert all(node in negated for node in _nodes(found.root) if isinstance(node, Not))
            assert set(parsed.terms) >= set(found.terms)
            assert relaxed(found) is None


def _nodes(node: Node | None) -> list[Node]:
    if node is None:
        return []
    children = node.children if isinstance(node, And | Or) else (node.child,) if isinstance(node, Not) else ()
    return [node, *(found for child in children for found in _nodes(child))]


def _depth(node: Node | None) -> int:
    if isinstance(node, And | Or):
        return 1 + max(map(_depth, node.children))
    return 1 + _depth(node.child) if isinstance(node, Not) else 1


@given(ANYTHING)
@example("\ud800")
@example("a" * 9_999 + " b c")
def test_any_text_parses_into_a_tree_that_engines_can_rely_on(text: str) -> None:
    parsed = parse(text)
    for node in _nodes(parsed.root):
        if isinstance(node, And | Or):
            assert len(node.children) == len(set(node.children)) > 1
            assert not any(isinstance(child, type(node)) for child in node.children)
        elif isinstance(node, Not):
            assert not isinstance(node.child, Not)
        elif isinstance(node, Phrase):
            assert 1 < len(node.stems) <= 32
            assert all(node.stems)
        elif isinstance(node, Filter):
            assert node.values
        else:
            assert node.stem
    parsed.text.encode()
    assert not set("\x00\ue000\ue001") & set(parsed.text)
    assert set(parsed.terms) <= set(stems(parsed.text))


@given(
    st.text(st.characters(codec="ascii", categories=["L", "Nd"]), min_size=1),
    st.sampled_from("()\"'[]{}:;,.!?*^~/\\"),
)
def test_punctuation_around_a_word_changes_nothing(text: str, sign: str) -> None:
    assert parse(f"{sign}{text}{sign}").terms == parse(text).terms


@given(st.lists(st.sampled_from(["dns", "bgp", "org:slack", '"a b"', "(x OR y)"]), max_size=6))
def test_space_between_conditions_does_not_matter(parts: list[str]) -> None:
    assert parse(" ".join(parts)).root == parse("  " + " \t ".join(parts) + " ").root


@given(st.lists(st.sampled_from(["dns", "-bgp", "org:slack", "-status:draft", '"a b"']), min_size=1, max_size=6))
def test_conditions_mean_the_same_inside_a_group(parts: list[str]) -> None:
    text = " ".join(parts)
    assert parse(f"({text})").root == parse(text).root
    assert parse(f"-(-({text}))").root == parse(text).root
    assert parse(f"({text}) OR ({text})").root == parse(text).root


RANDOM = random.Random(3)


@pytest.mark.parametrize(
    "unit",
    [
        *(
            '"',
            "-",
            "- ",
            "(",
            ")",
            "()",
            "-(",
            "(a ",
            "-(b OR ",
            "a:",
            "abc:b ",
            "status:500 ",
            "org:a,b ",
            "a,",
        ),
        *(
            'org:"',
            "a ",
            "OR ",
            "ab OR ",
            '"x y" ',
            "a.",
            "\u6570",
            "a\u0301",
            "\n",
            "a\n",
            "1",
            "12:34:5",
            "at a",
        ),
        *(
            'File "',
            "AError ",
            '{"a":1,',
            "2024-01-01 ",
            "[",
            "-1",
            "org:a,,",
            "\ud800",
            "\U0001f525",
            "'s",
            "\\",
        ),
        "".join(RANDOM.choices(string.printable, k=10_000)),
        "".join(RANDOM.choices('" -():abORstatus,', k=10_000)),
        " ".join(f"{n:x}ity:1" for n in range(3_000, 4_200)),
        " ".join("".join(RANDOM.choices(string.ascii_lowercase, k=8)) + ":1" for _ in range(1_000)),
        " OR ".join(f"w{n}" for n in range(1_000)),
    ],
)
def test_ten_thousand_characters_of_anything_parse_fast(unit: str) -> None:
    text = (unit * (query.MAX_TEXT // len(unit) + 1))[: query.MAX_TEXT]
    taken = []
    for _ in range(5):
        fields.guess.cache_clear()
        start = time.process_time()
        relaxed(parse(text))
        taken.append(time.process_time() - start)
    assert min(taken) < 0.05
