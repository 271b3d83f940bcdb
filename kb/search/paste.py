"""Pasted text: how a log line or a stack trace is told from a typed query, and what of it is worth searching.

Nothing in pasted text is syntax. A text is taken for pasted when it has several lines, a time of day with
seconds, a level set off by punctuation (`ERROR:`, `[warn]`, `level=error`), the name of an exception with a
colon, a frame of a stack trace, or when it begins as a JSON object does. A wrong guess costs little: its
words are searched either way.
"""

import re
from itertools import islice

from kb.search.analysis import Token, is_stop, tokenize
from kb.search.nodes import Node, Phrase, Term, Text, conjunction, disjunction

# More words than this are hardly all in one document; any of them will do then, and the score decides.
MAX_ALL = 6
# A compound of more words than this is a path or an address that no other text repeats.
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
# The number of an incident, and what begins it: every incident holds that word, so it says nothing of its own.
_REF = re.compile("INC-[0-9]+", re.IGNORECASE)
_OF_EVERY_REF = "inc"


def is_paste(text: str) -> bool:
    """Whether the text looks like output of a program, or like more than a line of anything."""
    return "\n" in text.strip() or any(sign.search(text) for sign in _SIGNS)


def read_paste(text: str, limit: int) -> Node | None:
    """What to search for: all of a few words, or any of more. Times are left out, and words that tell little.

    At most `limit` words and compounds are read, so that the caller can tell from more than it wants.
    """
    text = _TIME.sub(" ", text)
    compounds = dict.fromkeys(clause for match in _COMPOUND.finditer(text) for clause in _clauses(match[0]))
    telling = [clause for clause in compounds if isinstance(clause, Phrase) or tells(clause)]
    clauses = list(islice(telling or compounds, limit))
    return conjunction(clauses) if len(clauses) <= MAX_ALL else disjunction(map(loosen, clauses))


def _clauses(compound: str) -> list[Text]:
    tokens = tokenize(compound)
    if 1 < len(tokens) <= _MAX_COMPOUND:
        return [phrase(compound, tokens, quoted=False)]
    return [Term(token.stem, compound[token.start : token.end]) for token in tokens]


def phrase(text: str, tokens: list[Token], *, quoted: bool) -> Phrase:
    """The tokens, two or more, that were read from one text, as a phrase."""
    return Phrase(tuple(token.stem for token in tokens), text[tokens[0].start : tokens[-1].end], quoted)


def words_of(clause: Phrase) -> list[Term]:
    return [Term(token.stem, clause.text[token.start : token.end]) for token in tokenize(clause.text)]


def tells(term: Term) -> bool:
    """Whether a word of its own says something: no stop word, no single character, no small number, and not what every
    incident's number begins with."""
    least = 3 if term.stem.isdigit() else 2
    return len(term.text) >= least and term.stem != _OF_EVERY_REF and not is_stop(term.text)


def loosen(clause: Text) -> Node:
    """The clause, or any telling word of it when it is a compound that nobody put in quotes. An incident's number is
    meant whole."""
    if isinstance(clause, Term) or clause.quoted or _REF.fullmatch(clause.text):
        return clause
    return disjunction([clause, *filter(tells, words_of(clause))]) or clause
