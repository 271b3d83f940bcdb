"""Moments and durations: which durations are measured, stated, or only "about"."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidents.durations import (
    MAX_STATED_SECONDS,
    SPAN,
    DurationKind,
    Moment,
    between,
    check_order,
    correct_zone,
    format_exactly,
    in_words,
    parse_length,
    read_moment,
    read_stored_moment,
    to_iso,
    total_duration,
)
from incidents.errors import Invalid
from incidents.vocabulary import Precision
from incidents.zones import zones

MINUTE, HOUR, DAY = Precision.MINUTE, Precision.HOUR, Precision.DAY


def moment(text: str, precision: Precision = MINUTE) -> Moment:
    return Moment(datetime.fromisoformat(text).replace(tzinfo=UTC), precision)


instants = st.datetimes(datetime(1960, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC))
precisions = st.sampled_from(list(Precision))


@given(instants, precisions, st.sampled_from(zones()))
def test_a_moment_is_read_back_as_it_was_written(at, precision, zone):
    read = read_moment("started", {"at": at.isoformat(), "precision": precision.value}, zone=zone)
    again = read_moment("started", {"at": to_iso(read, zone), "precision": precision.value}, zone=zone)
    assert again == read


@given(instants, precisions)
def test_reading_keeps_no_more_than_the_precision_says(at, precision):
    read = read_moment("started", {"at": at.isoformat(), "precision": precision.value})
    assert read.at <= at < read.at + SPAN[precision]


@given(instants, instants, precisions, precisions)
def test_a_duration_is_never_negative_and_is_about_when_its_ends_are_coarse(a, b, pa, pb):
    start, end = Moment(a, pa), Moment(b, pb)
    found = between(start, end)
    if found is None:
        return
    assert found.seconds >= 0
    spans = sum((SPAN[p] for p in (pa, pb) if SPAN[p] > SPAN[MINUTE]), timedelta())
    if spans.total_seconds() > found.seconds:
        assert found.kind is DurationKind.ABOUT


@given(st.integers(0, 10**9))
def test_words_for_a_duration_have_at_most_two_units(seconds):
    assert 2 <= len(in_words(seconds).split()) <= 4


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (45, "45 s"),
        (90, "1 min 30 s"),
        (1620, "27 min"),
        (3600, "1 h"),
        (9600, "2 h 40 min"),
        (1_219_000, "14 d 2 h"),
    ],
)
def test_durations_are_worded_as_people_say_them(seconds, words):
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("text", "seconds", "smallest"),
    [
        ("27 min", 1620, 60),
        (" 2 h 10 min ", 7800, 60),
        ("2h10m", 7800, 60),
        ("2\u202fh 10\u00a0min", 7800, 60),
        ("1620 s", 1620, 1),
        ("3 d", 259_200, 86_400),
        ("3 Days 1 hour", 262_800, 3_600),
        ("2 weeks", 1_209_600, 604_800),
        ("0 s", 0, 1),
    ],
)
def test_a_length_is_read_as_people_write_it(text, seconds, smallest):
    assert parse_length(text) == (seconds, smallest)


@pytest.mark.parametrize(
    "text", ["", "27", "min", "about 3 h", "10 min 2 h", "1.5 h", "-3 d", "3 d, 2 h", "1d" + " " * 10**5 + "x"]
)
def test_text_that_is_not_a_length_of_time_is_not_read(text):
    assert parse_length(text) is None


@given(st.integers(0, MAX_STATED_SECONDS))
def test_a_length_in_full_is_read_back_to_the_second(seconds):
    assert parse_length(format_exactly(seconds))[0] == seconds


@pytest.mark.parametrize(
    ("start", "end", "seconds", "kind"),
    [
        (moment("2019-07-02T13:42"), moment("2019-07-02T14:09"), 1620, DurationKind.MEASURED),
        (moment("2019-07-02T13:00", HOUR), moment("2019-07-02T15:00", HOUR), 7200, DurationKind.ABOUT),
        (moment("2022-04-05T00:00", DAY), moment("2022-04-08T00:00", DAY), 259200, DurationKind.ABOUT),
        (moment("2022-04-05T00:00", DAY), moment("2022-05-18T00:00", DAY), 43 * 86400, DurationKind.MEASURED),
    ],
)
def test_a_duration_is_about_when_precision_makes_it_uncertain(start, end, seconds, kind):
    found = between(start, end)
    assert (found.seconds, found.kind) == (seconds, kind)


def test_two_moments_known_only_to_the_same_day_give_no_duration():
    assert between(moment("2022-04-05T00:00", DAY), moment("2022-04-05T00:00", DAY)) is None


def test_a_stated_duration_stands_in_for_one_that_cannot_be_measured():
    day = moment("2008-08-11T00:00", DAY)
    assert (
        total_duration(day, moment("2008-08-14T00:00", DAY), stated_seconds=250_000, stated_text="three days").kind
        is DurationKind.STATED
    )
    assert total_duration(day, None, stated_seconds=60).seconds == 60
    assert total_duration(day, None) is None
    exact = total_duration(moment("2019-07-02T13:42"), moment("2019-07-02T14:09"), stated_seconds=1800)
    assert (exact.seconds, exact.kind) == (1620, DurationKind.MEASURED)


@pytest.mark.parametrize(
    ("text", "precision"),
    [
        ("2019", "year"),
        ("2019-07", "month"),
        ("2019-07-02", "day"),
        ("2019-07-02T13:42", "minute"),
        ("2019-07-02 13:42", "minute"),
        ("2019-07-02T13:42:11Z", "second"),
        ("2019-07-02T13:42+02:00", "minute"),
    ],
)
def test_a_time_is_as_precise_as_it_is_written(text, precision):
    assert read_moment("started", text).precision == precision


def test_a_time_without_an_offset_is_in_the_incidents_zone():
    assert read_moment("started", "2019-07-02T13:42", zone="Europe/Madrid").at == datetime(
        2019, 7, 2, 11, 42, tzinfo=UTC
    )
    assert read_moment("started", "2019-07-02T13:42Z", zone="Europe/Madrid").at == datetime(
        2019, 7, 2, 13, 42, tzinfo=UTC
    )


@pytest.mark.parametrize("precision", [None, "second", "hour"])
@pytest.mark.parametrize(
    ("text", "zone", "message"),
    [
        ("2026-03-29T02:30:00", "Europe/Madrid", "does not exist in Europe/Madrid"),
        ("2026-03-08 02:00:00", "America/New_York", "does not exist in America/New_York"),
        (
            "2026-10-25 02:30:00",
            "Europe/Madrid",
            "happens twice in Europe/Madrid. Add the offset: 2026-10-25 02:30:00+02:00 or 2026-10-25 02:30:00+01:00.",
        ),
        ("2026-04-05T01:45:00", "Australia/Lord_Howe", "Add the offset: 2026-04-05 01:45:00+11:00"),
    ],
)
def test_a_local_time_that_the_clock_skips_or_shows_twice_is_refused(text, zone, message, precision):
    with pytest.raises(Invalid) as refused:
        read_moment("started", {"at": text, "precision": precision}, zone=zone)
    assert set(refused.value.fields) == {"started"}
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-03-29T03:00", "2026-03-29T01:00Z"),
        ("2026-03-29T02:30+01:00", "2026-03-29T01:30Z"),
        ("2026-10-25T02:30+02:00", "2026-10-25T00:30Z"),
        ("2026-10-25T02:30+01:00", "2026-10-25T01:30Z"),
        ("2026-10-25T03:00", "2026-10-25T02:00Z"),
    ],
)
def test_an_offset_or_the_next_hour_leaves_no_doubt_when_the_clock_changes(text, at):
    read = read_moment("started", text, zone="Europe/Madrid")
    assert read == moment(at)
    assert read_moment("started", to_iso(read, "Europe/Madrid"), zone="Europe/Madrid") == read


@pytest.mark.parametrize(("day", "zone"), [("2018-11-04", "America/Sao_Paulo"), ("2018-02-18", "America/Sao_Paulo")])
def test_a_day_is_read_even_where_the_clock_changes_at_midnight(day, zone):
    assert to_iso(read_moment("started", day, zone=zone), zone) == day


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "2019-13",
        "2019-02-30",
        "2019-07-02T25:00",
        "0000",
        12,
        ["2019"],
        {"at": "2019", "precision": "day"},
        {"at": "2019", "precision": "eon"},
        {"at": "2019", "surprise": 1},
        {"precision": "day"},
        "2019-07-02T13",
        "\uff12\uff10\uff11\uff19",
    ],
)
def test_a_value_that_is_not_a_time_is_refused_by_field_name(value):
    with pytest.raises(Invalid) as refused:
        read_moment("started", value)
    assert all(name.startswith("started") for name in refused.value.fields)


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("1899-12-31", "UTC"),
        ("2101", "UTC"),
        ("1900-01-01T00:00Z", "America/New_York"),
        ("2100-12-31T23:30Z", "Europe/Madrid"),
        ("2100-12-31T23:59:59-12:00", "UTC"),
        ("1900-01-01T00:00+14:00", "Pacific/Kiritimati"),
        ("0001-01-01T00:00:00Z", "America/New_York"),
    ],
)
def test_a_year_out_of_range_in_utc_or_in_the_zone_is_refused(text, zone):
    with pytest.raises(Invalid, match="outside the years"):
        read_moment("started", {"at": text}, zone=zone)
    assert read_stored_moment(text, zone=zone) is not None


@pytest.mark.parametrize("text", ["1900", "1900-01-01", "2100-12-31"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
def test_a_date_keeps_its_written_year_in_any_zone(text, zone):
    assert to_iso(read_moment("started", text, zone=zone), zone) == text


@given(st.one_of(st.text(), st.integers(), st.dictionaries(st.text(), st.text())))
def test_nonsense_raises_nothing_but_invalid(value):
    with contextlib.suppress(Invalid):
        read_moment("started", value)


def test_the_end_cannot_be_before_the_start():
    with pytest.raises(Invalid) as refused:
        check_order({"started": moment("2019-07-02T13:42"), "resolved": moment("2019-07-02T13:00")})
    assert "resolved" in refused.value.fields


def test_coarse_times_contradict_only_when_no_instant_fits():
    assert check_order({"started": moment("2019-07-02T13:42"), "resolved": moment("2019-07-02T00:00", DAY)}) == []


def test_detection_before_the_start_is_for_planned_changes_only():
    times = {"started": moment("2019-07-02T13:42"), "detected": moment("2019-07-02T13:00")}
    with pytest.raises(Invalid) as refused:
        check_order(times)
    assert "detected" in refused.value.fields
    assert len(check_order(times, planned_change=True)) == 1


def test_correcting_the_zone_changes_no_date_and_no_instant():
    day = read_moment("started", "2019-07-02", zone="UTC")
    assert to_iso(correct_zone(day, old="UTC", new="America/New_York"), "America/New_York") == "2019-07-02"
    instant = read_moment("started", "2019-07-02T13:42Z")
    assert correct_zone(instant, old="UTC", new="America/New_York") == instant
