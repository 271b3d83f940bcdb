"""What counts as a word, and that the engines keep its stem unchanged."""

import random
import re
import sqlite3
import sys
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb.search import analysis
from kb.search.analysis import MAX_STEM, fold, is_stop, spans, stems, tokenize, vocabulary

# Mostly words that people write, but occasionally any character there is.
WRITTEN = st.text(st.sampled_from("abyz'\u2019\u0301\u00e9\u00df \t-_.09\u200d\u6570\u1100\u1161\uff76\uff9e\u0130"))
ANYTHING = st.one_of(WRITTEN, st.text(), st.text(st.characters(categories=["L", "M", "N"])))


def fts5(texts: list[str]) -> list[list[str]]:
    """The tokens that SQLite finds in each text, in order."""
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE VIRTUAL TABLE t USING fts5(body, tokenize = 'unicode61 remove_diacritics 0')")
        database.execute("CREATE VIRTUAL TABLE v USING fts5vocab(t, instance)")
        database.executemany("INSERT INTO t (rowid, body) VALUES (?, ?)", enumerate(texts))
        found: list[list[str]] = [[] for _ in texts]
        for row, term in database.execute("SELECT doc, term FROM v ORDER BY doc, offset"):
            found[row].append(term)
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Retries retried RETRYING", ["retri", "retri", "retri"]),
        ("us-east-1", ["us", "east", "1"]),
        ("kube-proxy ECONNRESET", ["kube", "proxi", "econnreset"]),
        ("net.js:123", ["net", "js", "123"]),
        ("10.0.0.1:6379", ["10", "0", "0", "1", "6379"]),
        ("foo_bar", ["foo", "bar"]),
        ("don't dont DON\u2019T don\u02bct don\uff07t", ["dont"] * 5),
        ("the customer's customers' customers", ["the", "customer", "customer", "customer"]),
        ("we'll we've they'd I'm", ["we", "we", "they", "i"]),
        ("rock'n'roll b'bytes' 'quoted'", ["rock", "n", "roll", "b", "byte", "quot"]),
        ("na\u00efve nai\u0308ve", ["naiv", "naiv"]),
        ("Stra\u00dfe \u0130stanbul \ufb01le", ["strass", "istanbul", "file"]),
        ("\uff11\uff12\uff13 \uff32edis m\u00b2", ["123", "redi", "m2"]),
        ("3a7fed node1s 4xx s3's", ["3a7fed", "node1s", "4xx", "s3"]),
        ("micro\u00adservice", ["microservic"]),
        ("half a \u00bd Redis\u2122", ["half", "a", "redi"]),
        ("\u6570\u636e\u5e93 DNS\u6545\u969c", ["\u6570", "\u636e", "\u5e93", "dns", "\u6545", "\u969c"]),
        ("\u6570's 1\u6570'll", ["\u6570", "1", "\u6570"]),
        ("\u30ac \uff76\uff9e \u30ab\u3099", ["\u30ac"] * 3),
        ("\ud55c\uae00 \u1112\u1161\u11ab\u1100\u1173\u11af", ["\ud55c", "\uae00"] * 2),
        ("\u0421\u0411\u041e\u0419 \u0441\u0431\u043e\u0439", ["\u0441\u0431\u043e\u0438"] * 2),
        ("", []),
        ("\x00 -- \u2026 \U0001f525 ' \u02bc \u0301", []),
    ],
)  # fmt: skip
def test_a_text_has_these_stems(text: str, expected: list[str]) -> None:
    assert stems(text) == expected


@pytest.mark.parametrize(
    ("words", "others"),
    [("customer customers", "custom"), ("production", "product products"), ("several", "severe severely"),
     ("severity", "severe"), ("contention", "content contents"), ("important", "import imported"), ("UPS ups", "up"),
     ("NATS", "NAT"),
     ("authorization authorise", "author authored"), ("authority authorities", "authorize author"),
     ("engineers engineering", "engine engines"), ("utilization utilised", "utility utilities"),
     ("business", "busy"), ("unusable", "unused"), ("container containers", "contains"), ("majority", "major"),
     ("terminals", "terminate"), ("pasted paste", "past"), ("identity identities", "identical"), ("fired", "fire")],
)  # fmt: skip
def test_words_of_different_meanings_have_different_stems(words: str, others: str) -> None:
    assert len(set(stems(words))) == 1
    assert set(stems(words)).isdisjoint(stems(others))


def test_offsets_refer_to_the_original_text() -> None:
    text = "The  customer's na\u00efve \U0001f525 caf\u0065\u0301s don't \u6570\u636e"
    words = [text[token.start : token.end] for token in tokenize(text)]
    assert words == ["The", "customer", "na\u00efve", "cafe\u0301s", "don't", "\u6570", "\u636e"]


@given(ANYTHING)
def test_tokens_are_numbered_in_order_and_do_not_overlap(text: str) -> None:
    end = 0
    for position, token in enumerate(tokenize(text)):
        assert token.position == position
        assert end <= token.start < token.end <= len(text)
        assert 0 < len(token.stem) <= MAX_STEM
        end = token.end


@given(ANYTHING)
def test_all_ways_to_read_a_text_give_the_same_words(text: str) -> None:
    tokens = tokenize(text)
    assert stems(text) == [token.stem for token in tokens]
    assert vocabulary(text) == {token.stem for token in tokens}
    assert list(spans(text)) == [(token.stem, token.start, token.end) for token in tokens]


