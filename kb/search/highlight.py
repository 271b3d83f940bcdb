"""Highlights: the most relevant parts of a text with their matches marked, and the only way they become HTML.

Every engine marks a match with `START` before it and `END` after it, two private-use characters that `strip_marks`
removes from everything that people write. The database engine's highlights are made here, from the original text.
Those of every engine go through `to_html`; no other code makes HTML from a highlight.
"""

import html
import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise
from typing import NamedTuple

from incidents.text import MARK_END, MARK_START
from kb.search.analysis import spans, vocabulary
from kb.search.nodes import Node, Phrase, Term, leaves

START, END = MARK_START, MARK_END
ELLIPSIS = "\u2026"

# Two short fragments say less than one long one.
_MIN_FRAGMENT = 40
# A text with more matches than this consists of little else, so it hardly matters which of them are shown.
_MAX_HITS = 5_000
# The words of a phrase are marked as one if there are at most this many characters between any two of them.
_MAX_GAP = 3

_MARKS = re.compile(f"([{START}{END}])")
_SENTENCE = re.compile(r"[.!?] ")
# Applied in this order. Every quantifier is possessive or bounded, so that hostile text costs no more than any other.
_MARKDOWN = (
    # Lines that are only syntax: fences of code, underlines of headings, rules in tables.
    (re.compile(r"^ {0,3}(?:```|~~~)[^\n]*+$|^[-=|:*_ \t]{3,}+$", re.MULTILINE), ""),
    # Markers of headings, quotes and lists, which can be nested.
    (re.compile(r"^[ \t]{0,9}(?:(?:#{1,6}|[-*+>])[ \t]++){1,9}", re.MULTILINE), ""),
    # Links and images, without their targets.
    (re.compile(r'!?\[([^\[\]\n]{1,500})\]\([^()\s]{0,2000}(?: "[^"\n]{0,200}")?\)'), r"\1"),
    # Code, and emphasis around words.
    (re.compile(r"`|\*(?<![\w*]\*)\*{0,2}(?=[^\s*])|\*(?<=[^\s*]\*)\*{0,2}(?![\w*])"), ""),
)

Key = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Matcher:
    """What to mark: words with these stems anywhere, and phrases where all their stems are next to each other."""

    stems: frozenset[str]
    phrases: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def of(cls, root: Node | None) -> "Matcher":
        """All words and phrases of a query (`Query.root`) that are not negated."""
        found = list(leaves(root, positive=True))
        return cls(
            frozenset(leaf.stem for leaf in found if isinstance(leaf, Term)),
            tuple(leaf.stems for leaf in found if isinstance(leaf, Phrase)),
        )

    def may_match(self, words: set[str]) -> bool:
        """Whether a text with these stems can match: a cheap check before the exact one."""
        return not self.stems.isdisjoint(words) or any(words.issuperset(phrase) for phrase in self.phrases)


class _Hit(NamedTuple):
    start: int
    end: int
    key: Key


def strip_marks(text: str) -> str:
    """The text without the two characters that mark matches."""
    return _MARKS.sub("", text)


def to_html(marked: str) -> str:
    """The marked text as safe HTML: everything is escaped, and marks become well-formed, unnested `<mark>` elements.

    Marks are not trusted: one that is opened twice, closed without being open, or never closed is repaired.
    """
    parts: list[str] = []
    is_open = False
    for part in _MARKS.split(marked):
        if part == START:
            parts.append("" if is_open else "<mark>")
            is_open = True
        elif part == END:
            parts.append("</mark>" if is_open else "")
            is_open = False
        else:
            parts.append(html.escape(part))
    return "".join(parts) + ("</mark>" if is_open else "")


def plain(markdown: str) -> str:
    """Markdown on one line, without its most common syntax. For snippets only: the result is not safe HTML."""
    for pattern, replacement in _MARKDOWN:
        markdown = pattern.sub(replacement, markdown)
    return " ".join(markdown.split())


def mark(
    text: str, matcher: Matcher, max_chars: int = 240, max_fragments: int = 2, *, markdown: bool = True
) -> str | None:
    """The parts of a text that show the most of the distinct words matched, with marks; None if nothing matches.

    White space is shown as single spaces. At most `max_chars` characters of the text are shown in all, cut between
    words if there is a space to cut at; an ellipsis stands for what is left out. Words that are rare in the text count
    more. With `markdown`, only the text of a link is shown, unless nothing but a target matches.
    """
    text = strip_marks(text)
    if not matcher.may_match(vocabulary(text)):
        return None
    shown = plain(text) if markdown else " ".join(text.split())
    hits = _hits(shown, matcher)
    if not hits and markdown:
        shown = " ".join(text.split())
        hits = _hits(shown, matcher)
    if not hits:
        return None
    fragments = _fragments(shown, hits, max_chars, max_fragments)
    before = f"{ELLIPSIS} " if fragments[0][0] > 0 else ""
    after = f" {ELLIPSIS}" if fragments[-1][1] < len(shown) else ""
    return before + f" {ELLIPSIS} ".join(_with_marks(shown, *part, hits) for part in fragments) + after


