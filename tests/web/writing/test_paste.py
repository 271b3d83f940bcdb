"""Parsing pasted lines into timeline events: what is recognized, and that nothing is lost or made up."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidents.durations import read_moment
from kb.web.writing.paste import PastedEvent, parse

DAY = date(2026, 3, 31)


@pytest.mark.parametrize(
    ("line", "at", "text"),
    [
        ("14:03 Resize begins", "2026-03-31 14:03", "Resize begins"),
        ("9:03 Resize begins", "2026-03-31 09:03", "Resize begins"),
        ("14:03:22 Resize begins", "2026-03-31 14:03:22", "Resize begins"),
        ("14:03:22.518 Resize begins", "2026-03-31 14:03:22", "Resize begins"),
        ("[14:03] Resize begins", "2026-03-31 14:03", "Resize begins"),
        ("(14:03) ana: Resize begins", "2026-03-31 14:03", "ana: Resize begins"),
        ("14:03 - Resize begins", "2026-03-31 14:03", "Resize begins"),
        ("14:03 \u2013 Resize begins", "2026-03-31 14:03", "Resize begins"),
        ("14:03: Resize begins", "2026-03-31 14:03", "Resize begins"),
        ("- 14:03 Resize begins", "2026-03-31 14:03", "Resize begins"),
        ("  * 14:03\tResize begins", "2026-03-31 14:03", "Resize begins"),
        ("2:03 PM Resize begins", "2026-03-31 14:03", "Resize begins"),
        ("12:10 a.m. Resize begins", "2026-03-31 00:10", "Resize begins"),
        ("2026-04-01 14:03 Resize begins", "2026-04-01 14:03", "Resize begins"),
        ("2026-04-01T14:03Z Resize begins", "2026-04-01 14:03Z", "Resize begins"),
        ("14:03 UTC Resize begins", "2026-03-31 14:03Z", "Resize begins"),
        ("2026-04-01 14:03:05+02:00 Resize", "2026-04-01 14:03:05+02:00", "Resize"),
        ("14:03 amber light comes on", "2026-03-31 14:03", "amber light comes on"),
        ("14:03 Zookeeper restarts", "2026-03-31 14:03", "Zookeeper restarts"),
    ],
)
def test_a_line_that_starts_with_a_time_is_an_event(line, at, text):
    assert parse(line, day=DAY).events == [PastedEvent(at, text)]


@pytest.mark.parametrize(
    "line", ["Resize begins at 14:03", "25:03 no clock", "14:61 no clock", "114:03 no clock", "v1.14:03"]
)
def test_a_line_that_does_not_start_with_a_time_is_not_an_event(line):
    parsed = parse(line, day=DAY)
    assert parsed.events == []
    assert parsed.skipped == [line]


def test_a_line_without_a_time_belongs_to_the_event_above_it():
    parsed = parse("before\n14:03 Resize begins\nall keys gone\n\n14:09 Alert", day=DAY)
    assert [event.text for event in parsed.events] == ["Resize begins\nall keys gone", "Alert"]
    assert parsed.skipped == ["before"]


def test_a_clock_that_jumps_back_over_midnight_starts_a_new_day():
    parsed = parse("23:50 Begins\n00:10 Alert\n00:05 A late note\n2026-05-01 08:00 Done\n08:30 Really", day=DAY)
    days = [event.at[:10] for event in parsed.events]
    assert days == ["2026-03-31", "2026-04-01", "2026-04-01", "2026-05-01", "2026-05-01"]


def test_a_line_with_an_impossible_date_is_unread():
    assert parse("2026-02-30 14:03 Begins", day=DAY).skipped == ["2026-02-30 14:03 Begins"]


def test_lines_beyond_the_limit_are_unread():
    parsed = parse("\n".join(["14:03 again"] * 501), day=DAY)
    assert len(parsed.events) == 500
    assert parsed.skipped == ["14:03 again"]


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=200))
def test_every_word_of_a_paste_is_either_an_event_a_time_or_unread(text):
    parsed = parse(text, day=DAY)
    for event in parsed.events:
        assert read_moment("at", event.at) is not None
    there = " ".join([*(event.text for event in parsed.events), *parsed.skipped]).split()
    lines = [line for line in text.splitlines() if line.strip()]
    for word in there:
        assert any(word in line for line in lines)


@given(st.lists(st.from_regex(r"[A-Za-z][A-Za-z ]{0,20}[A-Za-z]", fullmatch=True), min_size=1, max_size=8))
def test_every_text_after_a_time_is_kept_word_for_word(texts):
    texts = [text for text in texts if not text.lower().startswith(("am", "pm", "a m", "p m", "utc", "z"))] or ["ok"]
    parsed = parse("\n".join(f"1{place}:03 {text}" for place, text in enumerate(texts)), day=DAY)
    assert [event.text for event in parsed.events] == texts
