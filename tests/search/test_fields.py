"""The fields of the query language: which values they take, and how they read them."""

from datetime import UTC, date, datetime, time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.search.fields import FIELDS, Field, by_name, fold_name, guess
from kb.search.nodes import (
    ChoiceFilter,
    DateFilter,
    DateSpan,
    DurationFilter,
    Filter,
    Node,
    NumberFilter,
    Or,
    SecondSpan,
)

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def read(written: str) -> Node | None:
    name, _, values = written.partition(":")
    field = by_name(name)
    assert field is not None
    return field.read(values.split(","), written)


def day(year: int, month: int = 1, day: int = 1) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("severity:sev1", ["sev1"]),
        ("severity:1,SEV2,unknown", ["sev1", "sev2", "unknown"]),
        ("severity:1,sev1", ["sev1"]),
        ("severity:SEV-1", ["sev1"]),
        ("status:in-review", ["in_review"]),
        ("status:IN_REVIEW,draft", ["in_review", "draft"]),
        ("origin:ours", ["own"]),
        ("origin:own,famous,imported", ["own", "famous", "imported"]),
        ("detected:outsider", ["outsider"]),
        ("mitigation:fix-forward,add_capacity", ["fix_forward", "add_capacity"]),
        ("family:load,network", ["load", "network"]),
        ("pattern:retry-storm", ["retry-storm"]),
        ("pattern:Retry Storm", ["retry-storm"]),
        ("has:open_actions,customer-message", ["open-actions", "customer-message"]),
        ("org:Knight  Capital", ["knight capital"]),
        ("team:\uff33\uff32\uff25", ["sre"]),
        ("service:checkout-api", ["checkout-api"]),
    ],
)
def test_values_are_normalised(written: str, values: list[str]) -> None:
    assert read(written) == ChoiceFilter(written.partition(":")[0], tuple(values))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("is:draft", ChoiceFilter("status", ("draft",))),
        ("is:in-review", ChoiceFilter("status", ("in_review",))),
        ("is:ours", ChoiceFilter("origin", ("own",))),
        ("is:team", ChoiceFilter("visibility", ("team",))),
        ("is:overdue", ChoiceFilter("is", ("overdue",))),
        ("is:draft,published", ChoiceFilter("status", ("draft", "published"))),
        ("is:draft,famous", Or((ChoiceFilter("status", ("draft",)), ChoiceFilter("origin", ("famous",))))),
    ],
)
def test_is_stands_for_the_value_of_another_field(written: str, expected: Node) -> None:
    assert read(written) == expected


@pytest.mark.parametrize(
    ("value", "start", "end"),
    [
        ("2019", day(2019), day(2020)),
        ("2019-07", day(2019, 7), day(2019, 8)),
        ("2019-12", day(2019, 12), day(2020)),
        ("2019-7-2", day(2019, 7, 2), day(2019, 7, 3)),
        ("2019-12-31", day(2019, 12, 31), day(2020)),
        ("2020-02-29", day(2020, 2, 29), day(2020, 3)),
        ("2019..2021", day(2019), day(2022)),
        ("2019-03..2019-03", day(2019, 3), day(2019, 4)),
        ("2019-12-31..2020", day(2019, 12, 31), day(2021)),
        ("2019..", day(2019), None),
        ("..2020-06", None, day(2020, 7)),
        (">2019", day(2020), None),
        (">=2019-07", day(2019, 7), None),
        ("<2020", None, day(2020)),
        ("<=2020", None, day(2021)),
        ("> 2019", day(2020), None),
        ("9999", day(9999), None),
        ("9999-12-31", day(9999, 12, 31), None),
    ],
)
def test_dates_are_half_open_spans_in_utc(value: str, start: datetime | None, end: datetime | None) -> None:
    assert read(f"started:{value}") == DateFilter("started", (DateSpan(start, end),))


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        (">1h", HOUR + 1, None),
        (">=1h", HOUR, None),
        ("<90s", None, 90),
        ("<=90s", None, 91),
        (">=1h30m", HOUR + 30 * MINUTE, None),
        ("30m..6h", 30 * MINUTE, 6 * HOUR + 1),
        ("30m..", 30 * MINUTE, None),
        ("..2d", None, 2 * DAY + 1),
        ("2d", 2 * DAY, 3 * DAY),
        ("1h30m", 90 * MINUTE, 91 * MINUTE),
        ("1w2d3h4m5s", 9 * DAY + 3 * HOUR + 4 * MINUTE + 5, 9 * DAY + 3 * HOUR + 4 * MINUTE + 6),
        ("2H", 2 * HOUR, 3 * HOUR),
        ("1hour30min", 90 * MINUTE, 91 * MINUTE),
        (">=2days", 2 * DAY, None),
    ],
)
def test_durations_are_half_open_spans_of_seconds(value: str, low: int | None, high: int | None) -> None:
    assert read(f"duration:{value}") == DurationFilter("duration", (SecondSpan(low, high),))


