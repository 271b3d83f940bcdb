"""Negation: which words of a sentence are denied by cues such as "not", "without" or "was ruled out".

A cue denies the words within its reach, up to the end of its clause. A cue that a phrase contains in full does not deny
that phrase: in the phrase "not renewed", the "not" is part of the match. The phrase must contain every word of the cue:
"not the cause" still denies a phrase that contains only "cause". Expressions that look like denials but are not ("not
only", "no longer") are listed as cues without reach, because the longest cue at a position wins.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from kb.patterns.phrases import Span
from kb.patterns.tokens import WORD, stem, stems


@dataclass(frozen=True, slots=True)
class Cue:
    """An expression that denies up to `ahead` words after and `behind` words before itself.

    With `crosses`, its reach does not end at clause words such as "that" and "and".
    """

    words: tuple[str, ...]
    ahead: int = 0
    behind: int = 0
    crosses: bool = False


def _cues(texts: str, *, ahead: int = 0, behind: int = 0, crosses: bool = False) -> list[Cue]:
    return [Cue(tuple(stems(text)), ahead, behind, crosses) for text in texts.split("; ")]


CUES = (
    *_cues("not; never", ahead=6),
    *_cues("no; nobody; nothing", ahead=4),
    *_cues("none of; neither; nor", ahead=5),
    *_cues("without; instead of; rather than", ahead=6),
    *_cues("prevent; avoid; avert", ahead=4),
    *_cues("free of; free from; risk of; fear of", ahead=3),
    # What was feared or asked is not what happened.
    *_cues("check whether; ask whether; wonder whether; investigate whether; unclear whether; feared; fears; "
           "afraid; worried; concerned that; concern that", ahead=8, crosses=True),
    *_cues("would have; could have; might have; would not have; could not have; might not have", ahead=5),
    *_cues("no evidence; no sign; no indication; no suggestion; no reason to believe; is unlikely that; "
           "was unlikely that", ahead=12, crosses=True),
    *_cues("not caused by; not due to; not because of; not the result of; not a result of; not related to; "
           "unrelated to; nothing to do with; not a case of", ahead=10),
    *_cues("rule out; we excluded", ahead=6),
    *_cues("was ruled out; were ruled out; is ruled out; been ruled out; be ruled out; could be excluded; "
           "can be excluded; is unlikely; was unlikely; were unlikely; seemed unlikely", behind=8),
    # What was suspected first usually turned out to be a wrong lead.
    *_cues("first suspected; first thought; first assumed; first looked like; first it looked like; "
           "first we suspected; first we thought; first we assumed; initially suspected; initially thought; "
           "initially assumed; initially looked like; initially it looked like; initially we suspected; "
           "initially we thought; initially we assumed", ahead=6),
    *_cues("not happen; not occur; not involved; not to blame; not at fault; not the cause; not a cause; "
           "not responsible; not the problem; not the reason", behind=8),
    *_cues("no part; no role; not affected; was unaffected; were unaffected; was avoided; were avoided; was averted; "
           "were averted; was prevented; were prevented; was spared; were spared", behind=4),
    # Not denials: without reach, they keep the shorter cues inside them from matching.
    *_cues("not only; not just; not merely; not least; no longer; no sooner; no doubt; nothing but; no matter; "
           "not all; not yet clear"),
)  # fmt: skip

# Words that end the reach of every cue.
_ALWAYS_ENDS = frozenset(
    map(stem, ["but", "however", "although", "though", "until", "except", "yet", "despite", "because"])
)
_CLAUSE_ENDS = frozenset(
    map(stem, ["and", "which", "who", "that", "when", "while", "after", "before", "since", "where", "so", "then", "if"])
)
# Words too frequent to hint at a cue.
_COMMON = frozenset(map(stem, ("was", "were", "is", "be", "been", "have", "we", "it", "first")))
_PUNCTUATION = re.compile(r"[,;:](?!\d)|[()–—]|\s-\s")


def _by_words() -> dict[tuple[str, ...], Cue]:
    """Cues by their stems. Two cues with the same words are merged into one with the wider reach in each direction."""
    merged: dict[tuple[str, ...], Cue] = {}
    for cue in CUES:
        other = merged.get(cue.words, cue)
        merged[cue.words] = Cue(
            cue.words, max(cue.ahead, other.ahead), max(cue.behind, other.behind), cue.crosses or other.crosses
        )
    return merged


_BY_WORDS = _by_words()
# By first word, the lengths of the cues that begin with it, longest first.
_LENGTHS = {
    first: sorted({len(words) for words in _BY_WORDS if words[0] == first}, reverse=True)
    for first in {words[0] for words in _BY_WORDS}
}
# One word of each cue with a reach, an uncommon one if possible. A sentence without any of these denies nothing.
HINT_WORDS = frozenset(
    next((word for word in cue.words if word not in _COMMON), cue.words[0]) for cue in CUES if cue.ahead or cue.behind
)


class Denial(NamedTuple):
    """A cue and the words it denies, as half-open ranges of word positions: `cue`:`cue_end` and `low`:`high`."""

    cue: int
    cue_end: int
    low: int
    high: int


def denials(text: str, sentence: Sequence[str]) -> list[Denial]:
    """The denials in a sentence, given as stems and, for its punctuation, as text."""
    found = [(start, cue) for start, cue in _find_cues(sentence) if cue.ahead or cue.behind]
    if not found:
        return []
    breaks = _breaks(text)
    out = []
    for start, cue in found:
        end = start + len(cue.words)
        high = _reach_ahead(end, cue, sentence, breaks)
        low = _reach_back(start, cue, sentence, breaks)
        if high > end:
            out.append(Denial(start, end, end, high))
        if low < start:
            out.append(Denial(start, end, low, start))
    return out


def is_denied(placement: Sequence[Span], found: Sequence[Denial]) -> bool:
    """Whether any element of a placement is denied by a cue that the placement does not contain in full."""

    def holds(word: int) -> bool:
        return any(start <= word < end for start, end in placement)

    return any(
        any(low <= start and end <= high for start, end in placement) and not all(map(holds, range(cue, cue_end)))
        for cue, cue_end, low, high in found
    )


def _find_cues(sentence: Sequence[str]) -> list[tuple[int, Cue]]:
    """The cues in a sentence, in order and without overlaps: the earlier one wins, then the longer one."""
    out: list[tuple[int, Cue]] = []
    end = 0
    for start in [place for place, word in enumerate(sentence) if word in _LENGTHS]:
        if start < end:
            continue
        for length in _LENGTHS[sentence[start]]:
            cue = _BY_WORDS.get(tuple(sentence[start : start + length]))
            if cue is not None:
                out.append((start, cue))
                end = start + length
                break
    return out


def _breaks(text: str) -> set[int]:
    """The positions of the words that follow clause-ending punctuation."""
    parts = _PUNCTUATION.split(text)
    return set(accumulate(len(WORD.findall(part)) for part in parts[:-1]))


def _ends(word: str, cue: Cue) -> bool:
    return word in _ALWAYS_ENDS or (not cue.crosses and word in _CLAUSE_ENDS)


def _reach_ahead(place: int, cue: Cue, sentence: Sequence[str], breaks: set[int]) -> int:
    end = place
    while end < min(place + cue.ahead, len(sentence)) and end not in breaks and not _ends(sentence[end], cue):
        end += 1
    return end


def _reach_back(place: int, cue: Cue, sentence: Sequence[str], breaks: set[int]) -> int:
    start = place
    while start > max(place - cue.behind, 0) and start not in breaks and not _ends(sentence[start - 1], cue):
        start -= 1
    return start
