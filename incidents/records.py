"""The kinds of records in a postmortem, each declared once: its model, its fields, and how each field is read.

Adding a field or a kind is one entry here; actions, export, import, REST and pages all follow this table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import Q
from django.db.models.functions import Lower

from incidents import vocabulary
from incidents.durations import Moment, read_moment, to_iso
from incidents.errors import Invalid
from incidents.models import (
    ActionItem,
    Cause,
    Disagreement,
    ImpactFigure,
    Lesson,
    Row,
    Source,
    TimelineEvent,
    User,
)
from incidents.models.incident import TIMES
from incidents.text import clean, clean_choice, clean_url

TEXT_CHARACTERS = 20_000
# The facts that a source can support, in addition to sections and single rows.
SUPPORTED_FACTS = (
    "organization",
    "services",
    "severity",
    *TIMES,
    "stated_duration",
    "detected_by",
    "mitigations",
    "impact_figures",
)
# How many of them one source can name.
MAX_NAMES = 200

# Users by e-mail address, both as stored and in lower case.
People = Mapping[str, User]


@dataclass(frozen=True, slots=True)
class ReadContext:
    """What reading a row needs besides its values: the time zone of its times, and the users that it can name."""

    zone: str
    people: People


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record.

    `read(path, value, context)` returns the stored value or raises Invalid; `write(value)` returns the exported one.
    `shape` is the JSON type in the API's schema. A `private` field is shown to signed-in viewers only; a `live` one can
    be changed after publishing; one that is not `nullable` always has a value and does not accept null.
    """

    name: str
    shape: str
    read: Callable[[str, Any, ReadContext], Any]
    write: Callable[[Any], Any]
    required: bool = False
    private: bool = False
    live: bool = False
    nullable: bool = True
    choices: tuple[str, ...] = ()
    column: str = ""

    @property
    def stored_in(self) -> str:
        return self.column or self.name


def _text(
    name: str,
    *,
    limit: int = TEXT_CHARACTERS,
    required: bool = False,
    line: bool = False,
    private: bool = False,
) -> Field:
    return Field(
        name,
        "string",
        lambda path, value, context: clean(path, value, max_characters=limit, required=required, single_line=line),
        lambda value: value,
        required=required,
        private=private,
    )


def _url(name: str, *, required: bool = False, private: bool = False, live: bool = False) -> Field:
    return Field(
        name,
        "string",
        lambda path, value, context: clean_url(path, value, required=required),
        lambda value: value,
        required=required,
        private=private,
        live=live,
    )


def _choice(
    name: str, choices: list[str], *, required: bool = False, nullable: bool = False, live: bool = False
) -> Field:
    return Field(
        name,
        "choice",
        lambda path, value, context: clean_choice(path, value, choices, optional=nullable),
        lambda value: value or None,
        required=required,
        live=live,
        nullable=nullable,
        choices=tuple(choices),
    )


def _read_date(path: str, value: Any, context: ReadContext) -> date | None:
    text = "" if value is None else str(value)
    if text and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        raise Invalid({path: "Enter a date as YYYY-MM-DD, such as 2026-03-31."})
    moment = read_moment(path, text)
    return moment.at.date() if moment else None


def _write_instant(value: datetime | None) -> str | None:
    return value.isoformat() if value else None


def _date(name: str, *, live: bool = False) -> Field:
    return Field(name, "date", _read_date, lambda value: value.isoformat() if value else None, live=live)


def _read_instant(path: str, value: Any, context: ReadContext) -> datetime | None:
    moment = read_moment(path, value, zone=context.zone)
    return moment.at if moment else None


def _read_partial_date(path: str, value: Any, context: ReadContext) -> str:
    text = clean(path, value, single_line=True)
    if text and not re.fullmatch(r"\d{4}(-\d{2}(-\d{2})?)?", text, re.ASCII):
        raise Invalid({path: "Enter a year, month or date, such as 2026, 2026-03 or 2026-03-31."})
    # Refuses dates that do not exist.
    read_moment(path, text)
    return text


# Decimal alone would accept underscores, digits of other scripts, and exponents too large to compute with.
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)


def _read_number(path: str, value: Any, context: ReadContext) -> Decimal:
    text = str(value).strip()
    if not _NUMBER.fullmatch(text):
        raise Invalid({path: "Enter a number, such as 4211 or 12.5."})
    given = Decimal(text)
    if abs(given) >= Decimal(10) ** 19:
        raise Invalid({path: "This must be a number between -10^19 and 10^19."})
    number = given.quantize(Decimal("0.0001"))
    if number != given:
        raise Invalid({path: "This can have at most 4 decimal places. Round it to the precision to show."})
    # As many as every database and every JSON reader preserve.
    if len(number.normalize().as_tuple().digits) > 15:
        raise Invalid({path: "This can have at most 15 significant digits."})
    return number


def _write_number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _read_flag(path: str, value: Any, context: ReadContext) -> bool:
    if value in (None, ""):
        return False
    if not isinstance(value, bool):
        raise Invalid({path: "This must be true or false."})
    return value


def _read_names(path: str, value: Any, context: ReadContext) -> list[str]:
    if value in (None, ""):
        return []
    if not isinstance(value, list) or len(value) > MAX_NAMES:
        raise Invalid({path: f"This must be a list of at most {MAX_NAMES} fact names."})
    return [
        clean(f"{path}.{i}", name, max_characters=80, required=True, single_line=True) for i, name in enumerate(value)
    ]


def _read_person(path: str, value: Any, context: ReadContext) -> User | None:
    """The user with this e-mail address, or None when it is empty."""
    if value in (None, ""):
        return None
    found = context.people.get(str(value)) or context.people.get(str(value).lower())
    if found is None:
        raise Invalid({path: "No active user has this e-mail address. Leave it empty if there is no owner yet."})
    return found


