"""Anchors stay in place, follow text that moves, and are dropped rather than drawn in the wrong place."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidents.document import build, with_all_parts
from incidents.models import Incident
from kb.patterns.anchors import Anchor, find, make, texts

TEXT = "Retries overloaded the cache. The cache was empty after the resize. 🦊 Nobody had planned for that."


def test_an_anchor_is_found_at_its_place_in_the_same_text():
    anchor = make("sections.summary", TEXT, "The cache was empty after the resize.")
    start, end = find(anchor, TEXT)
    assert TEXT[start:end] == anchor.quote == "The cache was empty after the resize."


def test_offsets_count_code_points():
    anchor = make("sections.summary", TEXT, "Nobody had planned")
    assert anchor.start == len("Retries overloaded the cache. The cache was empty after the resize. 🦊 ")


def test_a_quote_is_found_across_line_breaks():
    anchor = make("sections.summary", "It was\n  the cache.", "It was the cache.")
    assert (anchor.start, anchor.end, anchor.quote) == (0, 19, "It was\n  the cache.")


def test_a_quote_that_is_not_there_has_no_anchor():
    with pytest.raises(ValueError, match=r"sections\.summary"):
        make("sections.summary", TEXT, "The disk was full.")
    with pytest.raises(ValueError, match="title"):
        make("title", TEXT, "  ")


def test_an_anchor_moves_with_its_quote():
    anchor = make("sections.summary", TEXT, "The cache was empty after the resize.")
    changed = "A sentence was put before. " + TEXT
    start, end = find(anchor, changed)
    assert changed[start:end] == anchor.quote


def test_a_quote_that_is_gone_or_occurs_twice_is_not_drawn():
    anchor = make("sections.summary", TEXT, "The cache was empty after the resize.")
    assert find(anchor, TEXT.replace("empty", "cold")) is None
    assert find(anchor, f"{anchor.quote} And again: {anchor.quote}") is None


def test_a_quote_that_occurs_twice_is_still_drawn_in_its_place_in_an_unchanged_text():
    text = "It failed. It failed."
    anchor = make("sections.summary", text, "It failed.")
    assert find(anchor, text) == (0, 10)


@given(st.text(), st.text(min_size=1), st.text(), st.text())
def test_an_anchor_that_is_found_always_shows_its_quote(before, quote, after, changed):
    text = before + quote + after
    try:
        anchor = make("sections.summary", text, quote)
    except ValueError:
        assert not quote.split()
        return
    start, end = find(anchor, text)
    assert text[start:end].split() == quote.split()
    if place := find(anchor, changed):
        assert changed[slice(*place)].split() == quote.split()


def test_an_anchor_survives_being_stored():
    anchor = make("causes/1", TEXT, "Nobody had planned")
    assert Anchor.read(anchor.stored()) == anchor
    assert set(anchor.stored()) == {"field", "hash", "start", "end", "quote"}


def test_anchors_point_into_prose_and_rows_but_not_into_sources(published):
    incident = with_all_parts(Incident.objects).get(pk=published().pk)
    fields = dict(texts(build(incident)))
    cause = incident.causes.get()
    assert fields["title"] == "Checkout returned errors"
    assert fields["sections.summary"] == "The cache was resized and emptied."
    assert fields[f"causes/{cause.uuid}"] == "A resize flushed every key"
    assert {name.split("/")[0].split(".")[0] for name in fields} == {
        "title", "sections", "timeline", "causes", "lessons", "actions",
    }  # fmt: skip


def test_no_quote_takes_long_to_find():
    text, quote = "a " * 130_000, "a " * 999 + "b"
    start = time.process_time()
    with pytest.raises(ValueError, match="does not contain"):
        make("sections.summary", text, quote)
    # It usually takes a tenth of this. Comparing word by word from every position would take 2.7 s.
    assert time.process_time() - start < 1.0
