"""Actions on sections of prose and on the rows of records sections. Each section and row has its own version, so that
two people who edit different ones never conflict."""

from __future__ import annotations

import re
import uuid as uuids
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any

from django.db.models import Count, Max
from django.utils import timezone

from incidents.actions.change import Change, changing
from incidents.actions.size import check_size
from incidents.document import relation
from incidents.errors import Invalid, Missing, Stale
from incidents.models import ActionItem, Incident, PostmortemSection, Row
from incidents.records import KINDS, SUPPORTED_FACTS, Kind, People
from incidents.scopes import Viewer
from incidents.template import section_plans
from incidents.text import SECTION_BYTES, clean
from incidents.vocabulary import ActionState, SectionKind, Status

ROWS_PER_KIND = 1_000
_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def change_section(
    *,
    actor: Viewer,
    incident_id: int,
    key: str,
    body: str | None = None,
    none_reason: str | None = None,
    expected_version: int | None = None,
) -> PostmortemSection:
    """Save one section's text, or the reason why a records section has no rows. Raises Stale when someone else saved
    it first."""
    with changing(actor, incident_id) as change:
        section = change.incident.sections.filter(key=key).first()
        if section is None:
            raise Missing
        if expected_version is not None and section.version != expected_version:
            raise Stale(section.version)
        if rewrite_section(change, section, body=body, none_reason=none_reason):
            save_sections([section])
        check_size(change.incident)
    return section


def rewrite_section(
    change: Change,
    section: PostmortemSection,
    *,
    body: str | None = None,
    none_reason: str | None = None,
) -> bool:
    """`set_texts`, recorded for the audit. Raises Invalid."""
    differs = set_texts(change, section, body=body, none_reason=none_reason)
    if differs:
        change.record("section.changed", section, key=section.key, size=len(section.body))
    return differs


def set_texts(
    change: Change, section: PostmortemSection, *, body: str | None = None, none_reason: str | None = None
) -> bool:
    """Set a section's texts, to be saved with `save_sections`. False when nothing differs. Raises Invalid."""
    key = section.key
    kind = next(s.kind for s in section_plans(change.incident.template) if s.key == key)
    if body is not None:
        body = clean(f"sections.{key}.body", body, max_bytes=SECTION_BYTES)
        if body and kind is SectionKind.RECORDS:
            raise Invalid({f"sections.{key}.body": "This section holds records, not text. Add rows instead."})
    if none_reason is not None:
        none_reason = clean(f"sections.{key}.none_reason", none_reason, max_characters=500, single_line=True)
        if none_reason and kind is SectionKind.PROSE:
            raise Invalid({f"sections.{key}.none_reason": "Only a records section can be left empty with a reason."})
    wanted = {
        name: value
        for name, value in (("body", body), ("none_reason", none_reason))
        if value is not None and value != getattr(section, name)
    }
    if wanted:
        for name, value in wanted.items():
            setattr(section, name, value)
        section.version += 1
        section.updated_by_id = change.actor.user_id
    return bool(wanted)


def save_sections(sections: Sequence[PostmortemSection]) -> None:
    """Save the texts of existing sections, in one statement."""
    # An upsert: `bulk_update` builds a CASE for every value, and is slower than saving the sections one by one.
    PostmortemSection.objects.bulk_create(
        sections,
        update_conflicts=True,
        unique_fields=["pk"],
        update_fields=["body", "none_reason", "version", "updated_by", "updated_at"],
    )


def add_row(*, actor: Viewer, incident_id: int, kind: str, values: Mapping[str, Any]) -> Row:
    """Add a row of a kind of records (a key of KINDS). Raises Invalid, naming fields."""
    with changing(actor, incident_id) as change:
        row = new_row(change, KINDS[kind], values, position=next_position(change, KINDS[kind]))
        row.save()
        check_size(change.incident)
    return row


def next_position(change: Change, kind: Kind, *, adding: int = 1) -> int:
    """The position for the first of the rows to be added. Raises Invalid when there are too many."""
    existing = getattr(change.incident, relation(kind.name)).order_by().aggregate(n=Count("pk"), last=Max("position"))
    if existing["n"] + adding > ROWS_PER_KIND:
        raise Invalid({kind.name: f"This can have at most {ROWS_PER_KIND:,} rows."})
    return (existing["last"] or 0) + 1


