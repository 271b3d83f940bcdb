"""Embeds people's text in a larger Markdown document without either affecting the other, and reads how a text begins.

Prose stays as written, with three exceptions: its headings are demoted below ours, what it leaves open (a code fence,
a comment) is closed, so that it cannot swallow what follows, and what is too much to parse becomes a code block. Single
lines are escaped and shown literally.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from incidents import markdown_bounds
from incidents.markdown_bounds import Allowance

_SPECIAL = re.compile(r"([\\`*_\[\]<>&~|#])")
_CLOSERS = ("-->", "?>", "]]>", ">", "</script>", "</pre>", "</style>", "</textarea>")
_BEGINS_A_BLOCK = re.compile(r"\s|[-+*>#<|`~=]|\d+[.)]")
# Which block says most about a text: a paragraph, then a list, table or the like, and HTML only as a last resort.
_BLOCK_RANK = {"paragraph_open": 0, "html_block": 2}
_ATX = re.compile(r"(#{1,6})(?=[ \t]|$)")


@cache
def _parser() -> MarkdownIt:
    """Parses blocks only, because inline content never opens or closes one."""
    return markdown_bounds.install(MarkdownIt("commonmark").disable("inline"))


@cache
def _reader() -> tuple[MarkdownIt, MarkdownIt]:
    """One parser for the blocks that readers see, including tables, and one for inline content."""
    return MarkdownIt("commonmark").enable("table").disable("inline"), MarkdownIt("commonmark")


@dataclass(frozen=True, slots=True)
class Opening:
    """How a text begins.

    heading    the words of a heading that comes before everything else, "" when there is none
    paragraph  the Markdown of the first paragraph; in a text without any, of the first block other than a heading
    words      the words of that block, or of its first entry when it is a list or the like
    """

    heading: str
    paragraph: str
    words: str


def opening(text: str) -> Opening:
    """Words are on one line and without markup. What looks like HTML stays, since it may be meant literally."""
    environment: dict[str, Any] = {}
    tokens = _reader()[0].parse(text, environment)
    blocks = [place for place, token in enumerate(tokens) if token.level == 0 and token.map and token.type != "hr"]
    shown = next((place for place in blocks if tokens[place].type != "html_block"), None)
    heading = ""
    if shown is not None and tokens[shown].type == "heading_open":
        heading = _words(tokens[shown:], environment)
    content_blocks = [place for place in blocks if tokens[place].type != "heading_open"]
    if not content_blocks:
        return Opening(heading, "", "")
    begin = min(content_blocks, key=lambda place: _BLOCK_RANK.get(tokens[place].type, 1))
    first, after = tokens[begin].map or (0, 0)
    paragraph = "\n".join(text.split("\n")[first:after]).rstrip()
    return Opening(heading, paragraph, _words(tokens[begin:], environment))


def _words(tokens: list[Token], environment: dict[str, Any]) -> str:
    """The first text in the block that these tokens start with, on one line."""
    end = next((place for place, token in enumerate(tokens) if token.level == 0 and token.nesting != 1), 0)
    line = next((token for token in tokens[:end] if token.type == "inline"), None)
    if line is None:
        return ""
    (parsed,) = _reader()[1].parseInline(line.content, environment)
    return " ".join(_token_text(parsed).split())


def _token_text(token: Token) -> str:
    if token.children:
        return "".join(map(_token_text, token.children))
    return " " if token.type in ("softbreak", "hardbreak") else token.content


def plain(text: str) -> str:
    """A single line escaped so that Markdown shows it literally."""
    return _SPECIAL.sub(r"\\\1", text)


def link(text: str, url: str) -> str:
    address = url.replace("<", "%3C").replace(">", "%3E").replace("\\", "%5C")
    return f"[{plain(text)}](<{address}>)"


def prose(text: str, *, below: int, allowance: Allowance | None = None) -> str:
    """Markdown whose headings are all below the given level, and that leaves nothing open.

    `allowance` is shared by all texts of a document. Once it is spent, texts become code blocks.
    """
    lines = text.strip("\n").split("\n")
    environment: dict[str, Any] = {"allowance": allowance or Allowance()}
    # What a text leaves open swallows a heading after it.
    *tokens, last = _parser().parse("\n".join([*lines, "", "## End", ""]), environment)
    read = markdown_bounds.first_unread_line(environment)
    if read is not None:
        rest = "\n".join(lines[read:])
        parts = ["\n".join(_demoted(lines[:read], tokens, below)).rstrip("\n"), _fenced(rest) if rest else ""]
        return "\n\n".join(filter(None, parts))
    if _is_end(last):
        return "\n".join(_demoted(lines, tokens[:-2], below))
    return "\n".join([*_demoted(lines, tokens, below), *_endings(lines, last)])


def list_entry(lead: str, text: str, *, below: int, allowance: Allowance | None = None) -> str:
    """A list entry: a lead, which can be empty, and its Markdown, on the same line when that is a plain line."""
    body = prose(text, below=below, allowance=allowance)
    if "\n" in body or _BEGINS_A_BLOCK.match(body):
        indented = "\n".join(f"  {line}" if line else "" for line in body.split("\n"))
        return f"- {lead}\n\n{indented}\n" if lead else f"- {indented[2:]}\n"
    return f"- {lead} {body}".replace("-  ", "- ", 1).rstrip()


def _demoted(lines: list[str], tokens: list[Token], below: int) -> list[str]:
    lines = [*lines]
    for token in reversed(tokens):
        if token.type != "heading_open" or token.map is None:
            continue
        first, after = token.map
        level = min(6, int(token.tag[1]) + below)
        if token.markup in ("=", "-"):
            # Underlined headings exist in two levels only.
            if token.level == 0:
                lines[first:after] = ["#" * level + " " + " ".join(line.strip() for line in lines[first : after - 1])]
        else:
            lines[first] = _ATX.sub("#" * level, lines[first], count=1)
    return lines


def _endings(lines: list[str], block: Token) -> list[str]:
    """The line that ends the open block at the end of these lines. Only its first line says which one does."""
    begin = lines[block.map[0]] if block.map else ""
    endings = [block.markup] if block.type == "fence" else _CLOSERS
    return [ending for ending in endings if _ends(f"{begin}\n{ending}")][:1]


def _ends(block: str) -> bool:
    return _is_end(_parser().parse(f"{block}\n\n## End\n", {"allowance": Allowance()})[-1])


def _is_end(token: Token) -> bool:
    return token.type == "heading_close" and token.level == 0


def _fenced(text: str) -> str:
    """The text in a code fence longer than any in it."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"