def test_references_are_numbers_of_incidents() -> None:
    assert read("ref:INC-12,13,inc-12") == NumberFilter("ref", (12, 13))


@pytest.mark.parametrize(
    "written",
    [
        *("severity:high", "severity:5", "severity:", "severity:sev1,high", "status:500", "origin:mine"),
        *("detected:nobody", "mitigation:prayer", "family:cats", "is:mine", "has:", "has:cats"),
        *("pattern:x1", "pattern:-", "pattern:a--1", "org:", "org:*", "team:" + "x" * 201),
        *("started:yesterday", "started:2019-13", "started:2019-02-30", "started:0000", "started:19"),
        *("started:", "started:..", "started:2021..2019", "started:2019...2021", "started:>2019..2020"),
        *(
            "started:>",
            "started:=2019",
            "started:><2019",
            "started:\u0662\u0660\u0661\u0669",
            "started:>9999",
        ),
        *("duration:1", "duration:h", "duration:", "duration:..", "duration:6h..30m", "duration:1m1h"),
        *("duration:-1h", "duration:1.5h", "duration:99999999h", "duration:>"),
        *("ref:INC-", "ref:0", "ref:12345678901", "ref:refs/heads", "ref:-1"),
    ],
)
def test_a_value_that_a_field_cannot_take_is_not_read(written: str) -> None:
    assert read(written) is None


@given(st.sampled_from(FIELDS), st.lists(st.text() | st.text(st.sampled_from("0129-.<>=hmdINCsev ")), max_size=4))
def test_no_value_of_any_field_raises(field: Field[Any], values: list[str]) -> None:
    node = field.read(values, "text")
    assert node is None or isinstance(node, Filter | Or)


@given(st.dates(date(1000, 1, 1)), st.sampled_from(["%Y-%m-%d", "%Y-%m", "%Y"]))
def test_a_date_is_within_its_own_day_month_and_year(when: date, form: str) -> None:
    node = read(f"started:{when.strftime(form)}")
    assert isinstance(node, DateFilter)
    (span,) = node.values
    assert span.start is not None
    assert span.start <= datetime.combine(when, time.min, UTC)
    assert span.end is None or datetime.combine(when, time.max, UTC) < span.end


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_comparison_of_durations_means_what_it_says(bound: int, seconds: int) -> None:
    def within(value: str) -> bool:
        node = read(f"duration:{value}")
        assert isinstance(node, DurationFilter)
        (span,) = node.values
        return (span.low is None or span.low <= seconds) and (span.high is None or seconds < span.high)

    assert within(f">{bound}s") == (seconds > bound)
    assert within(f">={bound}s") == (seconds >= bound)
    assert within(f"<{bound}s") == (seconds < bound)
    assert within(f"<={bound}s") == (seconds <= bound)
    assert within(f"{bound}s") == (seconds == bound)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_field_is_known_in_any_case_and_says_what_it_takes(field: Field[Any]) -> None:
    assert by_name(field.name.upper()) is field
    assert field.takes


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("sevrity", "severity"),
        ("severty", "severity"),
        ("seveirty", "severity"),
        ("Sev", "severity"),
        ("organisation", "org"),
        ("organization", "org"),
        ("organisaton", "org"),
        ("orgs", "org"),
        ("ogr", "org"),
        ("satrted", "started"),
        ("date", "started"),
        ("patterns", "pattern"),
        ("teams", "team"),
        ("detected_by", "detected"),
        ("duraton", "duration"),
        ("iss", "is"),
    ],
)
def test_a_typo_in_a_name_is_recognized(name: str, meaning: str) -> None:
    field = guess(name)
    assert field is not None
    assert field.name == meaning


@pytest.mark.parametrize("name", ["a", "x", "os", "http", "https", "foo", "error", "host", "user", "env", "C"])
def test_other_names_are_not_taken_for_typos(name: str) -> None:
    assert guess(name) is None


def test_names_are_compared_regardless_of_case_width_and_extra_space() -> None:
    assert fold_name("  Knight \t CAPITAL ") == fold_name("\uff2b\uff4eight capital") == "knight capital"
