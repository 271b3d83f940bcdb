"""Splits texts into the sentences, words and stems that the rules of patterns work on.

A word is a run of letters and digits. It is stemmed by Snowball's English stemmer after three normalizations, so that a
rule need be written only once: irregular forms become their base form ("broke" becomes "break"), British spellings
become American ones, and a contracted negation becomes "not" ("didn't" becomes "not"). Short acronyms in capitals
("UPS", "DNS") are not stemmed. Rules and texts pass through the same functions, so a stem only has to be consistent.

Offsets count code points. This is not for full-text search, which must handle every script and has its own analysis.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable
from itertools import pairwise
from typing import Generic, TypeVar

import Stemmer

from kb.english import APART, base_form

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")

# The length of a sentence in characters, at most. Longer runs (logs, tables) are cut, so that "in the same sentence"
# stays meaningful and evidence readable.
LONGEST_SENTENCE = 600

STOP_WORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "been",
        "being",
        "but",
        "by",
        "can",
        "could",
        "did",
        "do",
        "does",
        "for",
        "from",
        "had",
        "has",
        "have",
        "he",
        "her",
        "his",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "may",
        "me",
        "might",
        "must",
        "my",
        "no",
        "nor",
        "not",
        "of",
        "on",
        "or",
        "our",
        "shall",
        "she",
        "should",
        "so",
        "some",
        "such",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "to",
        "too",
        "very",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "while",
        "who",
        "whose",
        "will",
        "with",
        "would",
        "you",
        "your",
    ]
)

# More words that the stemmer would merge with one of another meaning, such as "resolver" with "resolved". Search does
# not keep these apart, because it is to find a word in all its forms.
_APART = APART | {
    word + ending: word
    for word in (
        "accessible",
        "balancing",
        "caching",
        "controller",
        "exceptional",
        "generator",
        "identifier",
        "lasted",
        "lasting",
        "operator",
        "optimizer",
        "powered",
        "primaries",
        "provider",
        "resolver",
        "scheduler",
        "seconds",
        "timing",
        "underlying",
        "unexpectedly",
    )
    for ending in ("", "s", "es")
}
_ACRONYM = re.compile(r"[A-Z]{2,4}s?$")

_local = threading.local()


def stem(word: str) -> str:
    """The stem of one word as matched by `WORD`."""
    if not word.isascii():
        folded = unicodedata.normalize("NFKD", word)
        word = "".join(c for c in folded if c.isalnum() or c in "'’") or word
    head, _, ending = word.replace("’", "'").partition("'")
    lower = head.lower()
    if ending.lower() == "t" or lower == "cannot":
        return "not"
    if _ACRONYM.match(head):
        return head.removesuffix("s").lower()
    lower = base_form(lower)
    if apart := _APART.get(lower):
        return apart
    stemmer: Stemmer.Stemmer | None = getattr(_local, "stemmer", None)
    if stemmer is None:
        # One per thread: a Stemmer is not thread-safe.
        stemmer = _local.stemmer = Stemmer.Stemmer("english", 0)
    return str(stemmer.stemWord(lower)) or word


Value = TypeVar("Value")


class ByWord(dict[str, Value], Generic[Value]):
    """A memo of a function of one word.

    Looking up a known word is a single C call, which is what makes reading fast. At `LIMIT` words the whole memo is
    cleared, so that a flood of distinct words cannot fill memory.
    """

    LIMIT = 200_000

    def __init__(self, make: Callable[[str], Value]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, word: str) -> Value:
        if len(self) >= self.LIMIT:
            self.clear()
        value = self[word] = self._make(word)
        return value


# The stems of one whitespace-separated piece, joined by spaces: several in "us-east-1,", none in "--".
_PIECES: ByWord[str] = ByWord(lambda piece: " ".join(map(stem, WORD.findall(piece))))


def stems(text: str) -> list[str]:
    """The stems of a text in order, one for each match of `WORD`."""
    return " ".join(map(_PIECES.__getitem__, text.split())).split()


# Two words in a row that mean something else together are read as one: a lost data center is no lost data.
COMPOUNDS = {
    (stem(first), stem(second)): first + second
    for first, second in (
        ("data", "center"),
        ("mobile", "data"),
        ("file", "system"),
        ("long", "term"),
        ("log", "in"),
        ("primary", "key"),
    )
}


def joined(text: str) -> str:
    """The text with each compound written as one word, so that its stems are those that phrases are matched with."""
    found = COMPOUNDS.keys() & set(pairwise(stems(text)))
    for pair, one in COMPOUNDS.items():
        if pair in found:
            text = _joined(text, pair, one)
    return text


def _joined(text: str, pair: tuple[str, str], one: str) -> str:
    out: list[str] = []
    end = 0
    before: re.Match[str] | None = None
    for word in WORD.finditer(text):
        if before is not None and (_PIECES[before[0]], _PIECES[word[0]]) == pair:
            out += [text[end : before.start()], one]
            before, end = None, word.end()
        else:
            before = word
    return "".join((*out, text[end:]))


# A sentence ends at a punctuation mark that is followed by what looks like the start of another; at a blank line;
# before a list item, heading, quote, table row or fence; and after a heading. A full stop after an abbreviation does
# not end it. Each alternative begins with its own literal character, so that the search can skip other text quickly.
_END = re.compile(
    r"[.!?…](?<!\b[Ee]\.g\.)(?<!\b[Ii]\.e\.)(?<!\bvs\.)(?<!\bcf\.)(?<!\bapprox\.)(?<!\bincl\.)(?<!\bresp\.)"
    r"(?<!\b[A-Z]\.[A-Z]\.)[\"'”’)\]*_`]*\s++(?=[^a-z])"
    r"|\n(?=[ \t]*(?:\n|[|>#]|[-*+]\s|```|\d{1,3}[.)]\s))"
    r"|#(?<=^#)[^\n]*\n",
    re.MULTILINE,
)
_LEADING = re.compile(r"(?:\s|[-*+>#|]+\s|\d{1,3}[.)]\s|```\w*\n)*")


def sentences(text: str) -> list[tuple[int, int]]:
    """The (start, end) of each non-empty sentence, in order, without list markers and surrounding whitespace."""
    found: list[tuple[int, int]] = []
    start = 0
    for match in _END.finditer(text):
        end = match.end()
        _cut(text, start, end, found)
        start = end
    _cut(text, start, len(text), found)
    return found


def _cut(text: str, start: int, end: int, found: list[tuple[int, int]]) -> None:
    while start < end:
        stop = end
        if end - start > LONGEST_SENTENCE:
            stop = start + LONGEST_SENTENCE
            # Cut between words where possible.
            stop = max(text.rfind("\n", start, stop), text.rfind(" ", start, stop)) + 1 or stop
        first = start
        if not text[start].isalpha():
            first = _LEADING.match(text, start, stop).end()  # type: ignore[union-attr]
        if last := len(text[first:stop].rstrip()):
            found.append((first, first + last))
        start = stop
