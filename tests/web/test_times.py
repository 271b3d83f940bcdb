"""Moments in the reader's zone, as precise as they are known."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from incidents.durations import Duration, DurationKind, read_moment
from incidents.wording import mid_sentence
from kb.web.incident.records import due_words
from kb.web.templatetags.precedent import moment, with_noun
from kb.web.times import duration_words, format_moment, partial_date_words


@pytest.mark.parametrize(
    ("written", "day", "clock"),
    [
        ("2019-07-02T23:42:07Z", "3 July 2019", "01:42:07"),
        ("2019-07-02T13:42Z", "2 July 2019", "15:42"),
        ("2019-07-02", "2 July 2019", ""),
        ("2008-08", "August 2008", ""),
        ("1996", "1996", ""),
    ],
)
def test_a_moment_is_shown_in_the_readers_zone_and_no_more_exactly_than_it_is_known(written, day, clock):
    with timezone.override(ZoneInfo("Europe/Berlin")):
        told = format_moment(read_moment("at", written))
    assert (told.day, told.clock) == (day, clock)


def test_an_hour_is_shown_as_about():
    assert format_moment(read_moment("at", {"at": "2019-07-02T14:00Z", "precision": "hour"})).clock == "about 14:00"


def test_a_day_is_shown_as_published_and_never_as_the_day_before():
    at = read_moment("at", "2018-12-06", zone="Asia/Tokyo")
    with timezone.override(ZoneInfo("America/Los_Angeles")):
        assert format_moment(at, zone="Asia/Tokyo").day == "6 December 2018"


def test_instants_have_utc_as_a_tooltip_and_dates_do_not():
    with timezone.override(ZoneInfo("Asia/Kolkata")):
        html = moment(read_moment("at", "2019-07-02T20:00Z"))
        assert html == (
            '<time datetime="2019-07-02T20:00:00+00:00" title="2 July 2019, 20:00 UTC">3 July 2019, 01:30</time>'
        )
        assert "title" not in moment(read_moment("at", "2019-07-02"))


def test_an_uncertain_duration_says_about():
    assert duration_words(Duration(7200, DurationKind.ABOUT)) == "about 2 h"
    assert duration_words(Duration(1620, DurationKind.MEASURED)) == "27 min"


@pytest.mark.parametrize(
    ("due", "words"),
    [
        (date(2026, 3, 19), "12 days late"),
        (date(2026, 3, 30), "1 day late"),
        (date(2026, 3, 31), "due today"),
        (date(2026, 4, 1), "due in 1 day"),
        (date(2026, 4, 14), "due in 14 days"),
        (date(2026, 4, 15), "due 15 April 2026"),
    ],
)
def test_a_due_date_is_worded_calmly(due, words):
    assert due_words(due, date(2026, 3, 31)) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2019", "2019"),
        ("2019-07", "July 2019"),
        ("2019-07-12", "12 July 2019"),
        ("1899", "1899"),
        ("2026-02-31", "2026-02-31"),
        ("0000", "0000"),
    ],
)
def test_a_sources_date_is_as_precise_as_it_is_known(text, words):
    assert partial_date_words(text) == words


@pytest.mark.parametrize(
    ("number", "noun", "words"),
    [(0, "incident", "no incidents"), (1, "incident", "1 incident"), (1200, "family,families", "1,200 families")],
)
def test_counts_are_written_with_their_noun(number, noun, words):
    assert with_noun(number, noun) == words


@pytest.mark.parametrize(
    ("name", "within"),
    [("Retry storm", "retry storm"), ("DNS failure", "DNS failure"), ("Message to HQ", "message to HQ"), ("", "")],
)
def test_names_within_a_sentence_keep_the_capitals_of_abbreviations(name, within):
    assert mid_sentence(name) == within
