"""Renders untrusted Markdown as safe HTML.

CommonMark with tables; raw HTML is escaped. There are two layers of defense: the parser escapes all markup and rejects
addresses other than http, https and mailto, and nh3 then keeps only a short list of elements. Images become links,
because loading an image from another server tells it who is reading. Headings start at the level the page assigns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock, table
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from incidents import markdown_bounds
from incidents.markdown_bounds import Allowance
from kb.web import marking

SCHEMES = {"http", "https", "mailto"}
_ADDRESS = re.compile(rf"(?:{'|'.join(sorted(SCHEMES))}):[^\s]+", re.IGNORECASE)
_ALIGNMENT = {f"text-align:{side}": f"to-{side}" for side in ("left", "center", "right")}
_DEEPEST = 6

# Limits on how far a short text can expand when it is rendered.
# Cells that the parser adds to incomplete rows, over all tables of a text. Tables beyond the limit stay as written.
_ADDED_CELLS = 2_000
# What a cell takes of the lines that can be looked at.
_CELL = 3
# Characters of link addresses per character of the text. Many links can refer to one address, and percent-encoding
# makes nine characters of one. Links beyond the limit keep only their words.
_ADDRESSES = 12

_cleaner = nh3.Cleaner(
    tags={
        *("p", "br", "hr", "em", "strong", "code", "pre", "blockquote", "ul", "ol", "li", "a", "del"),
        *("h2", "h3", "h4", "h5", "h6", "div", "table", "thead", "tbody", "tr", "th", "td"),
        # Only drawn by `marking`: the parser escapes markup in the text.
        "mark",
    },
    attributes={"*": set(), "a": {"href"}, "ol": {"start"}},
    tag_attribute_values={
        **{cell: {"class": set(_ALIGNMENT.values())} for cell in ("th", "td")},
        "mark": {"id": set(marking.NAMES)},
    },
    # The only `div` is the frame around a table. It can take focus, so that a wide table scrolls by keyboard.
    set_tag_attribute_values={"div": {"class": "wide", "tabindex": "0", "role": "group", "aria-label": "Table"}},
    url_schemes=SCHEMES,
    url_relative="deny",
    link_rel="noopener nofollow ugc",
)


def _table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """The parser's table rule, until the text exceeds its limit of added cells.

    The parser pads every row to the number of cells in the head.
    """
    left = state.env.setdefault("cells_left", _ADDED_CELLS)
    if left < 0 or not table(state, start, end, silent=True):
        return False
    if silent:
        return True
    columns = _cells(state, start)
    allowance: Allowance = state.env["allowance"]
    for row in range(start + 2, end):
        if state.isEmpty(row):
            break
        left -= max(0, columns - _cells(state, row))
        allowance.lines -= _CELL * columns
    state.env["cells_left"] = left
    return left >= 0 and table(state, start, end, silent=False)


def _cells(state: StateBlock, line: int) -> int:
    return state.src.count("|", state.bMarks[line], state.eMarks[line]) + 1


def _addresses_in_bounds(state: StateCore) -> None:
    left = _ADDRESSES * len(state.src)
    for token in state.tokens:
        for child in token.children or ():
            # Titles are not shown, and would expand like addresses.
            child.attrs.pop("title", None)
            for name in ("href", "src"):
                left -= len(str(child.attrs.get(name, "")))
                if left < 0:
                    child.attrs.pop(name, None)


def _pictures_as_links(state: StateCore) -> None:
    """Replace each image by a link to it, or by its words alone where it is already inside a link."""
    for token in state.tokens:
        if not any(child.type == "image" for child in token.children or ()):
            continue
        children: list[Token] = []
        link_depth = 0
        for child in token.children or ():
            link_depth += child.nesting if child.type in ("link_open", "link_close") else 0
            if child.type != "image":
                children.append(child)
                continue
            words = Token("text", "", 0, content=child.content or "picture")
            address = Token("link_open", "a", 1, attrs={"href": child.attrs.get("src", "")})
            children += [words] if link_depth else [address, words, Token("link_close", "a", -1)]
        token.children = children


def _fit_page(state: StateCore) -> None:
    """Shift headings below the page's own, and set cell alignment by class, because inline styles are not allowed."""
    first = state.env["first_heading"]
    headings = [token for token in state.tokens if token.type in ("heading_open", "heading_close")]
    # By rank, not by number, so that a text that begins with ## does not skip a level.
    ranks = {tag: rank for rank, tag in enumerate(sorted({token.tag for token in headings}))}
    for token in headings:
        token.tag = f"h{min(first + ranks[token.tag], _DEEPEST)}"
    for token in state.tokens:
        if token.type in ("th_open", "td_open") and "style" in token.attrs:
            token.attrs = {"class": _ALIGNMENT[str(token.attrs["style"])]}


def _framed_table(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    frame = "<div>" if tokens[index].nesting == 1 else "</div>"
    tag = self.renderToken(tokens, index, options, env)
    return frame + tag if tokens[index].nesting == 1 else tag + frame


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table")
    parser.block.ruler.at("table", _table, {"alt": ["paragraph", "reference"]})
    parser.validateLink = lambda url: _ADDRESS.match(url) is not None  # type: ignore[method-assign]
    parser.add_render_rule("table_open", _framed_table)
    parser.add_render_rule("table_close", _framed_table)
    markdown_bounds.install(parser)
    marking.install(parser)
    parser.core.ruler.push("addresses_in_bounds", _addresses_in_bounds)
    parser.core.ruler.push("pictures_as_links", _pictures_as_links)
    parser.core.ruler.push("fit_page", _fit_page)
    return parser


_markdown = _parser()


def to_html(
    text: str, *, first_heading: int = 3, marks: Iterable[marking.Mark] = (), allowance: Allowance | None = None
) -> SafeString:
    """The text as safe HTML, its largest heading at level `first_heading` (2 to 6), with `marks` drawn in it.

    `allowance` is shared by all texts of a page. Once it is spent, texts are shown as written.
    """
    env = {"first_heading": first_heading, "marks": marks, "allowance": allowance or Allowance()}
    return mark_safe(_cleaner.clean(_markdown.render(text, env)))  # noqa: S308
