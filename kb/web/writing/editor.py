"""The editor page, starting a postmortem, and saving facts and sections.

Each save covers one card. With htmx, the answer holds only what changed around the text (versions, errors, what is
still missing) and never the text itself, so that typing is never overwritten. A plain form redirects back to the card.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from incidents import scopes, template
from incidents.actions.incidents import create_incident
from incidents.actions.sections import change_section
from incidents.document import links, prefetch_parts
from incidents.durations import in_new_zone
from incidents.errors import Invalid, Missing, NotAllowed, Stale
from incidents.models import Incident, PostmortemSection, PostmortemTemplate, Team, TimelineEvent, User
from incidents.scopes import Viewer
from incidents.text import SECTION_BYTES, clean
from incidents.vocabulary import Status
from kb.web.request import Request
from kb.web.writing import facts, facts_card, moments, readiness
from kb.web.writing.access import (
    fragment,
    get_only,
    get_or_post,
    id_of,
    incident_to_edit,
    incident_with_parts,
    opened_version,
    post_only,
    posted_number,
    signed_in,
)
from kb.web.writing.cards import Attempt, Card, Conflict, RemovedRow, link_card, section_card, sections_of
from kb.web.writing.inputs import Choice, Input, Shape, errors_by_input, filled
from kb.web.writing.rounds import change_requests

SUGGESTIONS = 500
EDITABLE = (Status.DRAFT, Status.IN_REVIEW)
HOW_TO_REOPEN = {
    Status.PUBLISHED: "Reopen it to change its text.",
    Status.ARCHIVED: "Restore it from the archive and reopen it to change its text.",
}


# --- Beginning -------------------------------------------------------------------------------------
@get_or_post
@signed_in
def new(request: Request) -> HttpResponse:
    """Create a draft from a title, a team and a template, then open the editor."""
    viewer = request.viewer
    teams = _teams_to_write_for(viewer)
    if not teams and not viewer.is_admin:
        raise NotAllowed("Only team authors can write postmortems. Ask a team lead or an admin for access.")
    values: dict[str, str | tuple[str, ...]] = {
        "team": teams[0].slug if len(teams) == 1 else "",
        "template": "standard",
        "title": request.GET.get("title", "")[:200],
    }
    errors: dict[str, tuple[str, ...]] = {}
    inputs = _new_inputs(viewer, teams)
    if request.method == "POST":
        values = {input.name: request.POST.get(input.name, "") for input in inputs}
        values.setdefault("team", teams[0].slug if teams else "")
        try:
            incident = _create(request, values)
        except Invalid as refused:
            errors = errors_by_input(refused.fields, values)
        else:
            return redirect("web:edit", incident.ref)
    context = {"inputs": filled(inputs, values, card="new", errors=errors), "problems": errors.get("", ())}
    return render(request, "web/writing/new.html", context, status=400 if errors else 200)


def _teams_to_write_for(viewer: Viewer) -> list[Team]:
    teams = scopes.visible_teams(viewer)
    return list(teams if viewer.is_admin else teams.filter(pk__in=viewer.writes_for))


def _new_inputs(viewer: Viewer, teams: list[Team]) -> list[Input]:
    templates = (
        PostmortemTemplate.objects.filter(is_current=True).filter(Q(team=None) | Q(team__in=teams)).order_by("name")
    )
    choices = tuple(Choice(t.key, t.name, f"{len(template.section_plans(t))} sections") for t in templates)
    none = (Choice("", "Choose a team"),) if len(teams) != 1 else ()
    return [
        Input(
            "title",
            "What happened?",
            size="wide",
            required=True,
            placeholder="Checkout returned errors",
            hint="One line that a colleague would recognize. You can change it at any time.",
        ),
        Input(
            "team",
            "Owning team",
            Shape.CHOICE,
            size="medium",
            required=True,
            choices=(*none, *(Choice(t.slug, t.name) for t in teams)),
            hint="While it is a draft, only this team, admins and the reviewers you ask can see it.",
        ),
        *(
            [Input("template", "Template", Shape.CHOICE, size="medium", required=True, choices=choices)]
            if len(choices) > 1
            else []
        ),
    ]


def _create(request: Request, values: dict[str, Any]) -> Incident:
    person = User.objects.get(pk=request.viewer.person_id)
    return create_incident(
        actor=request.viewer,
        facts={"title": values["title"], "team": values["team"], "time_zone": person.time_zone},
        template_key=values.get("template") or "standard",
    )


# --- The page --------------------------------------------------------------------------------------
@get_only
@signed_in
def edit(request: Request, reference: str) -> HttpResponse:
    incident = incident_to_edit(request, reference)
    if reference != incident.ref:
        return redirect("web:edit", incident.ref)
    if (status := Status(incident.status)) not in EDITABLE:
        messages.info(request, f"{incident.ref} is {incident.get_status_display().lower()}. {HOW_TO_REOPEN[status]}")
        return redirect("web:incident", incident.ref)
    return editor_page(request, incident)


def editor_page(
    request: Request,
    incident: Incident,
    *,
    attempt: Attempt | None = None,
    outcome: facts.Outcome | None = None,
    removed: RemovedRow | None = None,
    paste: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    """The whole editor. `attempt`, `outcome` and `paste` are what could not be saved, shown again as it was sent."""
    viewer = request.viewer
    prefetch_parts(incident)
    context = {
        "incident": incident,
        "facts": facts_card.card(incident, viewer, outcome),
        "sections": sections_of(incident, attempt=attempt, removed=removed),
        "readiness": readiness.of(incident),
        "paste": paste or {"day": moments.default_day(incident) or timezone.localdate()},
        "people": people_to_suggest(viewer),
        "organizations": _organizations(viewer),
        "services": _services(viewer, incident),
        "links": links(incident, viewer),
        "new_link": link_card(incident, attempt),
        "unsaved": _unsaved(attempt, outcome, paste) if status != 200 else "",
        "may_lead": scopes.may_lead(viewer, incident),
        "sent_back": change_requests(incident.reviews.select_related("reviewer")).first()
        if incident.status == Status.DRAFT
        else None,
        "revision": incident.published_revision.number if incident.published_revision else None,
    }
    return render(request, "web/writing/edit.html", context, status=status)


def _unsaved(attempt: Attempt | None, outcome: facts.Outcome | None, paste: dict[str, Any] | None) -> str:
    """The card that is shown again with errors."""
    if attempt:
        return attempt.card
    if outcome:
        return facts_card.ID
    return "understood" if paste and paste.get("is_parsed") else "paste"


def people_to_suggest(viewer: Viewer) -> list[User]:
    return list(scopes.visible_people(viewer).filter(is_active=True, is_service_account=False)[:SUGGESTIONS])


def _organizations(viewer: Viewer) -> list[str]:
    """Organizations to suggest. Only those the viewer can see anyway."""
    return list(scopes.visible_organizations(viewer).values_list("name", flat=True)[:SUGGESTIONS])


def _services(viewer: Viewer, incident: Incident) -> list[str]:
    services = scopes.visible_services(viewer).filter(organization=incident.organization).order_by("name")
    return list(services.values_list("name", flat=True)[:SUGGESTIONS])


# --- Saving facts ----------------------------------------------------------------------------------
@post_only
@signed_in
def save_facts(request: Request, reference: str) -> HttpResponse:
    incident_id = id_of(request, reference)
    base, mine = facts.base_values(request.POST), facts.posted_values(request.POST)
    resolved = _resolve_conflict(request, base, mine)
    outcome = facts.save(request.viewer, incident_id, base=base, mine=mine)
    status = 409 if outcome.conflicts else 400 if outcome.errors else 200
    if request.htmx:
        card = facts_card.card(outcome.incident, request.viewer, outcome)
        changed = {*outcome.saved, *resolved}
        day = moments.default_day(outcome.incident) if {"started", "detected", "time_zone"} & changed else None
        old_zone = str(base["time_zone"]) if "time_zone" in changed else ""
        return card_fragment(
            request, outcome.incident, card, redraw=resolved, day=day, old_zone=old_zone, status=status
        )
    if status != 200:
        return editor_page(request, outcome.incident, outcome=outcome, status=status)
    for warning in outcome.warnings:
        messages.warning(request, warning)
    return _back(request, outcome.incident, facts_card.ID)


def _resolve_conflict(request: Request, base: facts.Values, mine: facts.Values) -> tuple[str, ...]:
    """Apply the user's choice between the two values of a conflict: the form now counts as opened with the saved one.

    Changes `base`, and `mine` when the saved value was chosen. Returns the fields whose text to redraw.
    """
    whose, _, fact = request.POST.get("settle", "").partition(":")
    if fact not in facts.FACTS:
        return ()
    seen = facts.base_values(request.POST, prefix="seen-")
    names = [name for name in facts.FACTS[fact] if name in seen]
    for name in names:
        base[name] = seen[name]
        if whose == "theirs":
            mine[name] = seen[name]
    return tuple(names) if whose == "theirs" else ()


# --- Saving a section ------------------------------------------------------------------------------
@post_only
@signed_in
def save_section(request: Request, reference: str, key: str) -> HttpResponse:
    """Save the text of a prose section, or the reason why a records section has no rows."""
    incident_id = id_of(request, reference)
    name = "none_reason" if "none_reason" in request.POST else "body"
    text = request.POST.get(name, "").replace("\r\n", "\n")
    if request.POST.get("take") == "theirs":
        return _take_theirs(request, incident_to_edit(request, reference), key)
    try:
        change_section(
            actor=request.viewer,
            incident_id=incident_id,
            key=key,
            expected_version=opened_version(request),
            **{name: text},
        )
    except (Invalid, Stale) as refused:
        return _section_refused(request, incident_with_parts(request, reference), key, {name: text}, refused)
    incident = incident_with_parts(request, reference)
    card = section_card(incident, *_section_and_plan(incident, key))
    if request.htmx:
        return card_fragment(request, incident, card)
    return _back(request, incident, card.id)


def _take_theirs(request: Request, incident: Incident, key: str) -> HttpResponse:
    """Show the saved text in place of what was typed."""
    card = section_card(incident, *_section_and_plan(incident, key))
    if request.htmx:
        return card_fragment(request, incident, card, redraw=tuple(input.name for input in card.inputs))
    return _back(request, incident, card.id)


def _section_refused(
    request: Request, incident: Incident, key: str, values: dict[str, str], refused: Invalid | Stale
) -> HttpResponse:
    section, planned = _section_and_plan(incident, key)
    card = section_card(incident, section, planned)
    version = posted_number(request, "version") or section.version
    if isinstance(refused, Stale):
        who = section.updated_by.name if section.updated_by else ""
        pairs = [(planned.title, text, getattr(section, name)) for name, text in values.items()]
        conflict = Conflict.of(section.version, pairs, who=who, at=section.updated_at)
        attempt = Attempt(card.id, values, conflict=conflict, version=version)
    else:
        attempt = Attempt(
            card.id, values, errors_by_input(refused.fields, values, path=f"sections.{key}."), version=version
        )
    status = 409 if attempt.conflict else 400
    if request.htmx:
        return card_fragment(request, incident, section_card(incident, section, planned, attempt), status=status)
    return editor_page(request, incident, attempt=attempt, status=status)


def _section_and_plan(incident: Incident, key: str) -> tuple[PostmortemSection, template.SectionPlan]:
    section = next((s for s in incident.sections.all() if s.key == key), None)
    planned = next((p for p in template.section_plans(incident.template) if p.key == key), None)
    if section is None or planned is None:
        raise Missing
    return section, planned


# --- Answers ---------------------------------------------------------------------------------------
def card_fragment(
    request: Request,
    incident: Incident,
    card: Card,
    *,
    redraw: tuple[str, ...] = (),
    day: date | None = None,
    old_zone: str = "",
    status: int = 200,
) -> HttpResponse:
    """What changed around a card's text, for htmx.

    `redraw` names fields whose text itself is replaced. `day` is the new day that pasted lines start on, `old_zone` the
    zone in which times were read before it was changed.
    """
    context = {
        "incident": incident,
        "card": card,
        "redraw": redraw,
        "paste": {"day": day} if day else None,
        "zone": incident.time_zone if old_zone else "",
        "moved": _moved(incident, old_zone) if old_zone else [],
        "readiness": readiness.of(incident),
    }
    return fragment(request, "web/writing/answer.html", context, status=status)


def _moved(incident: Incident, old_zone: str) -> list[TimelineEvent]:
    """The events whose versions rose by one when the zone changed: those whose date or hour stays the one written."""
    return [
        event
        for event in incident.timelineevents.all()
        if in_new_zone(event.moment, old=incident.time_zone, new=old_zone).at != event.at
    ]


def _back(request: Request, incident: Incident, card: str) -> HttpResponse:
    messages.success(request, "Saved.")
    return redirect(f"{reverse('web:edit', args=[incident.ref])}#{card}")


@post_only
@signed_in
def preview_markdown(request: Request, reference: str) -> HttpResponse:
    """Render a text as readers will see it, without saving it."""
    incident = incident_to_edit(request, reference)
    try:
        text = clean("body", request.POST.get("body"), max_bytes=SECTION_BYTES)
    except Invalid as refused:
        return fragment(request, "web/writing/preview.html", {"problems": refused.fields["body"]}, status=400)
    name = "web/writing/preview.html" if request.htmx else "web/writing/preview_page.html"
    return render(request, name, {"text": text, "incident": incident})
