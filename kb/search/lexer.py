"""Splits a typed query into words, phrases, filters and syntax, and decides what only looks like syntax.

The grammar is described in `kb.search.query`, which builds a tree from these pieces. Every character is looked at a
bounded number of times.
"""

import dataclasses
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from kb.search import fields
from kb.search.analysis import Token, is_stop, tokenize
from kb.search.nodes import Node, Term
from kb.search.paste import phrase

MAX_PHRASE = 32
MAX_CORRECTIONS = 5
MAX_NOTICES = 5
MAX_UNKNOWN = 20
_MAX_SHOWN = 60

_QUOTES = dict.fromkeys(map(ord, "\u201c\u201d\u201e\u201f\uff02"), '"')
_VALUE = r'(?:"[^"]*"|[^\s",()]+)'
_VALUES = re.compile(_VALUE)
_LEXEME = re.compile(
    rf"""
      (?P<minus> (?<![^\s(]) - (?= ["(] | (?! [0-9][0-9.,:]* (?: [\s"()] | \Z ) ) [^\W_] ) )
    | (?P<field> (?<![^\s(-]) (?P<name> [A-Za-z][A-Za-z_-]{{0,19}} ) :
        (?P<values> {_VALUE} (?: , {_VALUE} )* ) )
    | (?P<quoted> "[^"]*" )
    | (?P<open> \( )
    | (?P<close> \) )
    | (?P<word> [^\s"()]+ )
    | \s+
    | "
    """,
    re.VERBOSE,
)
_WORD = re.compile(r'[^\s"()]+')
# A field with spaces where there may be none. The bounds keep every character from being read too often.
_SPACED = re.compile(
    rf"""
    (?<![^\s(-]) (?P<name> [A-Za-z][A-Za-z_-]{{0,19}} ) :
    [ ]{{0,3}} (?P<values> {_VALUE} (?: [ ]{{0,3}} , [ ]{{0,3}} {_VALUE} ){{0,9}} )
    """,
    re.VERBOSE,
)

Kind = Literal["text", "filter", "or", "open", "close"]


