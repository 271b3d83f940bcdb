"""Actions that create an incident, change its facts, and delete it."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from incidents import scopes, template
from incidents.actions.change import LEADS_ONLY, Change, audit, changing
from incidents.actions.naming import find_or_create_organization, find_or_create_services
from incidents.durations import MAX_STATED_SECONDS, YEARS, check_order, in_new_zone, is_in_years, read_moment
from incidents.errors import Invalid, NotAllowed
from incidents.models import Incident, PostmortemSection, PostmortemTemplate, Service, Team, TimelineEvent
from incidents.models.incident import TIMES
from incidents.outbox import enqueue
from incidents.scopes import Viewer
from incidents.text import NAME_CHARACTERS, TITLE_CHARACTERS, clean, clean_choice
from incidents.vocabulary import DetectedBy, Mitigation, Origin, Severity, Status, Visibility
from incidents.zones import clean_zone

FACTS = (
    "title",
    "severity",
    "visibility",
    "organization",
    "team",
    "services",
    "detected_by",
    "mitigations",
    "planned_change",
    "time_zone",
    *TIMES,
    "stated_duration",
)


def create_incident(
    *,
    actor: Viewer,
    facts: Mapping[str, Any],
    origin: str = Origin.OWN,
    external_id: str | None = None,
    uuid: uuids.UUID | None = None,
    template_key: str = "standard",
) -> Incident:
    """Start a postmortem from the current version of a template.

    `facts` has keys of FACTS. The title is required. So is the team (a slug), unless the actor is an admin or writes
    for only one team. The organization defaults to home. Raises Invalid, NotAllowed.
    """
    with transaction.atomic():
        planned = PostmortemTemplate.objects.filter(key=template_key, is_current=True).first()
        if planned is None:
            raise Invalid({"template": "There is no such template."})
        if not actor.writes_for and not actor.is_admin:
            raise NotAllowed("Only team authors can write postmortems. Ask a team lead or an admin for access.")
        incident = Incident(
            origin=origin,
            external_id=external_id,
            template=planned,
            created_by_id=actor.person_id,
            uuid=uuid or uuids.uuid4(),
        )
        given = {"organization": None, "team": None, **facts}
        later = _apply(actor, incident, given)
        if incident.team_id is None and not actor.is_admin:
            raise Invalid({"team": "Choose the team that owns this incident."})
        incident.save()
        if later is not None:
            incident.services.set(later)
        PostmortemSection.objects.bulk_create(
            PostmortemSection(incident=incident, key=section.key) for section in template.section_plans(planned)
        )
        audit(actor, "incident.created", incident, incident=incident, title=incident.title)
        enqueue([incident.pk])
    return incident


def change_incident(
    *,
    actor: Viewer,
    incident_id: int,
    facts: Mapping[str, Any],
    expected_version: int | None = None,
) -> tuple[Incident, list[str]]:
    """Change facts; returns the incident and warnings about unusual times.

    Visibility and team can also be changed while it is published: narrowing access must not wait for an edit. Raises
    Missing, NotAllowed, Stale, WrongState, Invalid.
    """
    everywhere = set(facts) <= {"visibility", "team"}
    states = tuple(Status) if everywhere else (Status.DRAFT, Status.IN_REVIEW)
    with changing(actor, incident_id, expected_version=expected_version, states=states) as change:
        return change.incident, apply_facts(change, facts)


def apply_facts(change: Change, facts: Mapping[str, Any]) -> list[str]:
    """Set facts of a locked incident and record those that differ; returns warnings about unusual times."""
    incident = change.incident
    before = {name: _shown(incident, name) for name in facts if name in FACTS}
    later = _apply(change.actor, incident, facts)
    if later is not None:
        incident.services.set(later)
    after = {name: _shown(incident, name) for name in before}
    differing = {name: [before[name], after[name]] for name in before if before[name] != after[name]}
    if differing:
        change.record("incident.changed", None, **differing)
    return check_order(incident.times, planned_change=incident.planned_change)


def delete_incident(*, actor: Viewer, incident_id: int, expected_version: int | None = None) -> None:
    """Hide it from everyone. The row stays until it is purged, so that the index learns of the deletion."""
    with changing(
        actor,
        incident_id,
        permission=scopes.may_lead,
        refusal=LEADS_ONLY,
        expected_version=expected_version,
        states=tuple(Status),
    ) as change:
        change.incident.deleted_at = timezone.now()
        change.narrows = True
        change.record("incident.deleted", title=change.incident.title)


def _shown(incident: Incident, name: str) -> Any:
    """A fact in the form that the audit entry stores."""
    match name:
        case "organization":
            return incident.organization.name if incident.organization_id else None
        case "team":
            return incident.team.slug if incident.team_id and incident.team else None
        case "services":
            return [service.name for service in incident.services.all()] if incident.pk else []
        case "stated_duration":
            return [incident.stated_seconds, incident.stated_text]
        case "mitigations":
            return list(incident.mitigations)
        case _ if name in TIMES:
            moment = incident.moment(name)
            return [moment.at.isoformat(), moment.precision.value] if moment else None
        case _:
            return getattr(incident, name)


def _apply(actor: Viewer, incident: Incident, facts: Mapping[str, Any]) -> list[Service] | None:
    """Read and set every fact, or raise Invalid for all wrong ones. Returns the services still to set, or None."""
    problems: dict[str, list[str]] = {
        name: [f"Unknown field. Known ones are {', '.join(FACTS)}."] for name in facts if name not in FACTS
    }
    services: list[Service] | None = None
    if "organization" in facts and "services" not in facts and incident.pk:
        # Services belong to an organization, so a new organization needs services of the same names.
        facts = {**facts, "services": [service.name for service in incident.services.all()]}
    zone = incident.time_zone
    # Zone and organization first: times are read in this zone, and services belong to this organization.
    order = sorted(
        (n for n in facts if n in FACTS),
        key=lambda n: (n not in ("time_zone", "organization"), FACTS.index(n)),
    )
    for name in order:
        value = facts[name]
        try:
            if name == "services":
                # Without a valid organization there are no services to look up.
                services = _services(actor, incident, value) if incident.organization_id else None
            else:
                _READERS[name](actor, incident, value)
        except Invalid as error:
            problems.update(error.fields)
    if "title" not in facts and not incident.title:
        problems["title"] = ["This field is required."]
    if not problems:
        try:
            if incident.time_zone != zone:
                _check_years(incident)
            check_order(incident.times, planned_change=incident.planned_change)
        except Invalid as error:
            problems.update(error.fields)
    if problems:
        raise Invalid(problems)
    return services


def _title(actor: Viewer, incident: Incident, value: Any) -> None:
    incident.title = clean("title", value, max_characters=TITLE_CHARACTERS, required=True, single_line=True)


def _choice(name: str, choices: list[str], optional: bool) -> Any:
    def read(actor: Viewer, incident: Incident, value: Any) -> None:
        setattr(incident, name, clean_choice(name, value, choices, optional=optional))

    return read


def _time(name: str) -> Any:
    def read(actor: Viewer, incident: Incident, value: Any) -> None:
        moment = read_moment(name, value, zone=incident.time_zone)
        setattr(incident, f"{name}_at", moment.at if moment else None)
        setattr(incident, f"{name}_precision", moment.precision.value if moment else "")

    return read


def _zone(actor: Viewer, incident: Incident, value: Any) -> None:
    old, new = incident.time_zone, clean_zone("time_zone", value)
    incident.time_zone = new
    for name, moment in incident.times.items():
        if moment:
            setattr(incident, f"{name}_at", in_new_zone(moment, old=old, new=new).at)
    if incident.pk:
        for event in incident.timelineevents.all():
            at = in_new_zone(event.moment, old=old, new=new).at
            if at != event.at:
                TimelineEvent.objects.filter(pk=event.pk).update(at=at, version=event.version + 1)


def _check_years(incident: Incident) -> None:
    """The same instant can lie in another year in another zone. Raises Invalid."""
    moments = [moment for moment in incident.times.values() if moment]
    if incident.pk:
        moments += [event.moment for event in incident.timelineevents.all()]
    if not all(is_in_years(moment, incident.time_zone) for moment in moments):
        raise Invalid(
            {"time_zone": f"In this zone, one of the times would fall outside the years {YEARS[0]} to {YEARS[-1]}."}
        )


def _planned(actor: Viewer, incident: Incident, value: Any) -> None:
    if not isinstance(value, bool):
        raise Invalid({"planned_change": "This must be true or false."})
    incident.planned_change = value


def _mitigations(actor: Viewer, incident: Incident, value: Any) -> None:
    if value is None:
        value = []
    if not isinstance(value, list):
        raise Invalid({"mitigations": f"This must be a list with any of {', '.join(Mitigation.values)}."})
    read = [clean_choice(f"mitigations.{i}", item, Mitigation.values) for i, item in enumerate(value)]
    incident.mitigations = list(dict.fromkeys(read))


def _stated(actor: Viewer, incident: Incident, value: Any) -> None:
    if value in (None, {}):
        incident.stated_seconds, incident.stated_text = None, ""
        return
    if not isinstance(value, dict) or set(value) - {"seconds", "text"}:
        raise Invalid(
            {"stated_duration": "This must be an object with seconds and, optionally, text: the source's own words."}
        )
    seconds = value.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 < seconds <= MAX_STATED_SECONDS:
        raise Invalid({"stated_duration.seconds": f"This must be a whole number from 1 to {MAX_STATED_SECONDS:,}."})
    incident.stated_seconds = seconds
    incident.stated_text = clean("stated_duration.text", value.get("text"), max_characters=80, single_line=True)


def _organization(actor: Viewer, incident: Incident, value: Any) -> None:
    if value in (None, "") and incident.organization_id:
        raise Invalid({"organization": "This field is required."})
    incident.organization = find_or_create_organization(actor, value)


def _team(actor: Viewer, incident: Incident, value: Any) -> None:
    if isinstance(value, dict):
        value = value.get("slug")
    if value in (None, ""):
        if not actor.is_admin and len(actor.writes_for) == 1 and incident.pk is None:
            incident.team_id = next(iter(actor.writes_for))
        elif not actor.is_admin:
            raise Invalid({"team": "Choose the team that owns this incident."})
        else:
            incident.team = None
        return
    slug = clean("team", value, max_characters=80, single_line=True)
    team = scopes.visible_teams(actor).filter(slug=slug).first()
    if team is None:
        raise Invalid({"team": f"There is no team {slug}."})
    if not actor.is_admin and team.pk not in actor.writes_for:
        raise Invalid({"team": f"You are not an author in {team.name}."})
    if incident.pk and not actor.is_admin and team.pk != incident.team_id:
        _check_move(actor, incident, team)
    incident.team = team


def _check_move(actor: Viewer, incident: Incident, team: Team) -> None:
    """A lead of one team must not publish or delete what another team wrote, nor add what that team did not review.

    Only authors who have shown their draft to nobody can move it by themselves. Raises Invalid.
    """
    is_own_draft = (
        incident.created_by_id == actor.person_id
        and incident.status == Status.DRAFT
        and incident.published_revision_id is None
        and not incident.reviews.exists()
    )
    if incident.team_id not in actor.leads and not is_own_draft:
        raise Invalid({"team": "Only a lead of its team or an admin can give this incident to another team."})
    if incident.published_revision_id is not None and team.pk not in actor.leads:
        raise Invalid({"team": f"Only a lead of {team.name} or an admin can give it a published incident."})


def _services(actor: Viewer, incident: Incident, value: Any) -> list[Service]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > 100:
        raise Invalid({"services": "This must be a list of at most 100 names."})
    names = [
        clean(f"services.{i}", item, max_characters=NAME_CHARACTERS, required=True, single_line=True)
        for i, item in enumerate(value)
    ]
    return find_or_create_services(incident.organization, names)


_READERS = {
    "title": _title,
    "severity": _choice("severity", Severity.values, True),
    "visibility": _choice("visibility", Visibility.values, False),
    "organization": _organization,
    "team": _team,
    "detected_by": _choice("detected_by", DetectedBy.values, True),
    "mitigations": _mitigations,
    "planned_change": _planned,
    "time_zone": _zone,
    "stated_duration": _stated,
    **{name: _time(name) for name in TIMES},
}
