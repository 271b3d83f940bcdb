"""Highlights: which parts of a text are shown, what is marked in them, and that their HTML is always safe."""

import html
import random
import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kb.search.analysis import stems
from kb.search.highlight import ELLIPSIS, END, START, Matcher, mark, plain, strip_marks, to_html
from kb.search.query import parse

FILLER = "Nothing of note took place in the hours before, and nobody was paged. "

HOSTILE = st.lists(
    st.sampled_from(
        [
            *(
                "<script>",
                "</script>",
                "<mark>",
                "</mark>",
                '"><img onerror=x>',
                "&lt;",
                "&",
                "'",
                START,
                END,
            ),
            *(
                "dns",
                "retried",
                "us-east-1",
                " ",
                " ",
                "\n",
                "[a](http://b/dns)",
                "![x](y)",
                "**dns**",
                "# ",
                "`",
            ),
            *("* ", "> ", "\u6570\u636e", "a", "\u0301", "\x00", "```\n", "|---|\n", ELLIPSIS, FILLER),
        ]
    ),
    max_size=60,
).map("".join)
ANYTHING = st.one_of(HOSTILE, st.text())
QUERIES = st.sampled_from(
    ["dns", "retry dns", '"us east 1"', "us-east-1 script", "mark lt onerror", "\u6570\u636e", "a"]
)


def matcher(text: str) -> Matcher:
    return Matcher.of(parse(text).root)


def shown(text: str, query: str, max_chars: int = 240, max_fragments: int = 2) -> str | None:
    """The highlight, with brackets for its marks."""
    marked = mark(text, matcher(query), max_chars, max_fragments)
    return marked and marked.replace(START, "[").replace(END, "]")


class TestMarks:
    @pytest.mark.parametrize(
        ("text", "query", "expected"),
        [
            ("Clients retried thrice.", "retry", "Clients [retried] thrice."),
            ("The customer's caf\u00e9s", "customers cafe", "The [customer]'s [caf\u00e9s]"),
            ("us-east-1, us west 1", "us-east-1", "[us-east-1], us west 1"),
            (
                "A connection pool; pools of connections",
                '"connection pool"',
                "A [connection pool]; pools of connections",
            ),
            ("the pool of the connection", '"connection pool"', None),
            ("connection pool connection pool", '"connection pool"', "[connection pool] [connection pool]"),
            ("dns dns dns", '"dns dns"', "[dns dns dns]"),
            ("connection ------ pool", '"connection pool"', "[connection] ------ [pool]"),
            ("dns and bgp", "dns -bgp", "[dns] and bgp"),
            ("dns and bgp", "-dns", None),
            ("dns and bgp", "redis OR bgp", "dns and [bgp]"),
            ("dns and bgp", "status:draft dns", "[dns] and bgp"),
            (
                "\u6570\u636e\u5e93\u6545\u969c",
                "\u6570\u636e \u6545\u969c",
                "[\u6570\u636e]\u5e93[\u6545\u969c]",
            ),
            ("dns", "redis", None),
            ("", "dns", None),
            ("dns", "", None),
            (f"d{START}n{END}s {START}bgp", "dns", "[dns] bgp"),
        ],
    )
    def test_they_are_around_what_matches_and_nothing_else(self, text: str, query: str, expected: str | None) -> None:
        assert shown(text, query) == expected

    @given(ANYTHING, QUERIES, st.integers(1, 300), st.integers(1, 3))
    def test_every_mark_holds_only_words_of_the_query(
        self, text: str, query: str, max_chars: int, max_fragments: int
    ) -> None:
        marked = mark(text, matcher(query), 10_000, max_fragments)
        for part in re.findall(f"{START}(.*?){END}", marked or "", re.DOTALL):
            assert set(stems(part)) <= set(stems(query))

    @given(ANYTHING, QUERIES)
    def test_a_word_of_the_query_in_the_text_is_never_missed(self, text: str, query: str) -> None:
        found = matcher(query)
        if found.stems & set(stems(strip_marks(text))):
            assert START in (mark(text, found) or "")


