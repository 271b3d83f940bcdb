"""Quick paste: lines from a chat become timeline events, after the user has checked how they were parsed."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from incidents.actions.rows import add_rows
from incidents.errors import Invalid
from incidents.models import Incident
from incidents.text import SECTION_BYTES, clean
from incidents.vocabulary import EventKind
from kb.web.request import Request
from kb.web.writing import moments, paste, record_inputs
from kb.web.writing.access import fragment, incident_to_edit, incident_to_read, opened_zone, post_only, signed_in
from kb.web.writing.editor import editor_page
from kb.web.writing.rows import rows_fragment

KIND = "timeline"


@post_only
@signed_in
def read_paste(request: Request, reference: str) -> HttpResponse:
    """Show how the pasted lines are parsed, without saving them."""
    incident = incident_to_edit(request, reference)
    text = request.POST.get("lines", "")
    day, zone = _day(request, incident), opened_zone(request, incident)
    try:
        text = clean("lines", text, max_bytes=SECTION_BYTES)
    except Invalid as refused:
        refusal = {"lines": text, "day": day, "zone": zone, "problems": refused.fields["lines"]}
        return _paste_response(request, incident, refusal, status=400)
    parsed = paste.parse(text, day=day)
    rows = [
        {"at": event.at, "text": event.text, "kind": EventKind.OTHER.value, "keep": True} for event in parsed.events
    ]
    found = {"rows": rows, "skipped": parsed.skipped, "is_parsed": True}
    return _paste_response(request, incident, {"lines": text, "day": day, "zone": zone, **found})


@post_only
@signed_in
def save_paste(request: Request, reference: str) -> HttpResponse:
    """Save the events that are still checked, all or none."""
    incident = incident_to_edit(request, reference)
    rows, zone = _rows(request), opened_zone(request, incident)
    checked = [row for row in rows if row["keep"]]
    values = [
        record_inputs.action_values(
            KIND, {"precision": "", "data_url": "", **row}, day=moments.default_day(incident), zone=zone
        )
        for row in checked
    ]
    try:
        added = add_rows(actor=request.viewer, incident_id=incident.pk, kind=KIND, rows=values)
    except Invalid as refused:
        _attach_errors(checked, refused)
        first_invalid = next((place for place, row in enumerate(rows) if row.get("errors")), None)
        context = {
            "rows": rows,
            "is_parsed": True,
            "lines": request.POST.get("lines", ""),
            "day": _day(request, incident),
            "zone": zone,
            "first_invalid": first_invalid,
            "problems": [m for name, ms in refused.fields.items() if not name.startswith(f"{KIND}.") for m in ms],
        }
        return _paste_response(request, incident, context, status=400)
    incident = incident_to_read(request, reference)
    if request.htmx:
        return rows_fragment(request, incident, KIND, with_paste=True)
    messages.success(request, f"{len(added)} events saved." if len(added) != 1 else "One event saved.")
    return redirect(f"{reverse('web:edit', args=[incident.ref])}#records-{KIND}")


def _day(request: Request, incident: Incident) -> date:
    """The day the lines start on: as chosen, or else the day the incident started, or else today."""
    try:
        return date.fromisoformat(request.POST.get("day", ""))
    except ValueError:
        return moments.default_day(incident) or timezone.localdate()


def _rows(request: Request) -> list[dict[str, Any]]:
    """All events in the form. `keep` is True for those that are checked."""
    keys = ("at", "kind", "text")
    columns = [request.POST.getlist(key) for key in keys]
    checked = set(request.POST.getlist("keep"))
    return [
        {**dict(zip(keys, row, strict=True)), "keep": str(place) in checked}
        for place, row in enumerate(zip(*columns, strict=False))
    ]


def _attach_errors(sent: list[dict[str, Any]], refused: Invalid) -> None:
    """Attach its errors to each event that was sent."""
    for place, row in enumerate(sent):
        of_row = [ms for name, ms in refused.fields.items() if name.startswith(f"{KIND}.{place}.")]
        row["errors"] = [message for messages in of_row for message in messages]


def _paste_response(request: Request, incident: Incident, values: dict[str, Any], *, status: int = 200) -> HttpResponse:
    context = {"kinds": EventKind.choices, **values}
    if request.htmx:
        response = fragment(request, "web/writing/paste.html", {"incident": incident, "paste": context}, status=status)
        # The form's own target is the list of rows, but a parsed or rejected paste is shown in a place of its own.
        response["HX-Retarget"], response["HX-Reswap"] = "#pasted", "innerHTML"
        return response
    return editor_page(request, incident, paste=context, status=status)
