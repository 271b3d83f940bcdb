"""One analysis of text for every engine: what a word is, and the stem it is found by.

SQLite's FTS5 and PostgreSQL's tsvector are fed with these stems instead of raw text, queries are analysed
by the same functions, and highlights are drawn at the offsets given here, so that all of them agree on what
matches.

A word is a run of Unicode letters and digits, with the combining marks in it. Everything else separates
words, so `us-east-1`, `net.js:123` and `foo_bar` are consecutive words. Words are folded (compatibility
forms, case and diacritics) and stemmed by Snowball's English stemmer. A word with a digit in it is a name
and is not stemmed.

Stems consist of letters and numbers only, which FTS5's `unicode61 remove_diacritics 0` tokenizer and a
quoted tsvector lexeme both keep whole. Nothing here knows a language other than English: words of others
match as they are written.
"""

import re
import threading
import unicodedata
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple, TypeVar

import Stemmer

MAX_STEM = 64

# What is read of one endless word: enough for a full stem with three marks on every letter.
_MAX_READ = 4 * MAX_STEM
_MAX_REMEMBERED = 65_536

# Scripts written without spaces between words: every character is a word, and a run of them is found as a
# phrase. Thai, Lao, Myanmar, Khmer; hangul; kana, bopomofo, ideographs; Yi; half-width kana.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff"
    "\u2e80-\u2fff\u3005-\u3007\u3021-\u4dbf\u4e00-\u9fff\ua000-\ua4cf"
    "\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9d\U0001aff0-\U0001b16f\U00020000-\U0003ffff"
)
# A hangul syllable spelled in its parts is the same word as the syllable.
_SYLLABLE = "[\u1100-\u115f][\u1160-\u11a7][\u11a8-\u11ff]?"
# Letters to Unicode, but SQLite's older tables hold them for marks and split words at them. The half-width
# voicing marks at the end are letters too, and belong to the kana before them.
MARKS_AMONG_LETTERS = "".join(map(chr, range(0x19B0, 0x19C1))) + "\u19c8\u19c9\u1cf2\u1cf3\uff9e\uff9f"
# The letter apostrophe is read as an apostrophe; fractions would fold to a number that nobody wrote.
SEPARATORS_AMONG_LETTERS = "\u02bc\u00bc-\u00be\u2150-\u215f\u2189"
# Invisible characters inside words: soft hyphen, joiners, byte order mark.
INVISIBLE = "\u00ad\u200c\u200d\u2060\ufeff"
APOSTROPHES = "'\u2019\u02bc\uff07"
_VOICING_MARKS = "\u3099\u309a"
_NEVER_IN_STEMS = MARKS_AMONG_LETTERS + APOSTROPHES


def _combining_marks() -> str:
    """The combining marks of the basic plane; those beyond are rare, and would cost every word a look."""
    return "".join(mark for mark in map(chr, range(0x300, 0x10000)) if unicodedata.category(mark)[0] == "M")


# Quantifiers are possessive: no word, however long, is ever read twice.
_MARK = f"[{_combining_marks()}{INVISIBLE}{MARKS_AMONG_LETTERS}\U000e0100-\U000e01ef]"
_LETTER = f"[^\\W_{SEPARATORS_AMONG_LETTERS}{MARKS_AMONG_LETTERS}]"
_ENDING = "(?:[sStTdDmM]|[rR][eE]|[vV][eE]|[lL][lL])"
_RUN = re.compile(f"{_LETTER}++(?:{_MARK}++{_LETTER}*+)*+(?:[{APOSTROPHES}]{_ENDING}(?!{_LETTER}|{_MARK}))?")
_ASCII_RUN = re.compile(f"[0-9A-Za-z]++(?:'{_ENDING}(?![0-9A-Za-z]))?")
_HAS_UNSPACED = re.compile(f"[{UNSPACED}]")
_PARTS = re.compile(f"(?:{_SYLLABLE}|[{UNSPACED}]){_MARK}*+|[^{UNSPACED}]++")