class TestMarkdown:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("# What happened\n\nDNS *failed*.", "What happened DNS failed."),
            ("> * **DNS** failed", "DNS failed"),
            ("- a\n+ b\n1. c", "a b 1. c"),
            ("See [the runbook](https://x.example/a?b=c) now", "See the runbook now"),
            ('![a graph](graph.png "Load") of `load`', "a graph of load"),
            ("| a | b |\n|---|:-:|\n| 1 | 2 |", "| a | b | | 1 | 2 |"),
            ("```json\n{}\n```\nafter", "{} after"),
            ("Title\n=====\ntext", "Title text"),
            ("2 * 3 * 4 and a*b*c", "2 * 3 * 4 and a*b*c"),
            ("foo_bar __init__ #channel C# -1", "foo_bar __init__ #channel C# -1"),
            ("[not a link] (at all)", "[not a link] (at all)"),
            ("**re**try", "re**try"),
            ("  many \n\n\t spaces ", "many spaces"),
        ],
    )
    def test_its_syntax_is_not_shown(self, text: str, expected: str) -> None:
        assert plain(text) == expected

    @given(ANYTHING)
    def test_removing_syntax_adds_nothing(self, text: str) -> None:
        assert _is_subsequence("".join(plain(text).split()), text)

    def test_a_match_in_the_target_of_a_link_is_shown_as_written(self) -> None:
        text = "See [the runbook](https://runbook.example/dns)."
        assert shown(text, "dns") == "See [the runbook](https://runbook.example/[dns])."
        assert shown(text, "runbook dns") == "See the [runbook]."

    def test_a_title_is_shown_as_it_is(self) -> None:
        assert mark("* dns *", matcher("dns"), markdown=False) == f"* {START}dns{END} *"


class TestFragments:
    def test_the_part_with_most_different_words_is_chosen(self) -> None:
        text = f"Retries, retries. {FILLER * 9}Then retries overloaded redis. {FILLER * 9}Redis, redis."
        found = shown(text, "retry overload redis", max_fragments=1)
        assert found is not None
        assert "Then [retries] [overloaded] [redis]." in found

    def test_a_rare_word_counts_more_than_a_frequent_one(self) -> None:
        text = f"retry retry. {FILLER * 9} retry retry retry. {FILLER * 9} One overload. {FILLER * 9} retry"
        found = shown(text, "retry overload", max_fragments=1)
        assert found is not None
        assert "[overload]" in found

    def test_words_far_apart_are_shown_in_two_fragments_in_their_order(self) -> None:
        found = shown(f"Redis first. {FILLER * 9}Then dns. {FILLER * 9}", "dns redis")
        assert found is not None
        assert re.fullmatch(rf"\[Redis\] first\. .* {ELLIPSIS} .*Then \[dns\]\. .* {ELLIPSIS}", found)

    def test_one_fragment_is_enough_when_it_shows_everything(self) -> None:
        found = shown(f"{FILLER * 9}dns redis. {FILLER * 9}dns", "dns redis")
        assert found is not None
        assert found.count(ELLIPSIS) == 2
        assert found.startswith(f"{ELLIPSIS} ")
        assert found.endswith(f" {ELLIPSIS}")

    def test_a_fragment_begins_with_a_sentence_if_one_is_near(self) -> None:
        found = shown(f"{FILLER * 9}It was dns. {FILLER * 9}", "dns", max_chars=60)
        assert found is not None
        assert found.startswith(f"{ELLIPSIS} It was [dns].")

    def test_a_text_that_fits_is_shown_whole_without_an_ellipsis(self) -> None:
        assert shown(f"{FILLER}dns", "dns") == f"{FILLER}[dns]"

    def test_a_whole_phrase_counts_more_than_a_single_word(self) -> None:
        text = f"First dns. {FILLER * 9}A connection pool ran out. {FILLER * 9}"
        found = shown(text, '"connection pool" dns', max_fragments=1)
        assert found is not None
        assert "[connection pool]" in found

    def test_of_equal_parts_the_one_with_most_matches_is_chosen(self) -> None:
        found = shown(f"Dns. {FILLER * 9}From dns to dns to dns. {FILLER * 9}Dns.", "dns")
        assert found is not None
        assert "From [dns] to [dns] to [dns]." in found

    def test_two_fragments_with_a_space_between_them_are_no_longer_than_allowed(self) -> None:
        text = f"dns {'x' * 36} {'y' * 34} redis"
        marked = mark(text, matcher("dns redis"), max_chars=80)
        assert marked is not None
        assert len(strip_marks(marked).replace(ELLIPSIS, "")) <= 80

    def test_fragments_that_meet_are_shown_as_one(self) -> None:
        phrase = "supercalifragilistic configuration"
        text = f"dns {'x' * 18} {'y' * 15} {phrase} {' '.join(f'w{n}' for n in range(90))} bgp"
        found = shown(text, f'dns bgp "{phrase}"', max_chars=125, max_fragments=3)
        assert found is not None
        assert found.startswith(f"[dns] {'x' * 18} {'y' * 15} [{phrase}]")
        assert found.endswith("[bgp]")

    @given(ANYTHING, QUERIES, st.integers(1, 300), st.integers(1, 3))
    @example("x" * 500 + "a", "a", 10, 2)
    @example("\u6570\u636e" * 300, "\u6570\u636e", 50, 2)
    def test_what_is_shown_was_in_the_text_and_is_no_longer_than_allowed(
        self, text: str, query: str, max_chars: int, max_fragments: int
    ) -> None:
        text = text.replace(ELLIPSIS, "")
        marked = mark(text, matcher(query), max_chars, max_fragments)
        if marked is None:
            return
        assert marked.count(START) == marked.count(END) > 0
        parts = [part.strip() for part in strip_marks(marked).split(ELLIPSIS)]
        assert sum(map(len, parts)) <= max_chars
        assert sum(map(bool, parts)) <= max_fragments
        sources = plain(strip_marks(text)), " ".join(strip_marks(text).split())
        assert any(_are_parts_in_order(parts, source) for source in sources)

    @given(st.lists(st.sampled_from(["dns", "retries", "of", "x" * 8]), max_size=80), st.integers(12, 300))
    def test_words_are_not_cut(self, words: list[str], max_chars: int) -> None:
        marked = mark(" ".join(words), matcher("dns retry"), max_chars)
        assert set(strip_marks(marked or "").split()) <= {*words, ELLIPSIS}


