"""Publishing, and what follows it: reopening, archiving, restoring and deleting."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from incidents import scopes
from incidents.actions import lifecycle
from incidents.actions.incidents import delete_incident
from incidents.errors import Incomplete, Invalid, NotAllowed, Stale, WrongState
from incidents.models import Incident
from kb.web.request import Request
from kb.web.writing import readiness
from kb.web.writing.access import View, get_only, id_of, incident_to_read, opened_version, post_only, signed_in
from kb.web.writing.editor import EDITABLE
from kb.web.writing.inputs import errors_by_input
from kb.web.writing.review import may_publish
from kb.web.writing.upkeep import save_sent


@get_only
@signed_in
def publish(request: Request, reference: str) -> HttpResponse:
    return publish_page(request, incident_to_read(request, reference))


def publish_page(
    request: Request,
    incident: Incident,
    *,
    problems: tuple[str, ...] = (),
    note: str = "",
    errors: dict[str, tuple[str, ...]] | None = None,
    status: int = 200,
) -> HttpResponse:
    """What publishing will do and what is still missing, with links to it."""
    if not scopes.may_edit(request.viewer, incident):
        raise NotAllowed("Only authors and leads of the owning team can publish this.")
    if incident.status not in EDITABLE:
        raise WrongState(f"{incident.ref} is already {incident.get_status_display().lower()}.")
    reviews = list(incident.reviews.select_related("reviewer"))
    context = {
        "incident": incident,
        "readiness": readiness.of(incident),
        "may_publish": may_publish(request, incident, reviews),
        "approved_by": [r.reviewer.name for r in reviews if r.approves(incident.version)],
        "next_number": (incident.published_revision.number if incident.published_revision else 0) + 1,
        "problems": problems,
        "errors": errors or {},
        "note": note,
    }
    return render(request, "web/writing/publish.html", context, status=status)


@post_only
@signed_in
def publish_now(request: Request, reference: str) -> HttpResponse:
    incident_id = id_of(request, reference)
    note = request.POST.get("note", "")
    try:
        revision = lifecycle.publish(
            actor=request.viewer, incident_id=incident_id, note=note, expected_version=opened_version(request)
        )
    except Stale:
        words = "The text changed after you opened this page. Check it again, then publish."
        return publish_page(request, incident_to_read(request, reference), problems=(words,), note=note, status=409)
    except Incomplete:
        return publish_page(request, incident_to_read(request, reference), note=note, status=409)
    except (NotAllowed, WrongState) as refused:
        incident = incident_to_read(request, reference)
        if not scopes.may_edit(request.viewer, incident) or incident.status not in EDITABLE:
            raise
        return publish_page(request, incident, problems=(refused.message,), note=note, status=409)
    except Invalid as refused:
        errors = errors_by_input(refused.fields, ("note",))
        return publish_page(
            request,
            incident_to_read(request, reference),
            errors=errors,
            problems=errors.get("", ()),
            note=note,
            status=400,
        )
    messages.success(request, f"Published as revision {revision.number}.")
    return redirect("web:incident", revision.incident.ref)


# --- Afterwards ------------------------------------------------------------------------------------
def _status_change(action: Callable[..., Incident], message: str, page: str) -> View[[str]]:
    """A view that saves what the form sent, if anything, then changes the status. It shows `message` and redirects to
    `page`."""

    @post_only
    @signed_in
    def view(request: Request, reference: str) -> HttpResponse:
        if unsaved := save_sent(request, reference):
            return unsaved
        incident = action(actor=request.viewer, incident_id=id_of(request, reference))
        messages.success(request, message)
        return redirect(page, incident.ref)

    return view


reopen = _status_change(
    lifecycle.reopen, "Open for changes. Readers keep the published text until you publish again.", "web:edit"
)
archive = _status_change(
    lifecycle.archive, "Archived. It stays readable but is hidden from lists and searches.", "web:incident"
)
restore = _status_change(lifecycle.restore, "Restored from the archive.", "web:incident")


@get_only
@signed_in
def delete(request: Request, reference: str) -> HttpResponse:
    """Ask the user to type the reference, because a deletion cannot be undone from the interface."""
    incident = incident_to_read(request, reference)
    if not scopes.may_lead(request.viewer, incident):
        raise NotAllowed("Only leads of the owning team and admins can delete this.")
    return render(request, "web/writing/delete.html", {"incident": incident})


@post_only
@signed_in
def delete_now(request: Request, reference: str) -> HttpResponse:
    incident = incident_to_read(request, reference)
    typed = request.POST.get("confirm", "").strip().upper()
    if typed != incident.ref:
        if not scopes.may_lead(request.viewer, incident):
            raise NotAllowed("Only leads of the owning team and admins can delete this.")
        context = {"incident": incident, "problem": f"That does not match. Type {incident.ref} to delete it."}
        return render(request, "web/writing/delete.html", context, status=400)
    delete_incident(actor=request.viewer, incident_id=incident.pk)
    messages.success(request, f"{incident.ref} was deleted. It can no longer be found or opened.")
    return redirect("web:home")
