"""Marks in rendered text: they cover the right words in any Markdown, and change nothing else."""

from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.web.markdown import to_html
from kb.web.marking import Mark, in_plain_text

TAGS = re.compile(r"<[^>]*>")
MARKED = re.compile(r"<mark[^>]*>(.*?)</mark>", re.DOTALL)


def at(source, quote, nth=0):
    start = -1
    for _ in range(nth + 1):
        start = source.index(quote, start + 1)
    return Mark(start, start + len(quote), "why-1")


def words(html):
    """The marked words in HTML, in reading order."""
    return " ".join(unescape(TAGS.sub("", part)) for part in MARKED.findall(html)).split()


@pytest.mark.parametrize(
    ("source", "quote", "nth", "expected"),
    [
        ("One. **Two three.** Four.", "Two three.", 0, "Two three."),
        ("One. **Two** _three_ `four`. Five.", "**Two** _three_ `four`.", 0, "Two three four ."),
        ("Same. Same. Same.", "Same.", 1, "Same."),
        ("Same.\n\n> Same.\n\n- Same.", "Same.", 2, "Same."),
        ("[See Five.](https://a.example/Five.) Five.", "Five.", 2, "Five."),
        ("[See](https://a.example/See%20it). It fell.", "[See](https://a.example/See%20it).", 0, "See ."),
        ("![a graph](https://a.example/g.png) It fell. So.", "It fell.", 0, "It fell."),
        ("Five \\*stars\\* &amp; more. End.", "Five \\*stars\\* &amp; more.", 0, "Five *stars* & more."),
        ("- a\n- b\n\n> q r\n> s t\n", "q r\n> s t", 0, "q r s t"),
        ("| a | b |\n|---|---|\n| x | x y |\n", "x y", 0, "x y"),
        ("```\nlog one\nlog two\n```\n", "log two", 0, "log two"),
        ("- x\n\n  ```\n  log one\n  log two\n  ```\n", "log two", 0, "log two"),
        ("    log one\n    log two\n", "log two", 0, "log two"),
        ("# Head <b>\n\nText", "Head <b>", 0, "Head <b>"),
        ("A\u2028B. Then\vC.\n\nD fell.", "D fell.", 0, "D fell."),
    ],
)
def test_a_quote_is_marked_in_any_kind_of_markdown(source, quote, nth, expected):
    html = to_html(source, marks=[at(source, quote, nth)])
    assert words(html) == expected.split()
    assert html.count('id="why-1"') == 1


def test_only_the_intended_one_of_several_equal_sentences_is_marked():
    source = "Same. Same. Same."
    assert to_html(source, marks=[at(source, "Same.", 1)]) == '<p>Same. <mark id="why-1">Same.</mark> Same.</p>\n'


PIECES = [*"ab <>&\"'\\`*_[]()!#-|~.:;\n\t", "&amp;", "](http://a.example/b)", "```\n", "    ", "> "]
MARKDOWN = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)


@given(source=MARKDOWN, ends=st.lists(st.integers(0, 80), max_size=6, unique=True))
def test_marks_change_nothing_else_in_the_html(source, ends):
    ends = sorted(ends)
    marks = [
        Mark(start, end, f"why-{number}")
        for number, (start, end) in enumerate(zip(ends[::2], ends[1::2], strict=False), start=1)
    ]
    html = to_html(source, marks=marks)
    assert re.sub(r"</?mark[^>]*>", "", html) == to_html(source)
    opened = 0
    for tag in re.findall(r"</?mark[^>]*>", html):
        opened += -1 if tag == "</mark>" else 1
        assert opened in (0, 1)
        assert re.fullmatch(r'</?mark(?: id="why-[1-3]")?>', tag)
    assert opened == 0
    names = re.findall(r'id="(why-\d)"', html)
    assert len(names) == len(set(names))


@given(text=st.text(max_size=40), start=st.integers(0, 40), length=st.integers(1, 40))
def test_plain_text_is_escaped_with_and_without_a_mark(text, start, length):
    html = in_plain_text(text, [Mark(start, start + length, "why-1")])
    assert unescape(re.sub(r'</?mark(?: id="why-1")?>', "", html)) == unescape(in_plain_text(text, []))
    assert words(html) == text[start : start + length].split()


def test_an_unknown_mark_name_never_becomes_an_id():
    assert "id=" not in to_html("Text.", marks=[Mark(0, 4, 'x" onclick="alert(1)')])


def test_a_hostile_text_is_marked_in_reasonable_time():
    source = "*&hearts;* " * 20_000 + "\n\nIt fell."
    html = to_html(source, marks=[at(source, "It fell.")])
    assert html.endswith('<p><mark id="why-1">It fell.</mark></p>\n')