def new_row(
    change: Change,
    kind: Kind,
    values: Mapping[str, Any],
    *,
    position: int,
    path: str = "",
    uuid: uuids.UUID | None = None,
    people: People | None = None,
) -> Row:
    """An unsaved row with these values. `people` as for `Kind.read`. Raises Invalid, naming fields."""
    columns = kind.read(path, dict(values), zone=change.incident.time_zone, partial=False, people=people)
    if uuid is None:
        # What a row that is put back names may be gone since.
        _check_supported(change, columns, (), path)
    row = kind.model(
        incident=change.incident,
        position=position,
        **({"uuid": uuid} if uuid else {}),
        **_with_done_at(columns, None, path),
    )
    change.record(f"{kind.name}.added", row)
    return row


def change_row(
    *,
    actor: Viewer,
    incident_id: int,
    kind: str,
    row_id: uuids.UUID,
    values: Mapping[str, Any],
    expected_version: int | None = None,
) -> Row:
    """Change some fields of a row. The live fields of an action item, such as its state and owner, can be changed after
    publishing too. Raises Missing, Stale, Invalid."""
    live = {field.name for field in KINDS[kind].fields if field.live}
    states = tuple(Status) if values and set(values) <= live else (Status.DRAFT, Status.IN_REVIEW)
    with changing(actor, incident_id, states=states) as change:
        row = _find_row(change, kind, row_id, expected_version)
        apply_row(change, KINDS[kind], row, values)
        check_size(change.incident)
    return row


def apply_row(
    change: Change,
    kind: Kind,
    row: Row,
    values: Mapping[str, Any],
    *,
    path: str = "",
    people: People | None = None,
) -> None:
    """Change some fields of a row, and save it if they differ. `people` as for `Kind.read`. Raises Invalid, naming
    fields."""
    # Unchanged values are not read again: an unchanged owner may have been deactivated since.
    now = kind.write(row, change.incident.time_zone)
    wanted = {name: value for name, value in values.items() if name not in now or now[name] != value}
    if kind.ordered_by_time and wanted.keys() & {"at", "precision"}:
        wanted |= {name: value for name, value in values.items() if name in ("at", "precision")}
        # A precision alone applies to the row's current time.
        wanted.setdefault("at", now["at"])
    columns = kind.read(path, wanted, zone=change.incident.time_zone, partial=True, people=people)
    columns = _with_done_at(columns, row, path)
    _check_supported(change, columns, now.get("supports", ()), path)
    differing = {name: value for name, value in columns.items() if getattr(row, name) != value}
    if differing:
        for name, value in differing.items():
            setattr(row, name, value)
        row.version += 1
        row.save()
        change.record(f"{kind.name}.changed", row, fields=sorted(differing))


def remove_row(
    *, actor: Viewer, incident_id: int, kind: str, row_id: uuids.UUID, expected_version: int | None = None
) -> None:
    with changing(actor, incident_id) as change:
        row = _find_row(change, kind, row_id, expected_version)
        change.record(f"{kind}.removed", row)
        row.delete()


def _find_row(change: Change, kind: str, row_id: uuids.UUID, expected_version: int | None) -> Row:
    row: Row | None = getattr(change.incident, relation(kind)).filter(uuid=row_id).first()
    if row is None:
        raise Missing
    if expected_version is not None and row.version != expected_version:
        raise Stale(row.version)
    return row


def check_row_versions(change: Change, kind: Kind, wanted: Any) -> None:
    """Raises Stale, naming the index, when a row of `wanted` has a `version` that is not its current one."""
    rows = wanted if isinstance(wanted, list) else []
    named = {
        _row_id(row.get("id")): (place, row["version"])
        for place, row in enumerate(rows)
        if isinstance(row, Mapping) and "version" in row
    }
    if not named:
        return
    for row_id, version in getattr(change.incident, relation(kind.name)).values_list("uuid", "version"):
        place, expected = named.get(str(row_id), (0, version))
        if expected != version:
            raise Stale(version, field=f"{kind.name}.{place}.version")