def _hits(text: str, matcher: Matcher) -> list[_Hit]:
    """Every match, in order. The words of a phrase are one match where they are close together."""
    words = list(spans(text))
    hits = [_Hit(start, end, stem) for stem, start, end in words if stem in matcher.stems][:_MAX_HITS]
    if matcher.phrases:
        hits += islice(_phrase_hits(words, matcher.phrases), _MAX_HITS)
        hits.sort(key=lambda hit: hit.start)
    return hits


def _phrase_hits(words: Sequence[tuple[str, int, int]], phrases: Sequence[tuple[str, ...]]) -> Iterator[_Hit]:
    # Phrases are looked up in one string of all stems, which stays fast however repetitive the text is.
    row = f" {' '.join(stem for stem, _, _ in words)} "
    places = [0, *accumulate(len(stem) + 1 for stem, _, _ in words)]
    for phrase in phrases:
        wanted = f" {' '.join(phrase)} "
        found = row.find(wanted)
        while found >= 0:
            first = bisect_left(places, found)
            matched = words[first : first + len(phrase)]
            found = row.find(wanted, places[first + 1])
            gaps = pairwise(matched)
            if all(after[1] - before[2] <= _MAX_GAP for before, after in gaps):
                yield _Hit(matched[0][1], matched[-1][2], phrase)
            else:
                yield from (_Hit(start, end, phrase) for _, start, end in matched)


def _fragments(text: str, hits: list[_Hit], max_chars: int, max_fragments: int) -> list[tuple[int, int]]:
    """The one to `max_fragments` parts of the text that show the most, in order; as few as are needed for that."""
    counts = Counter(hit.key for hit in hits)
    weights = {key: _weight(key, count) for key, count in counts.items()}
    best: list[tuple[int, int]] = []
    most = 0.0
    for number in range(1, max_fragments + 1):
        # Leave room for the space between fragments that turn out to be adjacent and are shown as one.
        size = max((max_chars - number + 1) // number, 1)
        if best and size < _MIN_FRAGMENT:
            break
        windows, weight = _windows(hits, weights, size, number)
        if weight > most + 1e-9:
            best, most = [_widened(text, start, end, size) for start, end in windows], weight
    return _joined(sorted(best))


def _weight(key: Key, count: int) -> float:
    words = 1 if isinstance(key, str) else len(key)
    return words / (1 + math.log(count))


def _windows(
    hits: list[_Hit], weights: dict[Key, float], size: int, number: int
) -> tuple[list[tuple[int, int]], float]:
    """Up to `number` spans of hits, each no longer than `size`, found greedily, and the total weight of their keys."""
    windows: list[tuple[int, int]] = []
    total = 0.0
    while hits and len(windows) < number:
        span, keys = _heaviest(hits, weights, size)
        windows.append(span)
        total += sum(weights[key] for key in keys)
        hits = [hit for hit in hits if hit.key not in keys]
    return windows, total


def _heaviest(hits: list[_Hit], weights: dict[Key, float], size: int) -> tuple[tuple[int, int], set[Key]]:
    """The span whose distinct keys weigh the most, and these keys; of equals, the first with the most hits."""
    inside: Counter[Key] = Counter()
    last = 0
    weight = best_weight = 0.0
    best, best_count = (0, 0), 0
    for first, hit in enumerate(hits):
        while last < len(hits) and (last <= first or hits[last].end <= hit.start + size):
            key = hits[last].key
            weight += 0 if inside[key] else weights[key]
            inside[key] += 1
            last += 1
        count = last - first
        if weight > best_weight + 1e-9 or (weight > best_weight - 1e-9 and count > best_count):
            best, best_weight, best_count = (first, last), weight, count
        inside[hit.key] -= 1
        weight -= 0 if inside[hit.key] else weights[hit.key]
    chosen = hits[best[0] : best[1]]
    start = chosen[0].start
    return (start, min(max(hit.end for hit in chosen), start + size)), {hit.key for hit in chosen}


def _widened(text: str, start: int, end: int, size: int) -> tuple[int, int]:
    """The span extended to up to `size` characters, starting at a sentence or a word if possible."""
    room = size - (end - start)
    left = max(0, min(start - room // 3, len(text) - size))
    if left > 0:
        sentence = _SENTENCE.search(text, max(left - 2, 0), start)
        space = text.find(" ", left - 1, start)
        left = sentence.end() if sentence else space + 1 if space >= 0 else left
    right = min(len(text), left + size)
    if right < len(text):
        space = text.rfind(" ", end, right + 1)
        right = space if space >= 0 else right
    return left, right


def _joined(fragments: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The fragments in order, with those that touch joined."""
    joined: list[tuple[int, int]] = []
    for start, end in fragments:
        if joined and start <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def _with_marks(text: str, start: int, end: int, hits: list[_Hit]) -> str:
    """One part of the text, with marks around its hits. Hits that overlap or touch share one pair of marks."""
    marked: list[tuple[int, int]] = []
    for hit in hits:
        first, last = max(hit.start, start), min(hit.end, end)
        if first < last and marked and first <= marked[-1][1]:
            marked[-1] = marked[-1][0], max(last, marked[-1][1])
        elif first < last:
            marked.append((first, last))
    parts: list[str] = []
    for first, last in marked:
        parts += text[start:first], START, text[first:last], END
        start = last
    return "".join(parts) + text[start:end]