def _people(addresses: Iterable[Any], *, include_inactive: bool) -> People:
    """The users with one of these addresses; deactivated ones only with `include_inactive`."""
    asked = {str(address) for address in addresses if address not in (None, "") and "\x00" not in str(address)}
    if not asked:
        return {}
    # SQLite's LOWER handles only ASCII, so the address is matched as given too.
    is_asked = Q(address__in={address.lower() for address in asked}) | Q(email__in=asked)
    found = User.objects.annotate(address=Lower("email")).filter(is_asked, is_system=False)
    if not include_inactive:
        found = found.filter(is_active=True)
    return {address: user for user in found for address in (user.email.lower(), user.email)}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of record. `name` is its key in documents and URLs; `ordered_by_time` rows sort by `at`."""

    name: str
    model: type[Row]
    fields: tuple[Field, ...]
    singular: str
    ordered_by_time: bool = False

    @property
    def person_fields(self) -> tuple[str, ...]:
        """The names of the fields that refer to a user."""
        return tuple(field.name for field in self.fields if field.shape == "email")

    def people(self, rows: Iterable[Any], *, include_inactive: bool = False) -> People:
        """The users named by any of these rows, looked up together, to pass to `read` for each row. Includes
        deactivated users with `include_inactive`."""
        named = (row.get(name) for row in rows if isinstance(row, Mapping) for name in self.person_fields)
        return _people(named, include_inactive=include_inactive)

    def read(
        self, path: str, values: dict[str, Any], *, zone: str, partial: bool, people: People | None = None
    ) -> dict[str, Any]:
        """The column values for `values`. Raises one Invalid for all unknown names, missing required fields and bad
        values. `people`: the users that the values can name; looked up when not given."""
        context = ReadContext(zone, self.people([values]) if people is None else people)
        known = {field.name: field for field in self.fields}
        timed = {"at", "precision"} if self.ordered_by_time else set()
        problems: dict[str, list[str]] = {}
        for name in values:
            if name not in known and name not in timed:
                problems[f"{path}{name}"] = [f"Unknown field. Known ones are {', '.join([*sorted(timed), *known])}."]
        out: dict[str, Any] = {}
        if self.ordered_by_time and ("at" in values or not partial):
            try:
                moment = read_moment(
                    f"{path}at",
                    {"at": values.get("at"), "precision": values.get("precision")} if values.get("at") else None,
                    zone=zone,
                )
                if moment is None:
                    raise Invalid({f"{path}at": "This field is required."})
                out["at"], out["precision"] = moment.at, moment.precision.value
            except Invalid as error:
                problems.update(error.fields)
        for field in self.fields:
            if field.name not in values and (partial or not field.required):
                continue
            try:
                out[field.stored_in] = field.read(f"{path}{field.name}", values.get(field.name), context)
            except Invalid as error:
                problems.update(error.fields)
        if problems:
            raise Invalid(problems)
        return out

    def write(self, row: Any, zone: str) -> dict[str, Any]:
        """The row as documents show it, its id first."""
        out: dict[str, Any] = {"id": str(row.uuid)}
        if self.ordered_by_time:
            out["at"] = to_iso(Moment(row.at, vocabulary.Precision(row.precision)), zone)
            out["precision"] = row.precision
        for field in self.fields:
            out[field.name] = field.write(getattr(row, field.stored_in))
        return out


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "timeline",
            TimelineEvent,
            (
                _choice("kind", vocabulary.EventKind.values),
                _text("text", required=True),
                _url("data_url", private=True),
            ),
            "timeline event",
            ordered_by_time=True,
        ),
        Kind(
            "causes",
            Cause,
            (
                _choice("kind", vocabulary.CauseKind.values, required=True),
                _choice("family", vocabulary.Family.values, nullable=True),
                _text("text", required=True),
            ),
            "cause",
        ),
        Kind("lessons", Lesson, (_text("text", required=True),), "lesson"),
        Kind(
            "actions",
            ActionItem,
            (
                _choice("kind", vocabulary.ActionKind.values, required=True),
                _choice("state", vocabulary.ActionState.values, live=True),
                _text("text", required=True),
                Field(
                    "owner",
                    "email",
                    _read_person,
                    lambda user: user.email if user else None,
                    private=True,
                    live=True,
                ),
                _date("due", live=True),
                _url("tracker_url", private=True, live=True),
                Field("done_at", "date-time", _read_instant, _write_instant, live=True),
            ),
            "action item",
        ),
        Kind(
            "impact_figures",
            ImpactFigure,
            (
                _text("label", limit=120, required=True, line=True),
                _choice("qualifier", vocabulary.Qualifier.values),
                Field("value", "number", _read_number, _write_number, required=True),
                _text("unit", limit=40, required=True, line=True),
                _text("source", limit=1_000, line=True, private=True),
            ),
            "impact figure",
        ),
        Kind(
            "sources",
            Source,
            (
                _url("url", required=True),
                _url("archive_url"),
                _text("publisher", limit=120, line=True),
                _text("title", limit=300, required=True, line=True),
                Field("published", "string", _read_partial_date, lambda value: value or None),
                _date("looked_up"),
                Field("primary", "boolean", _read_flag, bool, column="is_primary"),
                Field("supports", "strings", _read_names, list),
            ),
            "source",
        ),
        Kind(
            "disagreements",
            Disagreement,
            (
                _text("about", limit=60, required=True, line=True),
                _text("text", required=True),
            ),
            "disagreement",
        ),
    )
}