def replace_rows(change: Change, kind: Kind, wanted: Sequence[Mapping[str, Any]]) -> None:
    """Make the rows of a kind exactly `wanted`, in that order. Rows are matched by id: a row without an id is new, a
    row that is missing from `wanted` is removed. A row that was only moved keeps its version, because its text does
    not change. The versions in `wanted` are checked by `check_row_versions`.

    Raises Invalid, naming the row by its index.
    """
    if len(wanted) > ROWS_PER_KIND:
        raise Invalid({kind.name: f"This can have at most {ROWS_PER_KIND:,} rows."})
    stored = getattr(change.incident, relation(kind.name)).prefetch_related(*kind.person_fields)
    existing = {str(row.uuid): row for row in stored}
    people = kind.people(wanted)
    times = {row_id: row.at for row_id, row in existing.items()} if kind.ordered_by_time else {}
    problems: dict[str, list[str]] = {}
    places: dict[str, int] = {}
    added: list[Row] = []
    named = {_row_id(item["id"]) for item in wanted if isinstance(item, Mapping) and item.get("id") is not None}
    for row_id, row in existing.items():
        if row_id not in named:
            change.record(f"{kind.name}.removed", row)
            row.delete()
    for place, item in enumerate(wanted):
        path = f"{kind.name}.{place}."
        if not isinstance(item, Mapping):
            problems[path.rstrip(".")] = ["This must be an object."]
            continue
        values = dict(item)
        row_id = _row_id(values.pop("id", None))
        row = existing.get(row_id)
        if row is not None:
            values.pop("version", None)
        try:
            if not row_id and "version" in values:
                problems[f"{path}version"] = ["A row without an id is new and cannot have a version."]
            elif not row_id:
                added.append(new_row(change, kind, values, path=path, position=place, people=people))
            elif row is None or row_id in places:
                problems[f"{path}id"] = ["This incident has no row with this id, or the id appears twice."]
            else:
                places[row_id] = place
                apply_row(change, kind, row, values, path=path, people=people)
                if row.position != place:
                    type(row)._default_manager.filter(pk=row.pk).update(position=place)
        except Invalid as error:
            problems.update(error.fields)
    if problems:
        raise Invalid(problems)
    kind.model._default_manager.bulk_create(added)
    for row_id in _moved_ids(list(existing), list(places), times):
        change.record(f"{kind.name}.moved", existing[row_id], place=places[row_id])


def _row_id(value: Any) -> str:
    """The id in lower case, since a UUID can be written in either. Empty when there is none."""
    return "" if value is None else str(value).lower()


def _moved_ids(before: list[str], kept: list[str], times: Mapping[str, datetime]) -> list[str]:
    """The kept rows whose relative order changed. A row is not moved when its position changes only because
    others were added or removed. `times`: for rows that are ordered by time, their times before the change."""
    still = set(kept)
    before = [row_id for row_id in before if row_id in still]
    if times:
        # Only rows with the same time can change places.
        kept = sorted(kept, key=lambda row_id: times[row_id])
    blocks = SequenceMatcher(None, before, kept, autojunk=False).get_matching_blocks()
    stayed = {row_id for block in blocks for row_id in before[block.a : block.a + block.size]}
    return [row_id for row_id in kept if row_id not in stayed]


def _check_supported(change: Change, columns: Mapping[str, Any], already: Collection[str], path: str) -> None:
    """Raises Invalid for what a source cannot support: names that are no fact, section or row of the incident. It can
    keep what it named `already`, which may have been removed since. So can imports, which do not check this."""
    named = columns.get("supports", ())
    unknown = set(named).difference(SUPPORTED_FACTS, already)
    if not unknown:
        return
    keys = [*SUPPORTED_FACTS, *(section.key for section in section_plans(change.incident.template))]
    unknown = unknown.difference(keys, _existing_rows(change.incident, unknown))
    if unknown:
        message = f"This is no fact, section or row of the incident. Use {', '.join(keys)}, or the id of a row."
        raise Invalid({f"{path}supports.{place}": message for place, name in enumerate(named) if name in unknown})


def _existing_rows(incident: Incident, names: Iterable[str]) -> set[str]:
    """The names that are ids of the incident's rows."""
    ids = [name for name in names if _UUID.fullmatch(name)]
    if not ids:
        return set()
    rows = [getattr(incident, relation(kind)).order_by().filter(uuid__in=ids).values_list("uuid") for kind in KINDS]
    return {str(row_id) for (row_id,) in rows[0].union(*rows[1:])}


def check_done_at(columns: Mapping[str, Any], path: str) -> None:
    """Raises Invalid for the `done_at` of an action item that is not done."""
    if columns.get("done_at") and columns.get("state") != ActionState.DONE:
        raise Invalid(
            {f"{path}done_at": "Only an action item that is done can have this. Set its state to done as well."}
        )


def _with_done_at(columns: dict[str, Any], row: Row | None, path: str) -> dict[str, Any]:
    """Set `done_at` when an action item becomes done, unless it is given, and clear it when the item is reopened.
    Raises Invalid for a `done_at` of an item that is not done."""
    if columns.keys() & {"state", "done_at"}:
        action = row if isinstance(row, ActionItem) else ActionItem()
        if columns.get("state", action.state) != ActionState.DONE:
            check_done_at(columns, path)
            columns["done_at"] = None
        elif "state" not in columns and not columns["done_at"]:
            raise Invalid({f"{path}done_at": "An action item that is done keeps this. To clear it, change its state."})
        else:
            columns["done_at"] = columns.get("done_at") or action.done_at or timezone.now().replace(microsecond=0)
    return columns