@dataclass(frozen=True, slots=True)
class Correction:
    """What was found in a query, the filter or word that was probably meant, and the whole query with that.

    `reason`: a sentence for the user, in plain text that must still be escaped.
    """

    found: str
    suggestion: str
    query: str
    reason: str = dataclasses.field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a query. "text" and "filter" have a node; `stop` words are left out if there are other words."""

    kind: Kind
    node: Node | None = None
    negative: bool = False
    stop: bool = False


_OPEN, _OPEN_NEGATIVE, _CLOSE = Piece("open"), Piece("open", negative=True), Piece("close")


def leading_filters(text: str) -> tuple[list[Node], str]:
    """The filters at the beginning of the text, and the rest of it."""
    found: list[Node] = []
    lexed, position = text.translate(_QUOTES), 0
    while (match := _LEXEME.match(lexed, position)) and match.lastgroup in ("field", None):
        if match.lastgroup == "field":
            field = fields.by_name(match["name"])
            node = field.read(_values(match), match[0]) if field else None
            if node is None:
                break
            found.append(node)
        position = match.end()
    return found, text[position:]


def replace_filter(text: str, found: str, replacement: str) -> str:
    """The text with a filter, given as it was read, replaced wherever it is."""
    return _replace(text, "field", lambda lexeme: replacement if lexeme == found else lexeme)


def replace_word(text: str, found: str, replacement: str) -> str:
    """The text with a word replaced wherever it is not in quotes or in a filter."""
    word = re.compile(rf"(?<!\w){re.escape(found)}(?!\w)")
    return _replace(text, "word", lambda lexeme: word.sub(replacement, lexeme))


def _replace(text: str, kind: str, change: Callable[[str], str]) -> str:
    parts: list[str] = []
    lexed, position, kept = text.translate(_QUOTES), 0, 0
    while match := _LEXEME.match(lexed, position):
        position = match.end()
        if match.lastgroup == kind and (changed := change(match[0])) != match[0]:
            parts += [text[kept : match.start()], changed]
            kept = position
    return "".join([*parts, text[kept:]])


class Lexer:
    """Reads one text, once. `corrections` and `notices` are complete when `pieces` is exhausted."""

    def __init__(self, text: str) -> None:
        self.corrections: list[Correction] = []
        self.notices: list[str] = []
        self._original = text
        self._text = text.translate(_QUOTES)
        self._tokens = deque(tokenize(self._text))
        self._read: dict[str, Piece | None] = {}
        self._unknown: set[str] = set()

    def pieces(self) -> Iterator[Piece]:
        """Yields the pieces of the text in order. Text without a letter or digit is left out."""
        position, negative = 0, False
        while match := _LEXEME.match(self._text, position):
            position, kind = match.end(), match.lastgroup
            if kind == "minus":
                negative = True
                continue
            if kind in ("field", "word"):
                self._correct_spaces(match)
            if kind == "open":
                yield _OPEN_NEGATIVE if negative else _OPEN
            elif kind == "close":
                yield _CLOSE
            elif kind == "field" and (node := self._filter(match)):
                yield Piece("filter", node, negative)
            elif kind is not None:
                # If it is not a known field, or the field takes no such value, read it again as a word.
                position = position if kind == "quoted" else _end_of_word(self._text, match.start())
                piece = self._text_piece(match.start(), position, quoted=kind == "quoted")
                if piece and negative:
                    yield replace(piece, kind="text", negative=True)
                elif piece:
                    yield piece
            negative = False

    def _text_piece(self, start: int, end: int, *, quoted: bool) -> Piece | None:
        text = self._text[start:end]
        if text == "OR":
            return Piece("or", Term("or", text), stop=True)
        if text == "or":
            self._note("The word or was left out. To find either of two words, write OR in capitals.")
        if text == "NOT":
            self._note("NOT is searched as a word. To exclude a word, put a minus sign in front of it.")
        if text not in self._read:
            self._read[text] = self._clause(self._tokens_before(start, end), quoted=quoted)
        return self._read[text]

    def _clause(self, tokens: list[Token], *, quoted: bool) -> Piece | None:
        if not tokens:
            return None
        if len(tokens) > MAX_PHRASE and quoted:
            self._note(f"Only the first {MAX_PHRASE} words of a phrase were searched.")
        words = [self._text[token.start : token.end] for token in tokens]
        node = (
            Term(tokens[0].stem, words[0], quoted)
            if len(tokens) == 1
            else phrase(self._text, tokens[:MAX_PHRASE], quoted=quoted)
        )
        return Piece("text", node, stop=not quoted and all(map(is_stop, words)))

    def _tokens_before(self, start: int, end: int) -> list[Token]:
        """The tokens of a part of the text. Parts must be requested in order, so that each token is seen once."""
        found: list[Token] = []
        while self._tokens and self._tokens[0].start < end:
            token = self._tokens.popleft()
            if token.start >= start:
                found.append(token)
        return found

    def _filter(self, match: re.Match[str]) -> Node | None:
        field, values = fields.by_name(match["name"]), _values(match)
        if field is None:
            self._correct(match, values)
            return None
        node = field.read(values, match[0])
        if node is None:
            self._note(f"{field.name} takes {field.takes}; {shown(match[0])} was searched as text.")
        return node

    def _correct(self, match: re.Match[str], values: list[str]) -> None:
        """Offer the field that was probably meant, if it takes the value."""
        self._unknown.add(match["name"])
        # So many unknown fields are not typos but some other syntax, and comparing them all would take too long.
        if len(self._unknown) > MAX_UNKNOWN or len(self.corrections) == MAX_CORRECTIONS:
            return
        field = fields.guess(match["name"])
        if field and field.read(values, match[0]):
            reason = f"There is no field {match['name']}, so {shown(match[0])} was searched as text."
            self._offer(match, f"{field.name}:{match['values']}", reason)

    def _correct_spaces(self, match: re.Match[str]) -> None:
        """Offer the filter that a field with spaces after its colon or between its values was meant to be."""
        spaced = _SPACED.match(self._text, match.start())
        if spaced is None or spaced.end() <= match.end():
            return
        field, values = fields.by_name(spaced["name"]), ",".join(_VALUES.findall(spaced["values"]))
        # A value with a colon is rather the next field.
        if field and ":" not in values and field.read(_values(spaced), spaced[0]):
            reason = f"In a filter, no space follows the colon or a comma, so {shown(spaced[0])} was not read as one."
            self._offer(spaced, f"{field.name}:{values}", reason)

    def _offer(self, match: re.Match[str], suggestion: str, reason: str) -> None:
        found = self._original[match.start() : match.end()]
        if len(self.corrections) < MAX_CORRECTIONS and all(found != one.found for one in self.corrections):
            query = self._original[: match.start()] + suggestion + self._original[match.end() :]
            self.corrections.append(Correction(found, suggestion, query, reason))

    def _note(self, notice: str) -> None:
        if notice not in self.notices and len(self.notices) < MAX_NOTICES:
            self.notices.append(notice)


def _end_of_word(text: str, start: int) -> int:
    match = _WORD.match(text, start)
    return match.end() if match else start + 1


def _values(match: re.Match[str]) -> list[str]:
    return [value.strip('"') for value in _VALUES.findall(match["values"])]


def shown(text: str) -> str:
    """A part of a query as a note can quote it."""
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}\u2026"
