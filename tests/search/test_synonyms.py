"""Synonyms: what a query finds in addition to its own words."""

from __future__ import annotations

import pytest

from kb.search import relay
from kb.search.analysis import is_stop, stems
from kb.search.nodes import And, Or, Phrase, Term, leaves
from kb.search.query import parse
from kb.search.service import SearchRequest, search
from kb.search.synonyms import SPELLINGS, SYNONYMS, WEIGHT, expanded


def held(text: str) -> Term | Phrase:
    words = tuple(stems(text))
    return Phrase(words) if len(words) > 1 else Term(words[0])


@pytest.mark.parametrize("line", [*SPELLINGS, *SYNONYMS])
def test_every_spelling_and_synonym_finds_all_others_of_its_set(line):
    members = [member.strip() for member in line.split(",")]
    for member in members:
        found = set(leaves(expanded(parse(member).root)))
        assert {held(other) for other in members if other != member} <= found, member


def test_another_spelling_counts_as_much_as_the_word_and_a_synonym_less():
    found = expanded(parse("rollback").root)
    assert {leaf: leaf.weight for leaf in leaves(found)} == {
        Term("rollback"): 1,
        Phrase(("roll", "back")): 1,
        Term("revert"): WEIGHT,
    }


def test_a_synonym_is_found_in_all_its_spellings():
    assert {Term("rollback"), Phrase(("roll", "back"))} <= set(leaves(expanded(parse("revert").root)))


@pytest.mark.parametrize(
    ("compound", "words"),
    [("fail-over", {"failover"}), ("re-deploy", {"redeploy"}), ("data-center", {"datacenter", "dc"}),
     ("out-of-memory", {"oom", "oomkilled"}), ("HTTP/3", {"http3"}), ("as-7007", {"as7007"}),
     ("\u00fcber-load", {"uberload"}), ("32-bit", {"32bit"}),
     ("2,147,483,647", {"2147483647"}), ("1,2", set()), ("us-east-1", set()), ("net.js", set()),
     ('"fail-over"', set())],
)  # fmt: skip
def test_a_compound_is_found_as_one_word_and_by_its_synonyms_unless_it_is_quoted(compound, words):
    found = set(leaves(expanded(parse(compound).root)))
    assert {leaf.stem for leaf in found if isinstance(leaf, Term)} == {stem for word in words for stem in stems(word)}


@pytest.mark.parametrize(
    ("word", "apart"),
    [("65536", "65,536"), ("2147483647", "2,147,483,647"), ("1100", "1,100"), ("http3", "HTTP/3"),
     ("AS7007", "AS 7007"), ("16bit", "16-bit"), ("Office365", "Office 365")],
)  # fmt: skip
def test_a_number_is_found_with_its_thousands_apart_and_apart_from_letters(word, apart):
    root = parse(word).root
    assert expanded(root) == Or((root, held(apart)))
    assert expanded(parse(f'"{word}"').root) == parse(f'"{word}"').root


@pytest.mark.parametrize("word", ["100", "0123", "1234567890123", "us1a", "\u0661\u0662\u0663\u0664\u0665"])
def test_other_words_with_digits_are_not_taken_apart(word):
    root = parse(word).root
    assert expanded(root) == root


def test_no_single_word_of_several_stands_for_all_of_them():
    """Stop words are no part of a query, so `log in` would be `log`."""
    members = [member.split() for line in [*SPELLINGS, *SYNONYMS] for member in line.split(", ")]
    significant = [[word for word in words if not is_stop(word)] for words in members if len(words) > 1]
    assert min(map(len, significant)) > 1


def test_words_that_have_a_synonym_together_are_still_found_separately():
    apart = And((Term("post"), Term("mortem")))
    assert expanded(parse("post mortem").root) == Or((apart, Term("postmortem")))
    assert expanded(parse("dns post mortem late").root) == And(
        (Term("dns"), Or((apart, Term("postmortem"))), Term("late"))
    )


@pytest.mark.parametrize(
    "text", ["mortem post", "post dns mortem", '"post mortem"', "post is:public mortem", "latency"]
)
def test_words_that_are_not_adjacent_and_in_order_get_no_synonyms(text):
    root = parse(text).root
    assert expanded(root) == root


@pytest.mark.django_db
def test_several_words_find_the_one_word_that_means_the_same(cast, published):
    one = published("A datacenter lost power", visibility="public")
    many = published("The data center was hot", visibility="public")
    relay.drain()
    for q in ("data centre", "data center", "datacentre", "dc", "-(-(data centre))"):
        page = search(cast.viewer("anonymous"), SearchRequest(q=q))
        assert {result.ref for result in page.results} == {one.ref, many.ref}, q
        assert all("<mark>" in result.title_html for result in page.results)
