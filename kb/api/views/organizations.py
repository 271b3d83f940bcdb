"""Organizations, services, teams and their members."""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from incidents import scopes
from incidents.actions import organizations as actions
from incidents.errors import Invalid, Missing
from incidents.models import Membership, Organization, Service, Team, User
from kb.api import etags, filters
from kb.api.base import ApiView, answer, no_content, page
from kb.api.documents import name_and_slug
from kb.api.filters import ServiceFilter
from kb.api.operations import reads, writes
from kb.api.pagination import Order, paginate
from kb.api.parameters import PAGING
from kb.api.problems import Refusal

BY_NAME = Order("name")


# --- Organizations ---------------------------------------------------------------------------------
class OrganizationView(ApiView):
    def find(self, slug: str) -> Organization:
        found = scopes.visible_organizations(self.viewer).filter(slug=slug).first()
        if found is None:
            raise Missing
        return found

    def represent(self, organization: Organization, incidents: int) -> dict[str, Any]:
        return {
            "id": str(organization.uuid),
            "url": self.address("organization", slug=organization.slug),
            "name": organization.name,
            "slug": organization.slug,
            "website": organization.website or None,
            "sector": organization.sector or None,
            "is_home": organization.is_home,
            "incidents": incidents,
            "version": organization.version,
        }

    def respond(self, slug: str, status: int = 200) -> Response:
        (body,) = self.represent_all([self.find(slug)])
        location = body["url"] if status == 201 else None
        return answer(body, etag=etags.of_version(body["version"]), status=status, location=location)

    def represent_all(self, organizations: list[Organization]) -> list[dict[str, Any]]:
        counts = scopes.count_by_organization(self.viewer, organizations)
        return [self.represent(organization, counts.get(organization.pk, 0)) for organization in organizations]


class Organizations(OrganizationView):
    @reads(
        "List organizations",
        description="Lists the organizations that visible incidents are about, and the home organization. Admins see "
        "all.",
        answer="OrganizationList",
        query=PAGING,
    )
    def get(self, request: Request) -> Response:
        found, next_address = paginate(request, scopes.visible_organizations(self.viewer), BY_NAME)
        return page(self.represent_all(found), next_address)

    @writes(
        "Create an organization",
        description="Only for admins.",
        body="OrganizationCreate",
        answer="Organization",
        status=201,
    )
    def post(self, request: Request) -> Response:
        made = actions.create_organization(
            actor=self.viewer,
            name=self.body["name"],
            website=self.body.get("website") or "",
            sector=self.body.get("sector") or "",
        )
        return self.respond(made.slug, 201)


class OneOrganization(OrganizationView):
    @reads("Get an organization", answer="Organization", etag=True)
    def get(self, request: Request, slug: str) -> Response:
        return self.respond(slug)

    @writes(
        "Update an organization",
        description="Only for admins.",
        body="OrganizationChange",
        answer="Organization",
        precondition="required",
    )
    def patch(self, request: Request, slug: str) -> Response:
        organization = self.find(slug)
        actions.change_organization(
            actor=self.viewer,
            organization_id=organization.pk,
            values=self.body,
            expected_version=self.condition().expected(organization.version),
        )
        return self.respond(slug)

    @writes(
        "Delete an organization",
        description="Only for admins, and only if no incident is about it; deleted incidents count until "
        "they are purged. The home organization cannot be deleted.",
        answer=None,
        status=204,
        precondition="required",
    )
    def delete(self, request: Request, slug: str) -> Response:
        organization = self.find(slug)
        expected = self.condition().expected(organization.version)
        actions.delete_organization(actor=self.viewer, organization_id=organization.pk, expected_version=expected)
        return no_content()


# --- Services --------------------------------------------------------------------------------------
class ServiceView(ApiView):
    def find(self, service_id: uuid.UUID) -> Service:
        found = scopes.visible_services(self.viewer).filter(uuid=service_id).first()
        if found is None:
            raise Missing
        return found

    def represent(self, service: Service) -> dict[str, Any]:
        return {
            "id": str(service.uuid),
            "url": self.address("service", service_id=service.uuid),
            "name": service.name,
            "slug": service.slug,
            "organization": name_and_slug(service.organization),
            "team": name_and_slug(service.team) if self.viewer.is_signed_in else None,
            "version": service.version,
        }

    def respond(self, service: Service, status: int = 200) -> Response:
        body = self.represent(service)
        location = body["url"] if status == 201 else None
        return answer(body, etag=etags.of_version(service.version), status=status, location=location)


