"""Parses what a person typed into a tree that every engine can compile. Every text parses; nothing raises.

    words                       all of them, by stem; stop words are left out unless there is nothing else
    "quoted words"              next to each other
    us-east-1, net.js:123       a compound is a phrase of its words
    a b OR c                    either both a and b, or c; OR must be in capitals
    -word -"phrase" -field:x    without it; a number such as -1 is just a number
    (a OR b) c  -(a b)          groups
    field:value  field:a,b      see `kb.search.fields`; a comma means any of them
    field:"two words"

Anything else, and anything left open, is plain text: its letters and digits are searched and the rest is dropped. In
pasted text (see `kb.search.paste`) nothing is syntax, except for filters typed before it.
"""

import re
from dataclasses import dataclass, replace
from itertools import zip_longest

from kb.search.lexer import Correction, Lexer, Piece, leading_filters
from kb.search.nodes import (
    And,
    AnyFilter,
    ChoiceFilter,
    DateFilter,
    DateSpan,
    DurationFilter,
    Filter,
    Node,
    Not,
    NumberFilter,
    Or,
    Phrase,
    SecondSpan,
    Term,
    Text,
    conjunction,
    disjunction,
    leaves,
    negation,
    rebuild,
)
from kb.search.paste import is_paste, is_significant, loosened, read_paste, words_of

__all__ = [
    "And",
    "AnyFilter",
    "ChoiceFilter",
    "Correction",
    "DateFilter",
    "DateSpan",
    "DurationFilter",
    "Filter",
    "Node",
    "Not",
    "NumberFilter",
    "Or",
    "Phrase",
    "Query",
    "SecondSpan",
    "Term",
    "Text",
    "any_of_the_words",
    "parse",
    "relaxed",
]

MAX_TEXT = 10_000
MAX_CLAUSES = 64
# In all words and phrases. Elasticsearch looks for each in every section, and refuses queries with too many clauses.
MAX_WORDS = 256
MAX_VALUES = 100
# Of nested groups. In the worst case SQLite's parser has room for ten levels, and Elasticsearch for eight.
MAX_DEPTH = 8

ANY_OF_PASTE = "This was read as a pasted log. Incidents with any of its words are shown, best matches first."

