"""The span bar: drawn to scale from known times only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidents.durations import Moment, read_moment
from incidents.vocabulary import Precision
from kb.web.incident.spanbar import MIN_WIDTH, WIDTH, spanbar

DAY = "2019-07-02T"


def times(**given: str | None) -> dict[str, Moment | None]:
    return {
        name: read_moment(name, DAY + at if at and len(at) < 7 else at)
        for name, at in {"started": None, "detected": None, "mitigated": None, "resolved": None, **given}.items()
    }


def bar(**given: str | None):
    return spanbar(times(**given), zone="UTC")


def test_stretches_are_proportional_to_their_durations():
    drawn = bar(started="13:00", detected="13:10", mitigated="13:40", resolved="14:40")
    assert [stretch.kind for stretch in drawn.stretches] == ["impact", "detect", "mitigate"]
    widths = [stretch.width for stretch in drawn.stretches]
    assert widths[1] == pytest.approx(3 * widths[0], rel=0.01)
    assert widths[2] == pytest.approx(6 * widths[0], rel=0.01)
    assert drawn.label == "1 h 40 min, drawn to scale: 10 min undetected, 30 min to mitigate, 1 h to resolve"


def test_the_legend_gives_each_time_and_how_long_until_the_next():
    drawn = bar(started="13:42", detected="13:45", mitigated="14:07", resolved="14:09")
    told = [(mark.time.clock, mark.name, mark.until_next) for mark in drawn.marks]
    assert told == [
        ("13:42", "started", "3 min undetected"),
        ("13:45", "detected", "22 min to mitigate"),
        ("14:07", "mitigated", "2 min to resolve"),
        ("14:09", "resolved", ""),
    ]


def test_without_any_time_there_is_no_bar():
    assert bar() is None


def test_a_single_time_is_listed_but_not_drawn():
    drawn = bar(started="13:42")
    assert drawn.stretches == []
    assert drawn.label == ""
    assert [mark.name for mark in drawn.marks] == ["started"]


def test_only_known_times_are_drawn():
    drawn = bar(started="13:00", resolved="14:00")
    assert [(stretch.kind, stretch.width) for stretch in drawn.stretches] == [("impact", WIDTH)]
    assert drawn.marks[0].until_next == "1 h to resolve"


def test_ends_known_only_to_the_day_are_not_drawn_as_if_they_were_exact():
    drawn = bar(started="2019-07-02", detected="2019-07-02T10:00", resolved="2019-07-03")
    assert drawn.stretches == []
    assert all("undetected" not in mark.until_next for mark in drawn.marks)


def test_a_day_is_exact_enough_for_an_incident_of_months():
    drawn = bar(started="2019-01-01", resolved="2019-06-30")
    assert len(drawn.stretches) == 1


def test_a_time_too_coarse_for_the_length_is_listed_and_the_stretch_around_it_is_neutral():
    coarse = times(started="13:00", resolved="14:00")
    coarse["detected"] = Moment(times(detected="13:05")["detected"].at, Precision.HOUR)
    drawn = spanbar(coarse, zone="UTC")
    assert [stretch.kind for stretch in drawn.stretches] == ["calm"]
    assert [mark.name for mark in drawn.marks] == ["started", "detected", "resolved"]


def test_detection_before_the_start_of_a_planned_change_is_listed_but_not_drawn():
    drawn = bar(started="13:00", detected="12:55", resolved="14:00")
    assert [stretch.width for stretch in drawn.stretches] == [WIDTH]
    assert [(mark.name, mark.until_next) for mark in drawn.marks] == [
        ("detected", "5 min before it started"),
        ("started", "1 h to resolve"),
        ("resolved", ""),
    ]


def test_a_mitigation_before_the_detection_stays_mitigated():
    drawn = bar(started="13:00", mitigated="13:10", detected="13:30", resolved="14:00")
    assert [stretch.kind for stretch in drawn.stretches] == ["impact", "mitigate", "mitigate"]
    assert drawn.marks[1].until_next == "20 min until it was detected"


def test_a_stretch_of_seconds_among_days_is_still_visible():
    drawn = bar(started="2019-07-02T13:00", detected="2019-07-02T13:01", resolved="2019-07-09T13:00")
    assert drawn.stretches[0].width == MIN_WIDTH


moments = st.builds(
    Moment,
    st.datetimes(
        min_value=read_moment("a", "2019-01-01").at.replace(tzinfo=None),
        max_value=read_moment("a", "2019-03-01").at.replace(tzinfo=None),
        timezones=st.just(read_moment("a", "2019-01-01").at.tzinfo),
    ),
    st.sampled_from(Precision),
)


@given(st.fixed_dictionaries({name: st.none() | moments for name in ("started", "detected", "mitigated", "resolved")}))
def test_whatever_times_are_known_the_bar_keeps_its_width_and_nothing_overlaps(given_times):
    drawn = spanbar(given_times, zone="UTC")
    if drawn is None or not drawn.stretches:
        return
    ends = 0.0
    for stretch in drawn.stretches:
        assert stretch.width > 0
        assert stretch.x >= ends - 0.2
        ends = stretch.x + stretch.width
    assert ends == pytest.approx(WIDTH, abs=0.5)
    assert len(drawn.marks) == sum(moment is not None for moment in given_times.values())
