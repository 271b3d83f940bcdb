"""What stays editable after publishing: the progress of action items, the visibility, links to other incidents.

The page is one form. Each of its buttons first saves all that was typed, so that nothing is lost.
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse

from incidents import scopes
from incidents.actions.incidents import change_incident
from incidents.actions.links import add_link
from incidents.actions.sections import change_row
from incidents.document import links, prefetch_parts
from incidents.errors import Invalid, Stale, WrongState
from incidents.models import ActionItem, Incident
from incidents.records import KINDS
from incidents.text import is_blank
from incidents.vocabulary import Status
from kb.web.request import Request
from kb.web.writing import facts_card, record_inputs
from kb.web.writing.access import (
    get_only,
    incident_to_edit,
    incident_to_read,
    parse_number,
    post_only,
    signed_in,
)
from kb.web.writing.cards import LINK_INPUTS, NEW_LINK, Attempt, Card, Conflict, link_card
from kb.web.writing.differences import Effort
from kb.web.writing.editor import EDITABLE, editor_page, people_to_suggest
from kb.web.writing.inputs import errors_by_input, filled, incomplete_form

KIND = "actions"
LIVE_FIELDS = tuple(
    field.name for field in KINDS[KIND].fields if field.live and field.name in record_inputs.names(KIND)
)


@get_only
@signed_in
def upkeep(request: Request, reference: str) -> HttpResponse:
    """The upkeep page. Drafts redirect to the editor, which has all of this too."""
    incident = incident_to_edit(request, reference)
    return redirect("web:edit", incident.ref) if incident.status in EDITABLE else upkeep_page(request, incident)


@dataclass(frozen=True, slots=True)
class ActionEdit:
    """One action item as sent by the form: the values it was opened with (`base`) and those typed (`mine`)."""

    row: uuids.UUID
    version: int
    base: record_inputs.Values
    mine: record_inputs.Values


@dataclass(frozen=True, slots=True)
class RejectedEdit:
    """An action item that could not be saved, and why."""

    edit: ActionEdit
    error: Invalid | Stale


def upkeep_page(
    request: Request,
    incident: Incident,
    *,
    refused: Sequence[RejectedEdit] = (),
    attempt: Attempt | None = None,
    status: int = 200,
) -> HttpResponse:
    """The page. `refused` are action items that could not be saved, `attempt` is a link that could not be added."""
    prefetch_parts(incident, "services", "actions")
    facts = facts_card.card(incident, request.viewer)
    by_row = {one.edit.row: one for one in refused}
    effort = Effort()
    context = {
        "incident": incident,
        "actions": [
            (each, _card(incident, each, by_row.get(each.uuid), effort)) for each in incident.actionitems.all()
        ],
        "unsaved": attempt.card if attempt else next((f"row-{row}" for row in by_row), ""),
        "visibility": facts.inputs_by_name["visibility"],
        "people": people_to_suggest(request.viewer),
        "links": links(incident, request.viewer),
        "new_link": link_card(incident, attempt),
        "is_published": incident.status == Status.PUBLISHED,
        "may_lead": scopes.may_lead(request.viewer, incident),
    }
    return render(request, "web/writing/upkeep.html", context, status=status)


def _card(incident: Incident, action: ActionItem, refused: RejectedEdit | None, effort: Effort) -> Card:
    """The card of an action item, with only the fields that can change without reopening."""
    live_inputs = [i for i in record_inputs.INPUTS[KIND] if i.name in LIVE_FIELDS]
    now = {
        name: value
        for name, value in record_inputs.form_values(KIND, action, incident.time_zone).items()
        if name in LIVE_FIELDS
    }
    edit = refused.edit if refused else ActionEdit(action.uuid, action.version, now, now)
    errors: dict[str, tuple[str, ...]] = {}
    conflict = None
    match refused:
        case RejectedEdit(error=Invalid() as invalid):
            errors = errors_by_input(invalid.fields, LIVE_FIELDS)
        case RejectedEdit(error=Stale()):
            pairs = record_inputs.labelled_pairs(KIND, edit.mine, now)
            conflict = Conflict.of(action.version, pairs, at=action.updated_at, effort=effort)
    card = f"row-{action.uuid}"
    return Card(
        card,
        reverse("web:save-upkeep", args=[incident.ref]),
        filled(live_inputs, edit.mine, card=card, errors=errors),
        {
            "row": str(action.uuid),
            "version": str(edit.version),
            **{f"base-{name}": str(value) for name, value in edit.base.items()},
        },
        problems=errors.get("", ()),
        conflict=conflict,
    )


@post_only
@signed_in
def save(request: Request, reference: str) -> HttpResponse:
    if unsaved := save_sent(request, reference):
        return unsaved
    messages.success(request, "Saved.")
    return redirect("web:upkeep", incident_to_read(request, reference).ref)


def save_sent(request: Request, reference: str, *, adds_link: bool = False) -> HttpResponse | None:
    """Save what was changed in the form, which is this page's or that of the editor's links, and add a link if one was
    typed.

    Returns the page again, with what could not be saved, or None when all of it was. An error in one place does not
    keep the rest from being saved. With `adds_link`, a link that was left empty is an error too.
    """
    incident = incident_to_edit(request, reference)
    _save_visibility(request, incident)
    refused = _save_progress(request, incident)
    attempt = _add_link(request, incident) if adds_link or _has_link(request.POST) else None
    if not refused and attempt is None:
        return None
    status = 409 if any(isinstance(one.error, Stale) for one in refused) else 400
    incident = incident_to_read(request, reference)
    if incident.status in EDITABLE and not refused:
        return editor_page(request, incident, attempt=attempt, status=status)
    return upkeep_page(request, incident, refused=refused, attempt=attempt, status=status)


def _save_visibility(request: Request, incident: Incident) -> None:
    """Change who can read the incident, with immediate effect, if it was changed on the page."""
    sent = request.POST.get("visibility")
    if sent is None or sent == request.POST.get("base-visibility"):
        return
    before = incident.visibility
    changed, _ = change_incident(actor=request.viewer, incident_id=incident.pk, facts={"visibility": sent})
    if changed.visibility != before:
        messages.success(request, f"Visibility changed to: {changed.get_visibility_display().lower()}.")


def _save_progress(request: Request, incident: Incident) -> list[RejectedEdit]:
    """Save the state, owner, due date and tracker link of the action items that were changed."""
    over, _, seen = request.POST.get("over", "").partition(":")
    refused = []
    for edit in _posted_edits(request.POST):
        if edit.mine == edit.base or request.POST.get("take") == f"{edit.row}:theirs":
            continue
        try:
            change_row(
                actor=request.viewer,
                incident_id=incident.pk,
                kind=KIND,
                row_id=edit.row,
                values=edit.mine,
                expected_version=_version(seen) if over == str(edit.row) else edit.version,
            )
        except (Invalid, Stale) as error:
            refused.append(RejectedEdit(edit, error))
    return refused


def _has_link(form: QueryDict) -> bool:
    return not is_blank(form.get("to", "") + form.get("note", ""))


def _add_link(request: Request, incident: Incident) -> Attempt | None:
    """Add the link that was sent; the attempt if it was refused."""
    sent = {input.name: request.POST.get(input.name, "") for input in LINK_INPUTS}
    try:
        add_link(actor=request.viewer, incident_id=incident.pk, kind=sent["kind"], to=sent["to"], note=sent["note"])
    except (Invalid, WrongState) as refused:
        fields = refused.fields if isinstance(refused, Invalid) else {"note": [refused.message]}
        return Attempt(NEW_LINK, sent, errors_by_input(fields, sent))
    return None


def _posted_edits(form: QueryDict) -> list[ActionEdit]:
    """The action items of the form, in which each field occurs once per row. Raises Invalid if any is missing."""
    rows, versions = form.getlist("row"), form.getlist("version")
    columns = [form.getlist(name) for name in (*(f"base-{name}" for name in LIVE_FIELDS), *LIVE_FIELDS)]
    try:
        return [
            ActionEdit(
                uuids.UUID(row),
                _version(version),
                dict(zip(LIVE_FIELDS, values[: len(LIVE_FIELDS)], strict=True)),
                dict(zip(LIVE_FIELDS, (value.strip() for value in values[len(LIVE_FIELDS) :]), strict=True)),
            )
            for row, version, *values in zip(rows, versions, *columns, strict=True)
        ]
    except ValueError as error:
        raise incomplete_form("version") from error


def _version(text: str) -> int:
    """The version in `text`. Raises Invalid if it is not a number."""
    if (version := parse_number(text)) is None:
        raise incomplete_form("version")
    return version
