"""Bounds what parsing people's Markdown takes, without losing any of the text.

The parser takes up to a hundred microseconds for a list entry of three characters, and for some texts looks at every
line again for each line. It drops what is nested too deeply. With these rules it counts instead, and once a page's
allowance is spent, it takes the rest of the text as a code block, as written. Quotes and lists that are nested too
deeply stay as written too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, blockquote, list_block
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType

Rule = Callable[[StateBlock, int, int, bool], bool]

# What all texts of one page can take: about a second. A look at a line takes one, a block three, and a short list entry
# seven in all. Characters that can be markup are counted apart, so that what is parsed has its emphasis and links too.
LINES = 50_000
MARKUP = 40_000
_BLOCK = 3
# The lines that a quote is searched through for its end, for each look at a line.
_SEARCHED = 10
# The rules that end in these chains are asked whether a line ends a paragraph and so on.
_INTERRUPTS = ["paragraph", "reference", "blockquote", "list"]
_CHARACTER = re.compile(r"[\n!#$%&*+\-:<=>@\[\\\]^_`{}~]")


@dataclass(slots=True)
class Allowance:
    """What parsing the texts of one page can still take. Counted and not timed, so that a page is always the same."""

    lines: int = LINES
    markup: int = MARKUP


def install(parser: MarkdownIt) -> MarkdownIt:
    """Let the parser spend `env["allowance"]`. Install after enabling and disabling its own rules."""
    ruler = parser.block.ruler
    ruler.before("table", "rest_as_written", _rest_as_written, {"alt": _INTERRUPTS})
    ruler.at("blockquote", _unless_too_deep(_quote, levels=1), {"alt": _INTERRUPTS})
    ruler.at("list", _unless_too_deep(list_block, levels=2), {"alt": ["paragraph", "reference", "blockquote"]})
    if "inline" in parser.core.ruler.get_active_rules():
        parser.core.ruler.at("inline", _inline)
    return parser


def first_unread_line(env: EnvType) -> int | None:
    """The line from which on a parsed text was taken as written, or None."""
    line: int | None = env.get("unread")
    return line


def _rest_as_written(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    allowance: Allowance = state.env["allowance"]
    allowance.lines -= 1 if silent else _BLOCK
    if allowance.lines >= 0:
        return False
    if not silent:
        state.env.setdefault("unread", start)
        token = state.push("code_block", "code", 0)
        token.content = state.getLines(start, end, state.blkIndent, True)
        token.map = [start, end]
        state.line = end
    return True


def _unless_too_deep(rule: Rule, *, levels: int) -> Rule:
    """The rule, unless the parser would drop what is `levels` further down."""

    def bounded(state: StateBlock, start: int, end: int, silent: bool) -> bool:
        return state.level + levels < state.md.options.maxNesting and rule(state, start, end, silent)

    return bounded


def _quote(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """The parser's rule, which searches for the end of the quote even where its text ends earlier."""
    if not blockquote(state, start, end, True):
        return False
    if silent:
        return True
    blank = next((line for line in range(start, end) if state.isEmpty(line)), end)
    state.env["allowance"].lines -= (blank - start) // _SEARCHED
    return blockquote(state, start, end, False)


def _inline(state: StateCore) -> None:
    allowance: Allowance = state.env["allowance"]
    for token in state.tokens:
        if token.type != "inline":
            continue
        token.children = []
        characters = len(_CHARACTER.findall(token.content))
        if characters <= allowance.markup:
            allowance.markup -= characters
            state.md.inline.parse(token.content, state.md, state.env, token.children)
        else:
            token.children.append(Token("text", "", 0, content=token.content))
