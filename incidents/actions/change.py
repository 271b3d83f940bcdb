"""What all actions on an incident share: the lock, the permission, the version, the audit entry, the outbox."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
from django.db.models import Model
from django.utils import timezone

from incidents import outbox, scopes
from incidents.errors import Missing, NotAllowed, Stale, WrongState
from incidents.models import AuditEntry, Incident
from incidents.scopes import Viewer
from incidents.vocabulary import Status

Permission = Callable[[Viewer, Incident], bool]
EDITORS_ONLY = "Only authors and leads of the owning team can change this."
LEADS_ONLY = "Only leads of the owning team and admins can do this."


@dataclass(slots=True)
class Change:
    """An incident under its row lock, in a transaction. Record steps with `record`; leaving the block writes them."""

    actor: Viewer
    incident: Incident
    was_visible_to: tuple[object, ...]
    entries: list[tuple[str, Model, dict[str, Any]]] = field(default_factory=list)
    narrows: bool = False
    counts_as_edit: bool = True

    def record(self, action: str, thing: Model | None = None, **change: Any) -> None:
        """Record one step for the audit, e.g. record("section.changed", section, key="summary")."""
        self.entries.append((action, thing or self.incident, change))


def audit(actor: Viewer, action: str, thing: Model, *, incident: Incident | None = None, **change: Any) -> None:
    """Write a single audit entry: for users, teams, organizations, or an incident outside `changing`."""
    _entry(actor, action, thing, incident, change).save()


def audit_each(actor: Viewer, action: str, things: Iterable[tuple[Model, dict[str, Any]]]) -> None:
    """`audit` for the same action on many objects, each with its own change."""
    AuditEntry.objects.bulk_create(_entry(actor, action, thing, None, change) for thing, change in things)


def _entry(actor: Viewer, action: str, thing: Model, incident: Incident | None, change: dict[str, Any]) -> AuditEntry:
    return AuditEntry(
        actor_id=actor.user_id,
        action=action,
        incident=incident,
        object_type=str(thing._meta.model_name),
        object_id=str(getattr(thing, "uuid", thing.pk)),
        change=change,
    )


@contextmanager
def changing(
    actor: Viewer,
    incident_id: int,
    *,
    permission: Permission = scopes.may_edit,
    refusal: str = EDITORS_ONLY,
    expected_version: int | None = None,
    states: tuple[str, ...] = (Status.DRAFT, Status.IN_REVIEW),
) -> Iterator[Change]:
    """Lock one incident to change it. `refusal` is the message when `permission` does not allow the actor.

    Raises Missing when the actor cannot see it, NotAllowed, Stale when `expected_version` is not the current one, and
    WrongState outside `states`. Nothing is written when the block records no step.
    """
    with transaction.atomic():
        incident = lock_incident(actor, incident_id)
        if not permission(actor, incident):
            raise NotAllowed(_refusal(incident, refusal))
        if expected_version is not None and expected_version != incident.version:
            raise Stale(incident.version)
        if incident.status not in states and not actor.is_system:
            raise WrongState(_wrong_state(incident))
        change = Change(actor, incident, _audience(incident))
        yield change
        if change.entries:
            _finish(change)


def lock_incident(actor: Viewer, incident_id: int) -> Incident:
    """The incident under its row lock. Raises Missing when the actor cannot see it."""
    query = scopes.visible_incidents(actor)
    if connection.features.has_select_for_update:
        # Without `no_key`, a transaction that writes rows referring to this incident would wait for this lock at its
        # commit, while this transaction may be waiting for that one.
        query = query.select_for_update(of=("self",), no_key=True)
    try:
        return query.get(pk=incident_id)
    except Incident.DoesNotExist:
        raise Missing from None


def _audience(incident: Incident) -> tuple[object, ...]:
    """What decides who can see it. Reopening changes nothing: readers keep the published revision."""
    return incident.visibility, incident.team_id, incident.has_published_revision or incident.status


def _finish(change: Change) -> None:
    incident = change.incident
    if change.counts_as_edit:
        incident.version += 1
    incident.index_version += 1
    incident.updated_at = timezone.now()
    incident.save()
    AuditEntry.objects.bulk_create(
        _entry(change.actor, action, thing, incident, what) for action, thing, what in change.entries
    )
    # Any change of who can see it counts as narrowing: excluding a document for a moment longer than needed is
    # harmless, showing it to the wrong people is not.
    narrows = change.narrows or _audience(incident) != change.was_visible_to
    outbox.enqueue([incident.pk], narrows=narrows)


def _refusal(incident: Incident, refusal: str) -> str:
    if incident.origin == "famous":
        return (
            "Famous outages are maintained in files and cannot be changed here. You can link to them and decide about "
            "their patterns."
        )
    return refusal


def _wrong_state(incident: Incident) -> str:
    match incident.status:
        case Status.PUBLISHED:
            return "This is published. Reopen it to make changes; until you publish again, readers see this revision."
        case Status.ARCHIVED:
            return "This is archived. Restore it first."
        case _:
            return f"This step is not possible while the status is {Status(incident.status).label.lower()}."
