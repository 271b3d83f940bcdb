"""The text analysis that all engines share: what counts as a word, and the stem it is found by.

SQLite's FTS5 and PostgreSQL's tsvector are fed these stems instead of raw text, queries are analyzed by the same
functions, and highlights are drawn at the offsets computed here, so all of them agree on what matches. Elasticsearch
analyzes text itself, by the same rules (see `kb.search.elastic.words`).

A word is a run of Unicode letters and digits, including the combining marks within it. Everything else separates
words, so `us-east-1`, `net.js:123` and `foo_bar` are consecutive words. Words are folded (compatibility forms, case
and diacritics are removed) and stemmed with Snowball's English stemmer, after irregular and British forms became their
base form. A word that contains a digit is treated as a name and is not stemmed.

Stems consist of letters and numbers only, which FTS5's `unicode61 remove_diacritics 0` tokenizer and a quoted tsvector
lexeme both keep whole. English is the only language that is stemmed: words in other languages match in their folded
form.
"""

import re
import threading
import unicodedata
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple, TypeVar

import Stemmer

from kb.english import APART_IN_SMALL_LETTERS, base_form

MAX_STEM = 64

# How much of an overlong word is read: enough for a full stem with three marks on every letter.
_MAX_READ = 4 * MAX_STEM
_MAX_CACHED = 65_536

# Scripts written without spaces between words: every character counts as a word, and a run of them is found as a
# phrase. Thai, Lao, Myanmar, Khmer; hangul; kana, bopomofo, ideographs; Yi; half-width kana.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff"
    "\u2e80-\u2fff\u3005-\u3007\u3021-\u4dbf\u4e00-\u9fff\ua000-\ua4cf"
    "\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9d\U0001aff0-\U0001b16f\U00020000-\U0003ffff"
)
# A hangul syllable that is spelled out in its parts (jamo) is the same word as the composed syllable.
_SYLLABLE = "[\u1100-\u115f][\u1160-\u11a7][\u11a8-\u11ff]?"
# Letters according to Unicode, but SQLite's older tables classify them as marks and split words at them. The
# half-width voicing marks at the end are letters too, and belong to the kana before them.
MARKS_AMONG_LETTERS = "".join(map(chr, range(0x19B0, 0x19C1))) + "\u19c8\u19c9\u1cf2\u1cf3\uff9e\uff9f"
# The letter apostrophe is read as an apostrophe. Fractions would fold to a number that is not in the text.
SEPARATORS_AMONG_LETTERS = "\u02bc\u00bc-\u00be\u2150-\u215f\u2189"
# Invisible characters that occur inside words: soft hyphen, joiners, byte order mark.
INVISIBLE = "\u00ad\u200c\u200d\u2060\ufeff"
APOSTROPHES = "'\u2019\u02bc\uff07"
_VOICING_MARKS = "\u3099\u309a"
_NEVER_IN_STEMS = MARKS_AMONG_LETTERS + APOSTROPHES


def _combining_marks() -> str:
    """The combining marks of the basic plane. Those beyond it are rare, and checking for them would slow every word."""
    return "".join(mark for mark in map(chr, range(0x300, 0x10000)) if unicodedata.category(mark)[0] == "M")


# Quantifiers are possessive, so no word is ever read twice, however long it is.
_MARK = f"[{_combining_marks()}{INVISIBLE}{MARKS_AMONG_LETTERS}\U000e0100-\U000e01ef]"
_LETTER = f"[^\\W_{SEPARATORS_AMONG_LETTERS}{MARKS_AMONG_LETTERS}]"
_ENDING = "(?:[sStTdDmM]|[rR][eE]|[vV][eE]|[lL][lL])"
_RUN = re.compile(f"{_LETTER}++(?:{_MARK}++{_LETTER}*+)*+(?:[{APOSTROPHES}]{_ENDING}(?!{_LETTER}|{_MARK}))?")
_ASCII_RUN = re.compile(f"[0-9A-Za-z]++(?:'{_ENDING}(?![0-9A-Za-z]))?")
_HAS_UNSPACED = re.compile(f"[{UNSPACED}]")
_PARTS = re.compile(f"(?:{_SYLLABLE}|[{UNSPACED}]){_MARK}*+|[^{UNSPACED}]++")

# Words that carry grammar rather than meaning. The list is short on purpose: "down", "up", "out", "over", "after" and
# "before" tell incidents apart. Contractions are spelled the way `fold` leaves them.
_STOP_WORDS = frozenset(
    _ASCII_RUN.findall(
        """
        a an and are as at be been being but by can cannot could did do does doing for from had has have
        having he her here hers him his how i if in into is it its itself just may me might must my no nor
        not of on or our ours shall she should so some such than that the their theirs them then there these
        they this those to too very was we were what when where which while who whom whose why will with
        would you your yours arent cant couldnt didnt doesnt dont hadnt hasnt havent isnt shouldnt wasnt
        werent wont wouldnt
        """
    )
)

