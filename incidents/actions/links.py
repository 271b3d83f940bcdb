"""Links between incidents. They stay live after publishing. An editor of one can link it to any that they can see."""

from __future__ import annotations

import uuid as uuids

from django.db.models import Q

from incidents import scopes
from incidents.actions.change import changing
from incidents.document import with_related
from incidents.errors import Invalid, Missing, Stale, WrongState
from incidents.models import Incident, IncidentLink
from incidents.scopes import Viewer
from incidents.text import clean, clean_choice
from incidents.vocabulary import LinkKind, Status


def find_visible(viewer: Viewer, reference: str, *, whole: bool = False) -> Incident:
    """The incident that INC-12, 12 or a UUID names; with `whole`, ready to be read as a whole (`with_related`). Raises
    Missing when there is none that the viewer can see."""
    visible = scopes.visible_incidents(viewer)
    if whole:
        visible = with_related(visible)
    text = str(reference).strip()
    number = text[4:] if text[:4].upper() == "INC-" else text
    try:
        if number.isascii() and number.isdigit() and len(number) < 18:
            return visible.get(pk=int(number))
        return visible.get(uuid=uuids.UUID(text))
    except (ValueError, Incident.DoesNotExist):
        raise Missing from None


def add_link(*, actor: Viewer, incident_id: int, kind: str, to: str, note: str = "") -> tuple[IncidentLink, bool]:
    """Record that the incident is <kind> of another; returns the link and whether it is new.

    An existing link stays as it is. Raises WrongState when its note is different.
    """
    kind = clean_choice("kind", kind, LinkKind.values) or ""
    note = clean("note", note, max_characters=500, single_line=True)
    with changing(actor, incident_id, states=tuple(Status)) as change:
        try:
            target = find_visible(actor, to)
        except Missing as error:
            raise Invalid({"to": "There is no such incident, or it is not shared with you."}) from error
        if target.pk == change.incident.pk:
            raise Invalid({"to": "An incident cannot be linked to itself."})
        link, is_new = IncidentLink.objects.get_or_create(
            from_incident=change.incident,
            to_incident=target,
            kind=kind,
            defaults={"note": note, "created_by_id": actor.person_id},
        )
        if is_new:
            change.counts_as_edit = False
            change.record("link.added", link, kind=kind, to=target.ref)
        elif note and note != link.note:
            raise WrongState(
                "This link already exists with a different note. Edit that note, or remove the link first."
            )
    return link, is_new


def change_link(
    *, actor: Viewer, incident_id: int, link_id: uuids.UUID, note: str, expected_version: int | None = None
) -> IncidentLink:
    note = clean("note", note, max_characters=500, single_line=True)
    with changing(actor, incident_id, states=tuple(Status)) as change:
        link = _find_link(change.incident, link_id, expected_version)
        if link.note != note:
            link.note, link.version = note, link.version + 1
            link.save()
            change.counts_as_edit = False
            change.record("link.changed", link)
    return link


def remove_link(*, actor: Viewer, incident_id: int, link_id: uuids.UUID, expected_version: int | None = None) -> None:
    with changing(actor, incident_id, states=tuple(Status)) as change:
        link = _find_link(change.incident, link_id, expected_version)
        change.counts_as_edit = False
        change.record("link.removed", link, kind=link.kind)
        link.delete()


def _find_link(incident: Incident, link_id: uuids.UUID, expected_version: int | None) -> IncidentLink:
    link = IncidentLink.objects.filter(Q(from_incident=incident) | Q(to_incident=incident), uuid=link_id).first()
    if link is None:
        raise Missing
    if expected_version is not None and link.version != expected_version:
        raise Stale(link.version)
    return link