@given(ANYTHING)
def test_a_word_has_the_same_stem_alone_as_in_its_text(text: str) -> None:
    for token in tokenize(text):
        assert stems(text[token.start : token.end]) == [token.stem]


@given(st.text(st.characters(codec="ascii")))
def test_other_characters_do_not_change_the_stems_of_ascii_text(text: str) -> None:
    assert stems(f"{text} \u00e9") == [*stems(text), "e"]


@given(st.text(st.characters(categories=["L", "N"])))
def test_case_makes_no_difference(text: str) -> None:
    assert fold(text.casefold()) == fold(text)


@given(st.text(st.sampled_from("ae\u00e9\u00ef\u00f1\u00d6\u0107\ud55c\uae00\u30ac\u30d7\u0439 ")))
def test_composed_and_decomposed_text_have_the_same_stems(text: str) -> None:
    assert stems(unicodedata.normalize("NFD", text)) == stems(unicodedata.normalize("NFC", text))


@settings(max_examples=200, deadline=None)
@given(st.lists(ANYTHING, min_size=1, max_size=20))
def test_sqlite_finds_exactly_our_stems(texts: list[str]) -> None:
    analyzed = [stems(text) for text in texts]
    assert fts5([" ".join(text) for text in analyzed]) == analyzed


def test_sqlite_keeps_the_stem_of_every_unicode_character() -> None:
    words = [f"a{stem}b" for place in range(sys.maxunicode + 1) for stem in stems(chr(place))]
    assert len(set(words)) > 100_000
    assert fts5([" ".join(words)]) == [words]


def test_no_letter_or_digit_is_lost_except_fractions_and_bare_marks() -> None:
    characters = [chr(place) for place in range(sys.maxunicode + 1)]
    lost = [unicodedata.name(c) for c in characters if c.isalnum() and not stems(c)]
    assert [name for name in lost if not re.search("FRACTION|SIGN|MARK|ISOLATED FORM|APOSTROPHE", name)] == []


def test_the_stems_of_any_text_can_be_stored_and_sent() -> None:
    text = "a\x00b \ud800c \ue000d\ue001 \U0010fffd e\u202ef"
    assert stems(text) == ["a", "b", "c", "d", "e", "f"]


@pytest.mark.parametrize("text", ["A" * 1000, "\u00c9" * 1000, "e\u0301" * 1000, "\ufdfa" * 1000])
def test_an_overlong_word_is_one_token_with_a_bounded_stem(text: str) -> None:
    (token,) = tokenize(text)
    assert (token.start, token.end) == (0, 1000 * len(text) // 1000)
    assert len(token.stem) == MAX_STEM


def test_a_suffix_after_an_overlong_word_is_not_a_separate_word() -> None:
    for length in range(250, 262):
        for ending in ("'s", "'re", "n't"):
            assert len(stems("b" * length + ending)) == 1


def test_stop_words_are_recognized_in_their_written_form() -> None:
    assert all(map(is_stop, ["The", "was", "being", "don't", "DON\u2019T", "OR"]))
    assert not any(map(is_stop, ["down", "up", "out", "before", "after", "us", "redis", "", "-"]))


def test_stop_words_stay_in_the_index() -> None:
    assert stems("to be or not to be") == ["to", "be", "or", "not", "to", "be"]


def test_threads_can_analyze_texts_at_the_same_time() -> None:
    words = [f"{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}overloading{'s' * (n % 3)}" for n in range(5_000)]
    expected = [stems(word) for word in words]
    analysis._word_cache.clear()
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: [stems(word) for word in words], range(8)):
            assert found == expected


def test_the_cache_of_words_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "_MAX_CACHED", 100)
    analysis._word_cache.clear()
    for number in range(1_000):
        stems(f"w{number} {'x' * number} {chr(0x4E00 + number) * 50}")
    assert len(analysis._word_cache) <= 100
    assert max(map(len, analysis._word_cache)) <= MAX_STEM


MEBIBYTE = 1 << 20
RANDOM = random.Random(7)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("".join(RANDOM.choices("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ \n", k=MEBIBYTE)), id="punctuation"),
        pytest.param("a" * MEBIBYTE, id="one word"),
        pytest.param("\u00e9" * (MEBIBYTE // 2), id="one accented word"),
        pytest.param("a\u0301" * (MEBIBYTE // 3), id="a mark on every letter"),
        pytest.param("\u0301" * (MEBIBYTE // 2), id="marks"),
        pytest.param("a's" * (MEBIBYTE // 3), id="apostrophes"),
        pytest.param("a " * (MEBIBYTE // 2), id="the shortest words"),
        pytest.param("\u6570" * (MEBIBYTE // 3), id="ideographs"),
        pytest.param("\u0e01" * (MEBIBYTE // 3), id="thai"),
        pytest.param(" ".join(f"{n:x}" for n in range(MEBIBYTE // 6)), id="all words different"),
        pytest.param("".join(map(chr, RANDOM.choices(range(0xD800), k=MEBIBYTE // 3))), id="random unicode"),
    ],
)
def test_a_mebibyte_of_anything_is_tokenized_in_about_a_second(text: str) -> None:
    start = time.process_time()
    tokenize(text)
    assert time.process_time() - start < 3
