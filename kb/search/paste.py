"""Pasted text: how a log line or a stack trace is distinguished from a typed query, and what in it is worth searching.

Nothing in pasted text is syntax. A text counts as pasted if it has several lines, a time of day with seconds, a level
set off by punctuation (`ERROR:`, `[warn]`, `level=error`), the name of an exception with a colon, or a frame of a stack
trace, or if it begins like a JSON object. A wrong guess costs little: the words are searched either way.
"""

import re
from itertools import islice

from kb.search.analysis import Token, is_stop, tokenize
from kb.search.nodes import Node, Phrase, Term, Text, conjunction, disjunction

# A single document is unlikely to contain more words than this. Beyond it, any word matches and the score decides.
MAX_ALL = 6
# A compound of more words than this is a path or an address that other texts do not repeat.
_MAX_COMPOUND = 6

_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DATE = "|".join(
    (
        "[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[T ,_]",
        f"{_MONTH} {{1,2}}[0-9]{{1,2}} ",
        f"[0-9]{{1,2}}/{_MONTH}/[0-9]{{4}}:",
    )
)
_CLOCK = "[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?(?:Z| ?[+-][0-9]{2}:?[0-9]{2})?"
_TIME = re.compile(rf"(?<![\w.:-])(?:{_DATE})?{_CLOCK}(?![\w:])")
_LEVEL = "trace|debug|info|notice|warn|warning|error|crit|critical|fatal|panic|severe"
_SIGNS = (
    _TIME,
    re.compile(rf"(?:^|\s)(?:{_LEVEL.upper()}):|\[(?i:{_LEVEL})\]|\b(?i:level|lvl)=\"?(?i:{_LEVEL})\b"),
    re.compile(r"\b[A-Z]\w{0,80}(?:Error|Exception): "),
    re.compile(r"\bat [\w.$<>/]{1,200}\(|\bFile \"[^\"\n]{1,300}\", line [0-9]|\bgoroutine [0-9]{1,9} \["),
    re.compile(r"^\s*\{\s*\"[^\"\n]{1,80}\"\s*:"),
)
_COMPOUND = re.compile(r"""[^\s"'(){}\[\]<>,;=|]+""")
# An incident's reference, and its prefix: every incident contains that word, so by itself it says nothing.
_REF = re.compile("INC-[0-9]+", re.IGNORECASE)
_OF_EVERY_REF = "inc"


def is_paste(text: str) -> bool:
    """Whether the text looks like the output of a program, or has more than one line."""
    return "\n" in text.strip() or any(sign.search(text) for sign in _SIGNS)


def read_paste(text: str, limit: int) -> Node | None:
    """What to search for: all of the words if there are few, otherwise any of them. Times of day are left out, and so
    are words that say little, unless there are no others.

    At most `limit` words and compounds are read; a caller that asks for one more than it wants can tell if there were
    too many.
    """
    text = _TIME.sub(" ", text)
    compounds = dict.fromkeys(clause for match in _COMPOUND.finditer(text) for clause in _clauses(match[0]))
    significant = [clause for clause in compounds if isinstance(clause, Phrase) or is_significant(clause)]
    clauses = list(islice(significant or compounds, limit))
    return conjunction(clauses) if len(clauses) <= MAX_ALL else disjunction(map(loosened, clauses))


def _clauses(compound: str) -> list[Text]:
    tokens = tokenize(compound)
    if 1 < len(tokens) <= _MAX_COMPOUND:
        return [phrase(compound, tokens, quoted=False)]
    return [Term(token.stem, compound[token.start : token.end]) for token in tokens]


def phrase(text: str, tokens: list[Token], *, quoted: bool) -> Phrase:
    """Two or more consecutive tokens of a text as a phrase."""
    return Phrase(tuple(token.stem for token in tokens), text[tokens[0].start : tokens[-1].end], quoted)


def words_of(clause: Phrase) -> list[Term]:
    return [Term(token.stem, clause.text[token.start : token.end]) for token in tokenize(clause.text)]


def is_significant(term: Term) -> bool:
    """Whether a word says something by itself: it is not a stop word, a single character, a small number, or the prefix
    of every incident's reference."""
    least = 3 if term.stem.isdigit() else 2
    return len(term.text) >= least and term.stem != _OF_EVERY_REF and not is_stop(term.text)


def loosened(clause: Text) -> Node:
    """The clause as it is or, for a compound without quotes, an OR of it and of its words that say something. An
    incident's reference is kept whole."""
    if isinstance(clause, Term) or clause.quoted or _REF.fullmatch(clause.text):
        return clause
    return disjunction([clause, *filter(is_significant, words_of(clause))]) or clause
