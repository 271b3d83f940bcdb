"""Actions on several rows, or on the position of one: add many, move one, put a removed one back."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Mapping, Sequence
from typing import Any

from incidents.actions.change import changing
from incidents.actions.sections import new_row, next_position
from incidents.actions.size import check_size
from incidents.document import relation
from incidents.errors import Invalid, Missing
from incidents.models import Row
from incidents.records import KINDS
from incidents.scopes import Viewer

LAST_POSITION = 1_000_000


def add_rows(*, actor: Viewer, incident_id: int, kind: str, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Add all rows or none. Raises Invalid with every problem, naming fields by their row's index: timeline.2.text."""
    added: list[Row] = []
    problems: dict[str, list[str]] = {}
    with changing(actor, incident_id) as change:
        first = next_position(change, KINDS[kind], adding=len(rows))
        people = KINDS[kind].people(rows)
        for place, values in enumerate(rows):
            path = f"{kind}.{place}."
            try:
                added.append(new_row(change, KINDS[kind], values, path=path, position=first + place, people=people))
            except Invalid as error:
                problems.update(error.fields)
        if problems:
            raise Invalid(problems)
        KINDS[kind].model._default_manager.bulk_create(added)
        check_size(change.incident)
    return added


def move_row(*, actor: Viewer, incident_id: int, kind: str, row_id: uuids.UUID, by: int) -> None:
    """Move a row up (`by` -1) or down (+1) within its kind; at either end it stays. Its version stays too, because its
    text does not change.

    Raises Missing, and Invalid for rows that are ordered by time.
    """
    if KINDS[kind].ordered_by_time:
        raise Invalid({kind: "These rows are ordered by time and cannot be moved."})
    with changing(actor, incident_id) as change:
        rows = list(getattr(change.incident, relation(kind)).all())
        index = next((place for place, row in enumerate(rows) if row.uuid == row_id), None)
        if index is None:
            raise Missing
        target = min(max(index + by, 0), len(rows) - 1)
        if target == index:
            return
        rows.insert(target, rows.pop(index))
        for place, row in enumerate(rows):
            row.position = place
        KINDS[kind].model._default_manager.bulk_update(rows, ["position"])
        change.record(f"{kind}.moved", rows[target], place=target)


def put_back_row(
    *,
    actor: Viewer,
    incident_id: int,
    kind: str,
    row_id: uuids.UUID,
    position: int,
    values: Mapping[str, Any],
) -> Row:
    """Undo a removal: the row as it was, under its old id, so that references to it work again. It can name a user who
    was deactivated since.

    Raises Invalid when the row exists or its values are wrong.
    """
    with changing(actor, incident_id) as change:
        if KINDS[kind].model._default_manager.filter(uuid=row_id).exists():
            raise Invalid({kind: "This row is already in the list. Reload it."})
        # Only to check the limit: this row goes back to its old position.
        next_position(change, KINDS[kind])
        place = min(max(position, 0), LAST_POSITION)
        people = KINDS[kind].people([values], include_inactive=True)
        row = new_row(change, KINDS[kind], values, uuid=row_id, position=place, people=people)
        # Skip to an unused version so that a stale If-Match cannot succeed: one write raises the version of a row by at
        # most two, and that of its incident by one.
        row.version = 2 * change.incident.version
        row.save()
        check_size(change.incident)
    return row