# People do not type control, surrogate or private-use characters; two of the latter mark matches in highlights.
_UNTYPED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff\U000f0000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query. `root` is None if it sets no condition: then every visible incident matches.

    `text` is what was typed, without characters that people do not type. `terms` are the stems that matches are scored
    by, without any that are negated. `notices` are sentences for the user, in plain text that must still be escaped.
    """

    root: Node | None
    text: str = ""
    corrections: tuple[Correction, ...] = ()
    notices: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    is_paste: bool = False

    @property
    def filters(self) -> tuple[AnyFilter, ...]:
        """Every filter, including negated ones: for defaults that apply unless a field is named in the query."""
        return tuple(leaf for leaf in leaves(self.root) if isinstance(leaf, Filter))


def parse(text: str) -> Query:
    """The query that a text stands for. Accepts any string, takes time linear in its length, and never raises."""
    notices: list[str] = []
    if len(text) > MAX_TEXT:
        text = _cut(text)
        notices.append(f"Only the first {MAX_TEXT:,} characters were searched.")
    text = _UNTYPED.sub(" ", text)
    pasted = is_paste(text)
    corrections: tuple[Correction, ...] = ()
    if pasted:
        filters, rest = leading_filters(text)
        words = read_paste(rest, MAX_CLAUSES + 1)
        if isinstance(words, Or):
            notices.append(ANY_OF_PASTE)
        root = conjunction([*filters, words])
    else:
        lexer = Lexer(text)
        root = _build(_balanced(list(lexer.pieces()), notices))
        corrections, notices = tuple(lexer.corrections), [*lexer.notices, *notices]
    root = _limited(root, notices)
    if root is None and text.strip():
        notices.append("The search has no letters or digits to look for.")
    return Query(root, text, corrections, tuple(notices), _terms(root), pasted)


def relaxed(query: Query) -> Query | None:
    """The same query, matching any of its words where it required all of them; None if that changes nothing.

    Filters, negations, quoted phrases and references such as INC-12 stay as they are. Other compounds can match by any
    of their words.
    """
    root = _limited(_relaxed(query.root), []) if query.root else None
    return None if root == query.root else replace(query, root=root, terms=_terms(root))


def any_of_the_words(query: Query) -> str:
    """The text of a query for any of the words where this one is for all of them; "" unless it is a plain row of three
    or more words and phrases, with or without filters."""
    children = query.root.children if isinstance(query.root, And) and not query.is_paste else ()
    words = [child for child in children if isinstance(child, Term | Phrase)]
    filters = [child for child in children if isinstance(child, Filter)]
    if len(words) < 3 or len(words) + len(filters) < len(children):
        return ""
    either = " OR ".join(f'"{word.text}"' if word.quoted else word.text for word in words)
    looser = " ".join([f"({either})", *(one.text for one in filters)]) if filters else either
    # Next to other characters, a word can be read as something else.
    return looser if {*leaves(parse(looser).root)} == {*leaves(query.root)} else ""


def _cut(text: str) -> str:
    """The text cut to MAX_TEXT characters, between words if possible."""
    head, _, tail = text[:MAX_TEXT].rpartition(" ")
    return head if head and len(tail) < 100 else text[:MAX_TEXT]


def _balanced(pieces: list[Piece], notices: list[str]) -> list[Piece]:
    """The pieces without unbalanced or too deeply nested parentheses. An OR with nothing to join becomes a word."""
    idle: set[int] = set()
    opened: list[int] = []
    for place, piece in enumerate(pieces):
        if piece.kind == "open":
            opened.append(place)
        elif piece.kind == "close" and not opened:
            idle.add(place)
        elif piece.kind == "close":
            begin = opened.pop()
            if len(opened) >= MAX_DEPTH:
                idle |= {begin, place}
    if idle and any(pieces[place].kind == "open" for place in idle):
        notices.append(f"Parentheses nested deeper than {MAX_DEPTH} levels were ignored.")
    last_word = max((place for place, piece in enumerate(pieces) if piece.kind == "text"), default=-1)
    if any(pieces[place].negative and place < last_word for place in opened):
        notices.append("The group after the minus sign has no closing parenthesis, so nothing was excluded.")
    idle.update(opened)
    kept = [piece for place, piece in enumerate(pieces) if place not in idle]
    balanced: list[Piece] = []
    for piece, following in zip_longest(kept, kept[1:]):
        before = balanced[-1].kind if balanced else "open"
        after = following.kind if following else "close"
        joins = before not in ("open", "or") and after not in ("close", "or")
        balanced.append(piece if piece.kind != "or" or joins else replace(piece, kind="text"))
    return balanced


def _build(pieces: list[Piece]) -> Node | None:
    """The tree of balanced pieces. Open groups are kept in a list, so that nesting does not use Python's stack."""
    has_words = any(piece.kind == "text" and not piece.stop for piece in pieces)
    # For every open group: whether it is negated, and the alternatives between its ORs.
    groups: list[tuple[bool, list[list[Node | None]]]] = [(False, [[]])]
    for piece in pieces:
        negative, node = piece.negative, piece.node
        if piece.kind == "open":
            groups.append((negative, [[]]))
            continue
        if piece.kind == "or":
            groups[-1][1].append([])
            continue
        if piece.kind == "close":
            negative, alternatives = groups.pop()
            node = disjunction(map(conjunction, alternatives))
        if not (piece.stop and has_words):
            groups[-1][1][-1].append(negation(node) if negative else node)
    return disjunction(map(conjunction, groups[0][1]))


def _limited(root: Node | None, notices: list[str]) -> Node | None:
    """The tree cut down to the limits of words, phrases and values; the first ones are kept."""
    clauses = words = values = 0

    def keep(leaf: Text | AnyFilter) -> Node | None:
        nonlocal clauses, words, values
        if isinstance(leaf, Term | Phrase):
            clauses += 1
            words += len(leaf.stems) if isinstance(leaf, Phrase) else 1
            return leaf if clauses <= MAX_CLAUSES and words <= MAX_WORDS else None
        room = max(MAX_VALUES - values, 0)
        values += len(leaf.values)
        return leaf.first(room)

    root = rebuild(root, keep)
    if clauses > MAX_CLAUSES:
        notices.append(f"Only the first {MAX_CLAUSES} words and phrases were searched.")
    elif words > MAX_WORDS:
        notices.append(f"Only the first {MAX_WORDS} words were searched, without splitting phrases.")
    if values > MAX_VALUES:
        notices.append(f"Only the first {MAX_VALUES} field values were used.")
    return root


def _relaxed(node: Node) -> Node | None:
    if isinstance(node, Or):
        return disjunction(map(_relaxed, node.children))
    if isinstance(node, And):
        words = [child for child in node.children if _is_text(child)]
        others = [child for child in node.children if not _is_text(child)]
        return conjunction([disjunction(map(_relaxed, words)), *map(_relaxed, others)])
    return loosened(node) if isinstance(node, Term | Phrase) else node


def _is_text(node: Node) -> bool:
    """Whether the tree consists of words and phrases only."""
    return all(map(_is_text, node.children)) if isinstance(node, And | Or) else isinstance(node, Term | Phrase)


def _terms(root: Node | None) -> tuple[str, ...]:
    """The stems of all positive words in order. Of a phrase, only the significant words, or all if none is."""
    found: dict[str, None] = {}
    for leaf in leaves(root, positive=True):
        if isinstance(leaf, Term):
            found[leaf.stem] = None
        elif isinstance(leaf, Phrase):
            significant = [word.stem for word in words_of(leaf) if is_significant(word)]
            found.update(dict.fromkeys(significant or leaf.stems))
    return tuple(found)
