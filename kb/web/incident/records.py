"""The records of a postmortem as its page shows them: timeline by day, causes by kind, actions with due dates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Any

from incidents.durations import SPAN, Moment, read_stored_moment
from incidents.vocabulary import ActionKind, ActionState, CauseKind, EventKind, Family, LinkKind
from incidents.wording import with_noun
from kb.web.times import INSTANT_PRECISIONS, FormattedMoment, format_moment, local

Row = Mapping[str, Any]

# The colours of events on the timeline. Other kinds are neutral.
_COLOURS = {
    EventKind.IMPACT: "impact",
    EventKind.DETECT: "detect",
    EventKind.MITIGATE: "mitigate",
    EventKind.RESOLVE: "mitigate",
}
OPEN_STATES = (ActionState.OPEN, ActionState.IN_PROGRESS)
# A due date this near is given as a number of days.
NEAR_DAYS = 14

# How a link reads on the page of either incident. The subject is the incident of the page.
LINK_WORDS = {
    (LinkKind.SAME_EVENT, "out"): "Same event as",
    (LinkKind.SAME_EVENT, "in"): "Same event as",
    (LinkKind.PART_OF, "out"): "Part of",
    (LinkKind.PART_OF, "in"): "Includes",
    (LinkKind.CAUSED_BY, "out"): "Caused by",
    (LinkKind.CAUSED_BY, "in"): "Caused",
    (LinkKind.RECURRENCE_OF, "out"): "Recurrence of",
    (LinkKind.RECURRENCE_OF, "in"): "Recurred as",
    (LinkKind.RELATED, "out"): "Related to",
    (LinkKind.RELATED, "in"): "Related to",
}


@dataclass(frozen=True, slots=True)
class Event:
    time: FormattedMoment
    colour: str
    kind: str
    text: str
    field: str
    data_url: str


@dataclass(frozen=True, slots=True)
class Day:
    """`title` is empty when the head of the page already shows the day."""

    title: str
    events: list[Event]


@dataclass(frozen=True, slots=True)
class Cause:
    """`family` is its label, or empty."""

    text: str
    field: str
    family: str


@dataclass(frozen=True, slots=True)
class CauseGroup:
    title: str
    causes: list[Cause]


@dataclass(frozen=True, slots=True)
class Lesson:
    text: str
    field: str


@dataclass(frozen=True, slots=True)
class Action:
    """`due` is in words, and empty once the action is closed."""

    state: str
    is_done: bool
    kind: str
    text: str
    field: str
    owner: str
    due: str
    due_on: date | None
    is_late: bool
    tracker_url: str


@dataclass(frozen=True, slots=True)
class Link:
    words: str
    ref: str
    title: str
    organization: str
    note: str


def timeline(rows: Iterable[Row], *, zone: str, day_of_head: str = "") -> list[Day]:
    """Events in chronological order, grouped by the calendar day the reader sees.

    `day_of_head` is the day shown in the head of the page. Events known only to the day or coarser come first in their
    day.
    """
    parsed = [(read_stored_moment({"at": row["at"], "precision": row["precision"]}, zone=zone), row) for row in rows]
    moments = sorted(((moment, row) for moment, row in parsed if moment), key=lambda pair: _sort_key(pair[0], zone))
    events = [(time := format_moment(moment, zone=zone), _event(row, time, moment)) for moment, row in moments]
    days = [
        Day(title, [event for _, event in members]) for title, members in groupby(events, key=lambda pair: pair[0].day)
    ]
    is_in_head = len(days) == 1 and days[0].title == day_of_head
    return [Day("", days[0].events)] if is_in_head and all(time.clock for time, _ in events) else days


def _sort_key(moment: Moment, zone: str) -> tuple[date, timedelta]:
    """The sort key of a moment: the day under which it is shown, then coarser moments first.

    Not the instant: for a date that is midnight in `zone`, which can fall on the day before in the reader's zone.
    """
    span = timedelta() if moment.precision in INSTANT_PRECISIONS else SPAN[moment.precision]
    return local(moment, zone=zone).date(), -span


def _event(row: Row, time: FormattedMoment, moment: Moment) -> Event:
    kind = EventKind(row["kind"])
    return Event(
        time=time if moment.precision in INSTANT_PRECISIONS else FormattedMoment("", "", time.iso, ""),
        colour=_COLOURS.get(kind, ""),
        kind="" if kind is EventKind.OTHER else kind.label,
        text=row["text"],
        field=_field("timeline", row),
        data_url=row["data_url"] or "",
    )


def lessons(rows: Iterable[Row]) -> list[Lesson]:
    return [Lesson(row["text"], _field("lessons", row)) for row in rows]


def _field(kind: str, row: Row) -> str:
    """The field path by which evidence refers to a row's text."""
    return f"{kind}/{row['id']}"


def causes(rows: Iterable[Row]) -> list[CauseGroup]:
    """The causes by kind, without kinds that have none."""
    rows = list(rows)
    groups = []
    for kind in CauseKind:
        members = [
            Cause(row["text"], _field("causes", row), Family(row["family"]).label if row["family"] else "")
            for row in rows
            if row["kind"] == kind
        ]
        if members:
            groups.append(CauseGroup(f"{kind.label}s" if len(members) > 1 else kind.label, members))
    return groups


def actions(rows: Iterable[Row], *, names: Mapping[str, str], today: date, shows_unowned: bool) -> list[Action]:
    """The action items. `names` maps the owners' addresses to names.

    `shows_unowned` is True for viewers who can see owners, so that a missing one can be pointed out.
    """
    return [_action(row, names, today, shows_unowned) for row in rows]


def _action(row: Row, names: Mapping[str, str], today: date, shows_unowned: bool) -> Action:
    state = ActionState(row["state"])
    is_open = state in OPEN_STATES
    due = date.fromisoformat(row["due"]) if row["due"] else None
    owner = names.get(row["owner"] or "", row["owner"] or "")
    return Action(
        state=state.label,
        is_done=state is ActionState.DONE,
        kind=ActionKind(row["kind"]).label,
        text=row["text"],
        field=_field("actions", row),
        owner=owner or ("no owner yet" if is_open and shows_unowned else ""),
        due=due_words(due, today) if due and is_open else "",
        due_on=due,
        is_late=bool(due and is_open and due < today),
        tracker_url=row["tracker_url"] or "",
    )


def due_words(due: date, today: date) -> str:
    """The due date in words: "12 days late", "due today", "due in 3 days", "due 31 March 2026"."""
    days = (due - today).days
    if days < 0:
        return f"{with_noun(-days, 'day')} late"
    if days == 0:
        return "due today"
    if days <= NEAR_DAYS:
        return f"due in {with_noun(days, 'day')}"
    return f"due {due.day} {due:%B} {due.year}"


def links(rows: Iterable[Row]) -> list[Link]:
    """Each link once, even if both incidents name each other."""
    shown = (
        Link(
            words=LINK_WORDS[LinkKind(row["kind"]), row["direction"]],
            ref=row["incident"]["ref"],
            title=row["incident"]["title"],
            organization=row["incident"]["organization"],
            note=row["note"],
        )
        for row in rows
    )
    return list(dict.fromkeys(shown))