class Services(ServiceView):
    @reads(
        "List services",
        description="Lists the services that visible incidents name. Signed-in callers also see those that belong to a "
        "team, admins all.",
        answer="ServiceList",
        query=(*filters.parameters(ServiceFilter), *PAGING),
    )
    def get(self, request: Request) -> Response:
        rows = filters.filtered(ServiceFilter(request.query_params, self.viewer))
        found, next_address = paginate(request, rows, BY_NAME)
        notices = filters.notices(request.query_params, self.viewer, found)
        return page([self.represent(service) for service in found], next_address, notices=notices)

    @writes(
        "Create a service",
        description="Only for leads of its team and admins.",
        body="ServiceCreate",
        answer="Service",
        status=201,
    )
    def post(self, request: Request) -> Response:
        service = actions.create_service(
            actor=self.viewer,
            name=self.body["name"],
            organization=self._organization(self.body.get("organization")),
            team=actions.find_team(self.viewer, self.body.get("team")),
        )
        return self.respond(service, 201)

    def _organization(self, slug: str | None) -> Organization:
        visible = scopes.visible_organizations(self.viewer)
        found = visible.filter(slug=slug).first() if slug else visible.filter(is_home=True).first()
        if found is None:
            raise Invalid({"organization": "There is no organization with this slug."})
        return found


class OneService(ServiceView):
    @reads("Get a service", answer="Service", etag=True)
    def get(self, request: Request, service_id: uuid.UUID) -> Response:
        return self.respond(self.find(service_id))

    @writes(
        "Update a service",
        description="Only for leads of its team and admins.",
        body="ServiceChange",
        answer="Service",
        precondition="required",
    )
    def patch(self, request: Request, service_id: uuid.UUID) -> Response:
        service = self.find(service_id)
        changed = actions.change_service(
            actor=self.viewer,
            service_id=service.pk,
            values=self.body,
            expected_version=self.condition().expected(service.version),
        )
        return self.respond(changed)

    @writes(
        "Delete a service",
        description="Only for leads of its team and admins, and only if no incident names it.",
        answer=None,
        status=204,
        precondition="required",
    )
    def delete(self, request: Request, service_id: uuid.UUID) -> Response:
        service = self.find(service_id)
        expected = self.condition().expected(service.version)
        actions.delete_service(actor=self.viewer, service_id=service.pk, expected_version=expected)
        return no_content()


# --- Teams -----------------------------------------------------------------------------------------
class TeamView(ApiView):
    def find(self, slug: str) -> Team:
        found = scopes.visible_teams(self.viewer).filter(slug=slug).first()
        if found is None:
            raise Missing
        return found

    def represent(self, team: Team, role: str | None) -> dict[str, Any]:
        return {
            "id": str(team.uuid),
            "url": self.address("team", slug=team.slug),
            "name": team.name,
            "slug": team.slug,
            "description": team.description,
            "your_role": role,
            "version": team.version,
        }

    def roles(self) -> dict[int, str]:
        """The caller's role in each team, by team id."""
        if self.viewer.user_id is None:
            return {}
        return dict(Membership.objects.filter(user_id=self.viewer.user_id).values_list("team_id", "role"))

    def respond(self, slug: str, status: int = 200) -> Response:
        team = self.find(slug)
        body = self.represent(team, self.roles().get(team.pk))
        location = body["url"] if status == 201 else None
        return answer(body, etag=etags.of_version(team.version), status=status, location=location)


class Teams(TeamView):
    @reads(
        "List teams",
        description="The list is empty for anonymous callers.",
        answer="TeamList",
        query=PAGING,
    )
    def get(self, request: Request) -> Response:
        found, next_address = paginate(request, scopes.visible_teams(self.viewer), BY_NAME)
        roles = self.roles()
        return page([self.represent(team, roles.get(team.pk)) for team in found], next_address)

    @writes(
        "Create a team",
        description="Only for admins.",
        body="TeamCreate",
        answer="Team",
        status=201,
    )
    def post(self, request: Request) -> Response:
        description = self.body.get("description") or ""
        made = actions.create_team(actor=self.viewer, name=self.body["name"], description=description)
        return self.respond(made.slug, 201)


