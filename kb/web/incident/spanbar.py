"""The span bar: the stretches between an incident's four times, drawn to scale, using only known times.

A bar is drawn only when its two ends are exact enough to be measured (see incidents.durations.between). A time between
them that is too coarse for the length of the bar is given in words but not drawn, and the stretch that contains it is
neutral.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from incidents.durations import SPAN, TOLERATED_UNCERTAINTY, DurationKind, Moment, between
from incidents.vocabulary import Precision
from kb.web.times import FormattedMoment, duration_words, format_moment, known_duration

WIDTH = 1000
GAP = 2
MIN_WIDTH = 5

# The kind of the stretch that each time begins, which decides its colour.
BEGINS = {"started": "impact", "detected": "detect", "mitigated": "mitigate", "resolved": "calm"}
_PHASES = ("impact", "detect", "mitigate")


@dataclass(frozen=True, slots=True)
class Stretch:
    """One coloured part of the bar. The whole bar is WIDTH units wide."""

    kind: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Mark:
    """One known time: when it was, the kind of stretch it begins, and how long until the next one."""

    name: str
    kind: str
    time: FormattedMoment
    until_next: str


@dataclass(frozen=True, slots=True)
class SpanBar:
    """`stretches` is empty when the times are too vague to draw. `label` is the drawing's text alternative."""

    stretches: list[Stretch]
    marks: list[Mark]
    label: str
    width: int = WIDTH

    @property
    def has_clock(self) -> bool:
        """Whether any of the times is an instant, which another zone would show differently."""
        return any(mark.time.clock for mark in self.marks)

    @property
    def spans_days(self) -> bool:
        return len({mark.time.day for mark in self.marks}) > 1


@dataclass(frozen=True, slots=True)
class _KnownTime:
    name: str
    moment: Moment


def spanbar(times: Mapping[str, Moment | None], *, zone: str) -> SpanBar | None:
    """The span bar, or None when no time is known. `zone` is the one the times were published in."""
    known = [_KnownTime(name, moment) for name in BEGINS if (moment := times.get(name))]
    if not known:
        return None
    known.sort(key=lambda one: one.moment.at)
    marks = [
        Mark(one.name, BEGINS[one.name], format_moment(one.moment, zone=zone), _until_next(one, after))
        for one, after in zip(known, [*known[1:], None], strict=True)
    ]
    stretches, total = _stretches(known)
    lengths = [mark.until_next for mark in marks if mark.until_next]
    return SpanBar(stretches, marks, f"{total}, drawn to scale: {', '.join(lengths)}" if stretches else "")


def _until_next(one: _KnownTime, after: _KnownTime | None) -> str:
    """How long until the next time, with words for what had not happened yet."""
    duration = known_duration(one.moment, after.moment) if after else None
    if after is None or duration is None or not duration.seconds:
        return ""
    match one.name, after.name:
        case "started", "detected":
            suffix = "undetected"
        case _, "detected":
            suffix = "until it was detected"
        case _, "mitigated":
            suffix = "to mitigate"
        case _, "resolved":
            suffix = "to resolve"
        case _:
            suffix = "before it started"
    return f"{duration_words(duration)} {suffix}"


def _stretches(known: Sequence[_KnownTime]) -> tuple[list[Stretch], str]:
    """The stretches, and the total length in words. Both are empty when the ends are missing or too coarse."""
    by_name = {one.name: one for one in known}
    first = by_name.get("started", known[0])
    last = by_name.get("resolved", known[-1])
    total = between(first.moment, last.moment)
    if total is None or total.kind is not DurationKind.MEASURED or not total.seconds:
        return [], ""
    inner = [one for one in known if first.moment.at < one.moment.at < last.moment.at]
    drawn = [first, *(one for one in inner if _is_exact(one.moment, total.seconds)), last]
    vague = [one for one in inner if one not in drawn]
    lengths: list[tuple[str, float]] = []
    phase = 0
    for one, after in pairwise(drawn):
        phase = max(phase, _PHASES.index(BEGINS[one.name]))
        holds_vague = any(one.moment.at < other.moment.latest and other.moment.at < after.moment.at for other in vague)
        seconds = (after.moment.at - one.moment.at).total_seconds()
        if seconds:
            lengths.append(("calm" if holds_vague else _PHASES[phase], seconds))
    return _to_scale(lengths), duration_words(total)


def _is_exact(moment: Moment, seconds: int) -> bool:
    span = SPAN[moment.precision]
    return span <= SPAN[Precision.MINUTE] or span.total_seconds() <= TOLERATED_UNCERTAINTY * seconds


def _to_scale(lengths: Sequence[tuple[str, float]]) -> list[Stretch]:
    """The stretches with proportional widths. Those too narrow to see are widened at the expense of the widest."""
    room = WIDTH - GAP * (len(lengths) - 1)
    total = sum(length for _, length in lengths)
    widths = [max(MIN_WIDTH, room * length / total) for _, length in lengths]
    widths[widths.index(max(widths))] -= sum(widths) - room
    stretches, x = [], 0.0
    for (kind, _), width in zip(lengths, widths, strict=True):
        stretches.append(Stretch(kind, round(x, 1), round(width, 1)))
        x += width + GAP
    return stretches
