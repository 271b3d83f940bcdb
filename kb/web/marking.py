"""Draws marks around quotes, in rendered Markdown and in plain text.

A mark is a range in the source. Marks do not change how the text is rendered: each piece of rendered text is located in
the source, and the part of it that lies inside a mark is wrapped in `<mark>`. A mark that spans several pieces (bold
words, lines, blocks) becomes several elements, the first of which has the mark's name as its id.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

# The ids that marks can have. The HTML cleaner removes all others.
NAMES = tuple(f"why-{number}" for number in range(1, 41))

# How many characters of source that is not shown, such as an address, can precede a piece of text. Bounds the search.
_REACH = 4_000

# Start and end of a part within a piece of text, and the id of its mark ("" for none).
Part = tuple[int, int, str]


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """The range from `start` to `end`, in code points of the source. Marks of one text do not overlap."""

    start: int
    end: int
    name: str


def in_plain_text(text: str, marks: Iterable[Mark]) -> SafeString:
    return mark_safe(_html(text, [(mark.start, mark.end, mark.name) for mark in sorted(marks)]))  # noqa: S308


def install(parser: MarkdownIt) -> None:
    """Let the parser draw `env["marks"]`. Install before rules that insert text which is not in the source."""
    parser.core.ruler.push("marks", _mark_tokens)
    parser.add_render_rule("text", _text)
    parser.add_render_rule("code_inline", _code_inline)
    parser.add_render_rule("code_block", _code_block)
    parser.add_render_rule("fence", _fence)


# --- From the source to what is shown --------------------------------------------------------------
def _mark_tokens(state: StateCore) -> None:
    marks: Sequence[Mark] = sorted(state.env.get("marks") or ())
    if not marks:
        return
    named: set[str] = set()
    for token, positions in _located_tokens(state):
        parts = []
        for mark in marks:
            first, last = bisect_left(positions, mark.start), bisect_left(positions, mark.end)
            if first < last:
                parts.append((first, last, "" if mark.name in named else mark.name))
                named.add(mark.name)
        if parts:
            token.meta = {**token.meta, "marks": parts}


def _located_tokens(state: StateCore) -> Iterator[tuple[Token, list[int]]]:
    """Each token that shows text, with the source position of each of its characters."""
    source = state.src
    lines = [0, *accumulate(len(line) + 1 for line in source.split("\n"))]
    at, end = 0, len(source)
    for block in state.tokens:
        if block.map:
            at, end = max(at, lines[block.map[0]]), lines[min(block.map[1], len(lines) - 1)]
        for token in [block, *(block.children or ())]:
            if token.type in ("text", "code_inline", "code_block", "fence"):
                if positions := _source_positions(source, token.content, at, end):
                    yield token, positions
                    at = positions[-1] + 1
            elif token.type == "link_close" and source.startswith("](", at):
                # Skip the link's address, which is not shown.
                at = max(at, source.find(")", at, end))


def _source_positions(source: str, shown: str, at: int, end: int) -> list[int]:
    """The position of each character of `shown` between `at` and `end`; empty unless all are found in this order."""
    end = min(end, at + 8 * len(shown) + _REACH)
    found = source.find(shown, at, end)
    if shown and found >= 0:
        return list(range(found, found + len(shown)))
    # Some source between the characters is not shown as written: an escape, an entity, an indentation.
    positions = []
    for character in shown:
        found = source.find(character, at, end)
        if found < 0 and character != "\n":
            return []
        at = max(at, found + 1)
        positions.append(at - 1)
    return positions


# --- Drawn -----------------------------------------------------------------------------------------
def _html(text: str, parts: Iterable[Part]) -> str:
    pieces, at = [], 0
    for first, last, name in parts:
        identity = f' id="{name}"' if name else ""
        pieces += [escape(text[at:first]), f"<mark{identity}>", escape(text[first:last]), "</mark>"]
        at = last
    return "".join([*pieces, escape(text[at:])])


def _parts(token: Token) -> list[Part]:
    parts: list[Part] = token.meta.get("marks", [])
    return parts


def _text(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    return _html(tokens[index].content, _parts(tokens[index]))


def _code_inline(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
    return f"<code>{_html(tokens[index].content, _parts(tokens[index]))}</code>"


def _code_block(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
    return f"<pre><code>{_html(tokens[index].content, _parts(tokens[index]))}</code></pre>\n"


_fence = _code_block
