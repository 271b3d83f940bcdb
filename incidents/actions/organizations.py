"""Actions on organizations, services, teams and templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from incidents import outbox, scopes, template
from incidents.actions.change import audit
from incidents.actions.naming import free_slug
from incidents.errors import Invalid, Missing, NotAllowed, Stale, WrongState
from incidents.models import Incident, Membership, Organization, PostmortemTemplate, Service, Team, User
from incidents.scopes import Viewer
from incidents.text import NAME_CHARACTERS, clean, clean_choice, clean_url
from incidents.vocabulary import Role


def _only_admins(actor: Viewer) -> None:
    if not actor.is_admin:
        raise NotAllowed("Only admins can change this.")


# --- Organizations ---------------------------------------------------------------------------------
def create_organization(
    *, actor: Viewer, name: str, website: str = "", sector: str = "", is_home: bool = False
) -> Organization:
    _only_admins(actor)
    with transaction.atomic():
        name = _free_name(Organization, name)
        organization = Organization(
            name=name,
            slug=free_slug(Organization.objects.all(), name),
            website=clean_url("website", website),
            sector=clean("sector", sector, max_characters=40, single_line=True),
            is_home=is_home,
        )
        _save_under_free_name(organization)
        audit(actor, "organization.created", organization, name=name)
    return organization


def change_organization(
    *, actor: Viewer, organization_id: int, values: Mapping[str, Any], expected_version: int | None = None
) -> Organization:
    """Change name, website or sector. All incidents of the organization are reindexed."""
    _only_admins(actor)
    with transaction.atomic():
        organization = Organization.objects.select_for_update(no_key=True).filter(pk=organization_id).first()
        if organization is None:
            raise Missing
        _check_version(organization, expected_version)
        before = _current_values(organization, values, ("name", "website", "sector"))
        if "name" in values:
            organization.name = _free_name(Organization, values["name"], excluding=organization.pk)
        if "website" in values:
            organization.website = clean_url("website", values["website"])
        if "sector" in values:
            organization.sector = clean("sector", values["sector"], max_characters=40, single_line=True)
        if not _differs(organization, before):
            return organization
        organization.version += 1
        _save_under_free_name(organization)
        audit(
            actor,
            "organization.changed",
            organization,
            **{name: getattr(organization, name) for name in values},
        )
        outbox.reindex(Incident.objects.filter(Q(organization=organization) | Q(published_organization=organization)))
    return organization


def delete_organization(*, actor: Viewer, organization_id: int, expected_version: int | None = None) -> None:
    """Delete an organization that no incident is about. Home is never deleted."""
    _only_admins(actor)
    with transaction.atomic():
        organization = Organization.objects.select_for_update().filter(pk=organization_id).first()
        if organization is None:
            raise Missing
        _check_version(organization, expected_version)
        if organization.is_home:
            raise WrongState("The home organization cannot be deleted.")
        if organization.incidents.exists() or organization.published_incidents.exists():
            raise WrongState(
                "Only organizations without incidents can be deleted. Deleted incidents count until they are purged."
            )
        audit(actor, "organization.deleted", organization, name=organization.name)
        organization.delete()


# --- Services --------------------------------------------------------------------------------------
def create_service(*, actor: Viewer, name: str, organization: Organization, team: Team | None = None) -> Service:
    _require_service_rights(actor, team)
    with transaction.atomic():
        name = _free_service_name(organization, name)
        service = Service(organization=organization, name=name, team=team)
        service.slug = free_slug(organization.services.all(), name)
        _save_under_free_name(service)
        audit(actor, "service.created", service, name=name)
    return service


def change_service(
    *, actor: Viewer, service_id: int, values: Mapping[str, Any], expected_version: int | None = None
) -> Service:
    with transaction.atomic():
        service = Service.objects.select_for_update(of=("self",), no_key=True).filter(pk=service_id).first()
        if service is None:
            raise Missing
        _require_service_rights(actor, service.team)
        _check_version(service, expected_version)
        before = _current_values(service, values, ("name", "team"))
        if "name" in values:
            service.name = _free_service_name(service.organization, values["name"], excluding=service.pk)
        if "team" in values:
            service.team = find_team(actor, values["team"])
            _require_service_rights(actor, service.team)
        if not _differs(service, before):
            return service
        service.version += 1
        _save_under_free_name(service)
        audit(actor, "service.changed", service, fields=sorted(values))
        outbox.reindex(_incidents_of(service))
    return service


def delete_service(*, actor: Viewer, service_id: int, expected_version: int | None = None) -> None:
    with transaction.atomic():
        service = Service.objects.select_for_update(of=("self",)).filter(pk=service_id).first()
        if service is None:
            raise Missing
        _require_service_rights(actor, service.team)
        _check_version(service, expected_version)
        if _incidents_of(service).exists():
            raise WrongState("Some incidents still list this service. Remove it from them first.")
        audit(actor, "service.deleted", service, name=service.name)
        service.delete()


def _incidents_of(service: Service) -> QuerySet[Incident]:
    """Incidents that name it in their working copy or their published revision."""
    return Incident.objects.filter(Q(services=service) | Q(published_services=service)).distinct()


def _require_service_rights(actor: Viewer, team: Team | None) -> None:
    if not (actor.is_admin or (team is not None and team.pk in actor.leads)):
        raise NotAllowed("Only admins, and leads for their own team's services, can change this.")


# --- Teams -----------------------------------------------------------------------------------------
def create_team(*, actor: Viewer, name: str, description: str = "") -> Team:
    _only_admins(actor)
    with transaction.atomic():
        name = _free_name(Team, name, max_length=80)
        team = Team(
            name=name,
            slug=free_slug(Team.objects.all(), name, max_length=80),
            description=clean("description", description, max_characters=300, single_line=True),
        )
        _save_under_free_name(team)
        audit(actor, "team.created", team, name=name)
    return team


def change_team(*, actor: Viewer, team_id: int, values: Mapping[str, Any], expected_version: int | None = None) -> Team:
    with transaction.atomic():
        team = _own_team(actor, team_id)
        _check_version(team, expected_version)
        before = _current_values(team, values, ("name", "description"))
        if "name" in values:
            team.name = _free_name(Team, values["name"], excluding=team.pk, max_length=80)
        if "description" in values:
            team.description = clean("description", values["description"], max_characters=300, single_line=True)
        if not _differs(team, before):
            return team
        team.version += 1
        _save_under_free_name(team)
        audit(actor, "team.changed", team, fields=sorted(values))
        outbox.reindex(team.incidents.all())
    return team


def delete_team(*, actor: Viewer, team_id: int, expected_version: int | None = None) -> None:
    _only_admins(actor)
    with transaction.atomic():
        # A full row lock, so that no new row can refer to the team after the check below.
        team = _own_team(actor, team_id, no_key=False)
        _check_version(team, expected_version)
        if team.incidents.exists() or team.templates.exists():
            raise WrongState("This team owns incidents or templates. Move them to another team first.")
        audit(actor, "team.deleted", team, name=team.name)
        team.delete()


def set_membership(*, actor: Viewer, team_id: int, user: User, role: str | None) -> None:
    """Give a user a role in a team, or remove them with None. A team keeps at least one lead."""
    with transaction.atomic():
        team = _own_team(actor, team_id)
        # Only None removes the user: an empty role is a mistake, and is refused.
        role = None if role is None else clean_choice("role", role, Role.values)
        before = Membership.objects.filter(team=team, user=user).first()
        loses_lead = before is not None and before.role == Role.LEAD and role != Role.LEAD
        others = team.memberships.filter(role=Role.LEAD, user__is_active=True).exclude(user=user)
        if loses_lead and not others.exists():
            raise Invalid({"role": "A team needs at least one lead. Make someone else a lead first."})
        if role is None:
            if before is not None:
                before.delete()
        else:
            Membership.objects.update_or_create(team=team, user=user, defaults={"role": role})
        audit(actor, "team.membership", team, user=user.pk, role=role)


def _own_team(actor: Viewer, team_id: int, *, no_key: bool = True) -> Team:
    team = scopes.visible_teams(actor).select_for_update(no_key=no_key).filter(pk=team_id).first()
    if team is None:
        raise Missing
    if not scopes.may_manage_team(actor, team):
        raise NotAllowed("Only leads of the team and admins can change this.")
    return team


def find_team(actor: Viewer, slug: Any) -> Team | None:
    if slug in (None, ""):
        return None
    team = scopes.visible_teams(actor).filter(slug=clean("team", slug, max_characters=80)).first()
    if team is None:
        raise Invalid({"team": f"There is no team {slug}."})
    return team


# --- Templates -------------------------------------------------------------------------------------
def save_template(*, actor: Viewer, definition: Mapping[str, Any], team: Team | None = None) -> PostmortemTemplate:
    """Save a new template, or the next version of the one with its key. The same definition changes nothing."""
    template.check(dict(definition))
    try:
        return _save_version(actor, definition, team)
    except IntegrityError:
        # A concurrent request added a template with this key. It exists by now and can be locked.
        return _save_version(actor, definition, team)


def _save_version(actor: Viewer, definition: Mapping[str, Any], team: Team | None) -> PostmortemTemplate:
    with transaction.atomic():
        current = PostmortemTemplate.objects.select_for_update().filter(key=definition["key"], is_current=True).first()
        owner = current.team if current else team
        if not actor.is_admin and (owner is None or owner.pk not in actor.leads):
            raise NotAllowed("Leads can change their own team's templates. Only admins can change shared ones.")
        if current and current.definition == definition:
            return current
        if current:
            current.is_current = False
            current.save()
        saved = PostmortemTemplate.objects.create(
            key=definition["key"],
            number=current.number + 1 if current else 1,
            name=definition["name"],
            team=owner,
            definition=dict(definition),
        )
        audit(actor, "template.saved", saved, key=saved.key, number=saved.number)
    return saved


# --- Shared ----------------------------------------------------------------------------------------
def _check_version(thing: Organization | Service | Team, expected_version: int | None) -> None:
    if expected_version is not None and thing.version != expected_version:
        raise Stale(thing.version)


def _current_values(
    thing: Organization | Service | Team, values: Mapping[str, Any], names: tuple[str, ...]
) -> dict[str, Any]:
    """The current values of the fields in `values`. Raises Invalid for a field that is not in `names`."""
    if unknown := [name for name in values if name not in names]:
        raise Invalid({name: f"Unknown field. Known ones are {', '.join(names)}." for name in unknown})
    return {name: getattr(thing, name) for name in values}


def _differs(thing: Organization | Service | Team, before: Mapping[str, Any]) -> bool:
    return any(getattr(thing, name) != value for name, value in before.items())


def _free_name(model: type[Organization] | type[Team], name: Any, *, excluding: int = 0, max_length: int = 120) -> str:
    text = clean("name", name, max_characters=max_length, required=True, single_line=True)
    if model.objects.filter(name__called=text).exclude(pk=excluding).exists():
        raise Invalid({"name": "This name is taken. Choose another."})
    return text


def _free_service_name(organization: Organization, name: Any, *, excluding: int = 0) -> str:
    text = clean("name", name, max_characters=NAME_CHARACTERS, required=True, single_line=True)
    if organization.services.filter(name__called=text).exclude(pk=excluding).exists():
        raise Invalid({"name": f"{organization.name} already has a service with this name."})
    return text


def _save_under_free_name(thing: Organization | Service | Team) -> None:
    """Save it. Raises Invalid when a concurrent request took the name after it was checked."""
    try:
        with transaction.atomic():
            thing.save()
    except IntegrityError as error:
        raise Invalid({"name": "This name was just taken. Choose another."}) from error