_local = threading.local()


class Token(NamedTuple):
    """A word in a text: its stem, its code points `[start, end)`, and its position, counted in words from 0."""

    stem: str
    start: int
    end: int
    position: int


def fold(word: str) -> str:
    """The word without case, diacritics and compatibility forms: only letters and numbers, possibly none."""
    if word.isascii():
        return (word if word.isalnum() else "".join(filter(str.isalnum, word))).lower()
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", word).casefold())
    # A voicing mark makes a different kana; every other mark is a diacritic.
    kept = "".join([c for c in decomposed if c.isalnum() or c in _VOICING_MARKS])
    composed = unicodedata.normalize("NFC", kept)
    return "".join([c for c in composed if c.isalnum() and c not in _NEVER_IN_STEMS])


Words = tuple[tuple[str, int, int], ...]
Value = TypeVar("Value")


class _BoundedCache(dict[str, Value]):
    """A bounded cache of values computed from short texts.

    A plain dict is the fastest cache there is, and threads can share it. It is cleared when full, and long texts,
    which hardly ever recur, are not kept, so its size in bytes is bounded as well.
    """

    def _keep(self, text: str, value: Value) -> Value:
        if len(text) <= MAX_STEM:
            if len(self) >= _MAX_CACHED:
                self.clear()
            self[text] = value
        return value


class _WordCache(_BoundedCache[Words]):
    """The words in each run of characters: stem, start and end within the run."""

    def __missing__(self, run: str) -> Words:
        parts = [run] if run.isascii() or not _HAS_UNSPACED.search(run) else _PARTS.findall(run)
        if len(parts) > 1:
            return tuple(self._words_in(parts))
        return self._keep(run, tuple(_word(run)))

    def _words_in(self, parts: list[str]) -> Iterator[tuple[str, int, int]]:
        place = 0
        for part in parts:
            for stem, start, end in self[part]:
                yield stem, place + start, place + end
            place += len(part)


def _word(part: str) -> Iterator[tuple[str, int, int]]:
    """Yields the one word that a part is, or nothing if folding leaves nothing of it."""
    end = len(part)
    part = part[:_MAX_READ].rstrip(APOSTROPHES)
    # "don't" is one word, but "customer's" and "we'll" are "customer" and "we" with a suffix.
    for place in range(max(len(part) - 3, 0), len(part)):
        if part[place] in APOSTROPHES and part[place + 1] not in "tT":
            part, end = part[:place], place
            break
    word = fold(part)[:MAX_STEM]
    if word:
        yield _stem(word) if word.isalpha() and word.isascii() else word, 0, end


def _stem(word: str) -> str:
    base = base_form(word)
    if apart := APART_IN_SMALL_LETTERS.get(base):
        return apart
    stemmer: Stemmer.Stemmer | None = getattr(_local, "stemmer", None)
    if stemmer is None:
        # One per thread: a Stemmer is not thread-safe. The cache in front of it is.
        stemmer = _local.stemmer = Stemmer.Stemmer("english", 0)
    return str(stemmer.stemWord(base)) or word


_word_cache = _WordCache()


def spans(text: str) -> Iterator[tuple[str, int, int]]:
    """Yields the stem, start and end of every word in order: a faster `tokenize` for callers that need no `Token`."""
    for match in (_ASCII_RUN if text.isascii() else _RUN).finditer(text):
        place = match.start()
        for stem, start, end in _word_cache[match[0]]:
            yield stem, place + start, place + end


def tokenize(text: str) -> list[Token]:
    """The words of a text, in time linear in its length."""
    return [Token(stem, start, end, place) for place, (stem, start, end) in enumerate(spans(text))]


def stems(text: str) -> list[str]:
    """The stems of a text in order, including stop words."""
    runs = (_ASCII_RUN if text.isascii() else _RUN).findall(text)
    return [stem for run in runs for stem, _, _ in _word_cache[run]]


class _StemCache(_BoundedCache[tuple[str, ...]]):
    """The stems in each piece of text between white space."""

    def __missing__(self, piece: str) -> tuple[str, ...]:
        return self._keep(piece, tuple(stems(piece)))


_stem_cache = _StemCache()


def vocabulary(text: str) -> set[str]:
    """The distinct stems of a text; much cheaper than `stems`."""
    # No word spans white space, so whole pieces can be looked up, and `map` does that without a loop in Python.
    return set(chain.from_iterable(map(_stem_cache.__getitem__, text.split())))


def is_stop(word: str) -> bool:
    """Whether a word (not a stem) is so common that a query can leave it out. The index keeps all words."""
    return fold(word) in _STOP_WORDS