# Words that say how a sentence is built, not what happened. Short on purpose: "down", "up", "out", "over",
# "after" and "before" tell incidents apart. Contractions are written as `fold` leaves them.
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
    """A word of a text: its stem, the code points `[start, end)` it was read from, and which word it is."""

    stem: str
    start: int
    end: int
    position: int


def fold(word: str) -> str:
    """The word without case, diacritics and compatibility forms; letters and numbers only, perhaps none."""
    if word.isascii():
        return (word if word.isalnum() else "".join(filter(str.isalnum, word))).lower()
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", word).casefold())
    # Voicing marks make another kana; every other mark is a diacritic.
    kept = "".join([c for c in decomposed if c.isalnum() or c in _VOICING_MARKS])
    composed = unicodedata.normalize("NFC", kept)
    return "".join([c for c in composed if c.isalnum() and c not in _NEVER_IN_STEMS])


Words = tuple[tuple[str, int, int], ...]
Value = TypeVar("Value")


class _Remembered(dict[str, Value]):
    """What was made of the texts seen lately.

    A dictionary is the fastest memory there is, and threads may share it. It forgets all when it is full,
    and does not keep what is long or hardly ever comes again, so that its size in bytes is bounded too.
    """

    def _keep(self, text: str, value: Value) -> Value:
        if len(text) <= MAX_STEM:
            if len(self) >= _MAX_REMEMBERED:
                self.clear()
            self[text] = value
        return value


class _Memory(_Remembered[Words]):
    """The words of every run: stem, start and end within the run."""

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
    """The one word that a part is; none if nothing of it is left by folding."""
    end = len(part)
    part = part[:_MAX_READ].rstrip(APOSTROPHES)
    # "don't" is a word, but "customer's" and "we'll" are "customer" and "we" with something added.
    for place in range(max(len(part) - 3, 0), len(part)):
        if part[place] in APOSTROPHES and part[place + 1] not in "tT":
            part, end = part[:place], place
            break
    word = fold(part)[:MAX_STEM]
    if word:
        yield _stem(word) if word.isalpha() and word.isascii() else word, 0, end


def _stem(word: str) -> str:
    stemmer: Stemmer.Stemmer | None = getattr(_local, "stemmer", None)
    if stemmer is None:
        # One for each thread: a Stemmer may not be shared. The memory in front of it may.
        stemmer = _local.stemmer = Stemmer.Stemmer("english", 0)
    return str(stemmer.stemWord(word)) or word


_memory = _Memory()


def spans(text: str) -> Iterator[tuple[str, int, int]]:
    """Stem, start and end of every word in order: `tokenize` for callers that need no `Token`."""
    for match in (_ASCII_RUN if text.isascii() else _RUN).finditer(text):
        place = match.start()
        for stem, start, end in _memory[match[0]]:
            yield stem, place + start, place + end


def tokenize(text: str) -> list[Token]:
    """The words of a text, in time linear in its length. `position` counts them from 0."""
    return [Token(stem, start, end, place) for place, (stem, start, end) in enumerate(spans(text))]


def stems(text: str) -> list[str]:
    """The stems of a text in order, stop words among them."""
    runs = (_ASCII_RUN if text.isascii() else _RUN).findall(text)
    return [stem for run in runs for stem, _, _ in _memory[run]]


class _Stems(_Remembered[tuple[str, ...]]):
    """The stems of what stands between two spaces."""

    def __missing__(self, piece: str) -> tuple[str, ...]:
        return self._keep(piece, tuple(stems(piece)))


_stems_of = _Stems()


def vocabulary(text: str) -> set[str]:
    """The distinct stems of a text; much cheaper than all of them in order."""
    # No word reaches over white space, and looking up what is between needs no step in Python.
    return set(chain.from_iterable(map(_stems_of.__getitem__, text.split())))


def is_stop(word: str) -> bool:
    """Whether a word (not a stem) is so common that a query may leave it out. The index keeps all words."""
    return fold(word) in _STOP_WORDS