class OneTeam(TeamView):
    @reads("Get a team", answer="Team", etag=True)
    def get(self, request: Request, slug: str) -> Response:
        return self.respond(slug)

    @writes(
        "Update a team",
        description="Only for its leads and admins.",
        body="TeamChange",
        answer="Team",
        precondition="required",
    )
    def patch(self, request: Request, slug: str) -> Response:
        team = self.find(slug)
        actions.change_team(
            actor=self.viewer,
            team_id=team.pk,
            values=self.body,
            expected_version=self.condition().expected(team.version),
        )
        return self.respond(slug)

    @writes(
        "Delete a team",
        description="Only for admins, and only if the team owns no incidents or templates.",
        answer=None,
        status=204,
        precondition="required",
    )
    def delete(self, request: Request, slug: str) -> Response:
        team = self.find(slug)
        expected = self.condition().expected(team.version)
        actions.delete_team(actor=self.viewer, team_id=team.pk, expected_version=expected)
        return no_content()


class MemberView(TeamView):
    """The ETag of a membership is its role, the only thing about it that can change."""

    def member(self, team: Team, user_id: int) -> Membership:
        found = team.memberships.select_related("user").filter(user_id=user_id).first()
        if found is None:
            raise Missing
        return found

    def represent_member(self, team: Team, membership: Membership) -> dict[str, Any]:
        return {
            "id": membership.user_id,
            "url": self.address("member", slug=team.slug, user_id=membership.user_id),
            "name": membership.user.name,
            "email": membership.user.email,
            "role": membership.role,
            "since": membership.since.isoformat(),
        }

    def respond_with_member(self, team: Team, user_id: int, status: int = 200) -> Response:
        membership = self.member(team, user_id)
        body = self.represent_member(team, membership)
        location = body["url"] if status == 201 else None
        return answer(body, etag=f'"{membership.role}"', status=status, location=location)

    def locked_team(self, slug: str) -> Team:
        """The team, row-locked so that its members do not change in the meantime."""
        team = self.find(slug)
        scopes.visible_teams(self.viewer).select_for_update(no_key=True).get(pk=team.pk)
        return team

    def membership_to_change(self, slug: str, user_id: int) -> tuple[Team, Membership]:
        """The membership to change, with its team locked. Raises Refusal (412) if the precondition does not hold."""
        team = self.locked_team(slug)
        membership = self.member(team, user_id)
        condition = self.condition()
        if not condition.any and membership.role not in condition.tags and scopes.may_manage_team(self.viewer, team):
            raise Refusal("stale", f"This member's role is now {membership.role}. Read the membership again.")
        return team, membership


class Members(MemberView):
    @reads("List team members", answer="MemberList", query=PAGING)
    def get(self, request: Request, slug: str) -> Response:
        team = self.find(slug)
        found, next_address = paginate(request, team.memberships.select_related("user"), Order())
        return page([self.represent_member(team, membership) for membership in found], next_address)

    @writes(
        "Add a team member",
        description="Only for leads of the team and admins.",
        body="MemberCreate",
        answer="Member",
        status=201,
    )
    def post(self, request: Request, slug: str) -> Response:
        team = self.locked_team(slug)
        people = scopes.visible_people(self.viewer).filter(is_active=True)
        user: User | None = people.filter(pk__in=User.objects.with_address(self.body["email"])).first()
        if user is None:
            raise Invalid({"email": "There is no user with this address. Invite them first."})
        if team.memberships.filter(user=user).exists():
            raise Refusal("wrong_state", "This user is already a member. Change their role instead.")
        actions.set_membership(actor=self.viewer, team_id=team.pk, user=user, role=self.body["role"])
        return self.respond_with_member(team, user.pk, 201)


class Member(MemberView):
    @reads("Get a team member", answer="Member", etag=True)
    def get(self, request: Request, slug: str, user_id: int) -> Response:
        return self.respond_with_member(self.find(slug), user_id)

    @writes(
        "Change a member's role",
        description="Only for leads of the team and admins. A team keeps at least one lead.",
        body="MemberChange",
        answer="Member",
        precondition="required",
    )
    def patch(self, request: Request, slug: str, user_id: int) -> Response:
        team, membership = self.membership_to_change(slug, user_id)
        actions.set_membership(actor=self.viewer, team_id=team.pk, user=membership.user, role=self.body["role"])
        return self.respond_with_member(team, user_id)

    @writes(
        "Remove a team member",
        description="Only for leads of the team and admins. A team keeps at least one lead.",
        answer=None,
        status=204,
        precondition="required",
    )
    def delete(self, request: Request, slug: str, user_id: int) -> Response:
        team, membership = self.membership_to_change(slug, user_id)
        actions.set_membership(actor=self.viewer, team_id=team.pk, user=membership.user, role=None)
        return no_content()
