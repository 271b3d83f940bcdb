"""Makes Elasticsearch analyze text as `kb.search.analysis` does: the same words, at the same places.

Three differences remain. Elasticsearch also folds Latin letters that are not a letter plus a mark, such as ø; its
stemmer is an earlier version; and it leaves rare compatibility forms as they are (mathematical letters, and kana with a
separate voicing mark).
"""

from __future__ import annotations

from typing import Any

from kb.english import APART_IN_SMALL_LETTERS, BRITISH_ENDING, FORMS
from kb.search.analysis import (
    APOSTROPHES,
    INVISIBLE,
    MARKS_AMONG_LETTERS,
    MAX_STEM,
    SEPARATORS_AMONG_LETTERS,
    UNSPACED,
    fold,
    stems,
)

# Java's regular expressions, in which `&&` is the intersection of two sets. Without the check for ASCII first, indexing
# takes twice as long. No group is repeated, because every repetition takes a frame on Java's stack.
_BEYOND_ASCII = "(?=[^\\x00-\\x7f])"
_MARK = f"\\p{{M}}{INVISIBLE}{MARKS_AMONG_LETTERS}"
_LETTER = f"\\p{{L}}\\p{{N}}&&[^{SEPARATORS_AMONG_LETTERS}{MARKS_AMONG_LETTERS}]"
_SPACED = f"[{_LETTER}&&[^{UNSPACED}]]"
_WORD = (
    f"(?:[0-9A-Za-z]++(?:{_BEYOND_ASCII}[{_SPACED}{_MARK}]++)?+"
    f"|{_BEYOND_ASCII}(?:{_SPACED}[{_SPACED}{_MARK}]*+|[{_LETTER}&&[{UNSPACED}]][{_MARK}]*+))"
)
_END = f"(?![{_LETTER}]|[{_MARK}])"
# "don't" is one word, but "customer's" and "we'll" are "customer" and "we" with a suffix.
_CONTRACTION = f"(?:[{APOSTROPHES}][tT]{_END})?"
_ADDED = f"(?:[{APOSTROPHES}](?:[sSdDmM]|[rR][eE]|[vV][eE]|[lL][lL]){_END})?"
# The letters with marks from Greek to Arabic, which the filter `asciifolding` does not cover.
_WITH_MARKS = [letter for letter in map(chr, range(0x370, 0x700)) if fold(letter) not in ("", letter, letter.lower())]


def _forms() -> list[str]:
    """The words that are not stemmed as they are. The filter comes before British endings become American ones."""
    apart = APART_IN_SMALL_LETTERS
    return [*FORMS, *apart, *(form.replace("iz", "is") for form in apart if "iz" in form)]


def analysis() -> dict[str, Any]:
    return {
        "char_filter": {
            "letters": {"type": "mapping", "mappings": [f"{letter}=>{fold(letter)}" for letter in _WITH_MARKS]}
        },
        "tokenizer": {"runs": {"type": "pattern", "pattern": f"({_WORD}{_CONTRACTION}){_ADDED}", "group": 1}},
        "filter": {
            "marks": {
                "type": "pattern_replace",
                "pattern": f"'|{_BEYOND_ASCII}[{_MARK}{APOSTROPHES}]",
                "replacement": "",
            },
            "short": {"type": "truncate", "length": MAX_STEM},
            "forms": {
                "type": "stemmer_override",
                "rules": [f"{form} => {stem}" for form in _forms() for stem in stems(form)],
            },
            "british": {"type": "pattern_replace", "pattern": BRITISH_ENDING, "replacement": "$1iz"},
            "stems": {"type": "stemmer", "language": "porter2"},
            # A word with a digit in it is a name and is not stemmed.
            "names": {"type": "keyword_marker", "keywords_pattern": ".*[0-9].*"},
            "edges": {
                "type": "pattern_replace",
                "pattern": "^[^\\p{L}\\p{N}]+|[^\\p{L}\\p{N}]+$",
                "replacement": "",
            },
            "not_empty": {"type": "length", "min": 2, "max": 255},
        },
        "analyzer": {
            "words": {
                "char_filter": ["letters"],
                "tokenizer": "runs",
                "filter": [
                    *("lowercase", "cjk_width", "marks", "asciifolding", "short"),
                    *("names", "forms", "british", "stems"),
                ],
            },
            "identifiers": {"tokenizer": "whitespace", "filter": ["lowercase", "edges", "not_empty"]},
        },
    }