class TestHtml:
    @pytest.mark.parametrize(
        ("marked", "expected"),
        [
            (f"a {START}dns{END} b", "a <mark>dns</mark> b"),
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            (f"<mark>{START}<mark>{END}", "&lt;mark&gt;<mark>&lt;mark&gt;</mark>"),
            ("\"><img onerror='x'>", "&quot;&gt;&lt;img onerror=&#x27;x&#x27;&gt;"),
            ("&lt; &amp;", "&amp;lt; &amp;amp;"),
            (f"{START}open", "<mark>open</mark>"),
            (f"{END}close{END}", "close"),
            (f"{START}a{START}b{END}c{END}", "<mark>ab</mark>c"),
            (f"{START}<{END}/mark>{START}", "<mark>&lt;</mark>/mark&gt;<mark></mark>"),
            ("", ""),
        ],
    )
    def test_everything_is_escaped_but_the_marks(self, marked: str, expected: str) -> None:
        assert to_html(marked) == expected

    @given(ANYTHING)
    def test_it_is_well_formed_whatever_it_is_made_of(self, marked: str) -> None:
        made = to_html(marked)
        assert re.fullmatch(r"(?:[^<>]|<mark>[^<>]*</mark>)*", made)
        assert re.sub("&(?:lt|gt|amp|quot|#x27);", "", made).count("&") == 0
        assert html.unescape(re.sub("</?mark>", "", made)) == html.unescape(html.escape(strip_marks(marked)))

    @given(ANYTHING, QUERIES)
    def test_a_highlight_of_hostile_text_shows_it_and_runs_nothing(self, text: str, query: str) -> None:
        marked = mark(text, matcher(query))
        if marked:
            made = to_html(marked)
            assert re.fullmatch(r"(?:[^<>]|<mark>[^<>]+</mark>)*", made)
            assert "<mark>" in made

    def test_marks_that_people_write_are_removed(self) -> None:
        assert strip_marks(f"a{END}b{START}{START}c") == "abc"
        assert strip_marks("\ue002 \uf8ff") == "\ue002 \uf8ff"


RANDOM = random.Random(5)
SECTION = 262_144


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "a ",
            "[",
            "[a](",
            "[a](b ",
            "![a",
            "*",
            "*a",
            "# ",
            "> ",
            "-",
            " ",
            "`",
            "```\n",
            "\n",
            "|",
            "a",
            "<",
        ),
        *("\u6570", '[a](b "', f"{FILLER} dns [a](b) **a** "),
        "".join(RANDOM.choices("[]()!*#>`~-_ \n|.a", k=SECTION)),
    ],
)
def test_a_section_of_the_greatest_size_is_marked_fast_whatever_is_in_it(unit: str) -> None:
    text = (unit * (SECTION // len(unit) + 1))[: SECTION - 1] + "a"
    found = matcher('"a a a a a a a b" a dns "a a" "a a a b"')
    start = time.process_time()
    mark(text, found)
    assert time.process_time() - start < 2


def _are_parts_in_order(parts: list[str], whole: str) -> bool:
    end = 0
    for part in parts:
        start = whole.find(part, end)
        if start < 0:
            return False
        end = start + len(part)
    return True


def _is_subsequence(part: str, whole: str) -> bool:
    characters = iter(whole)
    return all(character in characters for character in part)
