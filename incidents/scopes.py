"""Who can see and change what: one rule as a predicate and as a queryset, proven equal by tests.

A Viewer is resolved once per request, frozen, and passed down. Every read starts from a queryset scoped to the viewer.

    draft, in review   the owning team, asked reviewers and admins, regardless of visibility
    published          public: everyone. internal: every active signed-in user. team: its members and admins
    archived           as published
    deleted            no one
A reopened postmortem keeps its published revision visible as published.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.db.models import Case, Count, F, Q, QuerySet, When

from incidents.errors import NotAllowed
from incidents.models import Incident, Membership, Organization, ReviewRequest, Service, Team, User
from incidents.vocabulary import Origin, Role, Status, Visibility

WRITING_ROLES = (Role.AUTHOR, Role.LEAD)
UNPUBLISHED = (Status.DRAFT, Status.IN_REVIEW)


@dataclass(frozen=True, slots=True)
class Viewer:
    """The viewer, resolved once at the start of the request.

    An anonymous viewer has no `user_id` and sees only what is public.
    """

    user_id: int | None = None
    is_admin: bool = False
    is_system: bool = False
    teams: frozenset[int] = field(default_factory=frozenset)
    writes_for: frozenset[int] = field(default_factory=frozenset)
    leads: frozenset[int] = field(default_factory=frozenset)
    asked_to_review: frozenset[int] = field(default_factory=frozenset)

    @property
    def is_signed_in(self) -> bool:
        return self.user_id is not None

    @property
    def person_id(self) -> int:
        """The id of the acting user. Raises NotAllowed for an anonymous viewer."""
        if self.user_id is None:
            raise NotAllowed("Sign in first.")
        return self.user_id

    @classmethod
    def of(cls, user: User | AnonymousUser | None) -> Viewer:
        """The viewer for this user's current roles and reviews. An inactive user is anonymous."""
        if user is None or not isinstance(user, User) or not user.is_active:
            return cls()
        roles, reviews = _roles_and_reviews(user.pk)
        return cls(
            user_id=user.pk,
            is_admin=user.is_admin,
            is_system=user.is_system,
            teams=frozenset(roles),
            writes_for=frozenset(t for t, role in roles.items() if role in WRITING_ROLES),
            leads=frozenset(t for t, role in roles.items() if role == Role.LEAD),
            asked_to_review=reviews,
        )

    @classmethod
    def system(cls) -> Viewer:
        return cls.of(User.objects.system())


ANONYMOUS = Viewer()

# Raw SQL because every request runs it: composing it with the ORM would take thirty times as long as running it.
_ROLES_AND_REVIEWS = f"""
    SELECT team_id, role FROM {Membership._meta.db_table} WHERE user_id = %s
    UNION ALL
    SELECT incident_id, '' FROM {ReviewRequest._meta.db_table} WHERE reviewer_id = %s AND ended_at IS NULL
"""  # noqa: S608  (the names of our own tables)


def _roles_and_reviews(user_id: int) -> tuple[dict[int, str], frozenset[int]]:
    """The user's role in each team, and the incidents that they are asked to review."""
    with connection.cursor() as cursor:
        cursor.execute(_ROLES_AND_REVIEWS, [user_id, user_id])
        rows: list[tuple[int, str]] = cursor.fetchall()
    return {team: role for team, role in rows if role}, frozenset(incident for incident, role in rows if not role)


# --- May they see it? ------------------------------------------------------------------------------
def sees_working_copy(viewer: Viewer, incident: Incident) -> bool:
    """Can the viewer see the working copy, rather than only the published revision?

    Those who can edit it and asked reviewers can. Other members of the owning team, and admins of a famous outage, can
    only until there is a published revision.
    """
    if incident.deleted_at is not None or not viewer.is_signed_in:
        return False
    if may_edit(viewer, incident) or _is_reviewer(viewer, incident):
        return True
    return incident.published_revision_id is None and _is_member_or_admin(viewer, incident)


def _is_member_or_admin(viewer: Viewer, incident: Incident) -> bool:
    return viewer.is_admin or (incident.team_id is not None and incident.team_id in viewer.teams)


def _is_reviewer(viewer: Viewer, incident: Incident) -> bool:
    return incident.pk in viewer.asked_to_review and incident.status in UNPUBLISHED


def sees_published(viewer: Viewer, incident: Incident) -> bool:
    """Can the viewer see the published revision, if there is one?"""
    if incident.deleted_at is not None or incident.published_revision_id is None:
        return False
    match incident.visibility:
        case Visibility.PUBLIC:
            return True
        case Visibility.INTERNAL:
            return viewer.is_signed_in
        case _:
            return _is_member_or_admin(viewer, incident)


def may_see(viewer: Viewer, incident: Incident) -> bool:
    if incident.deleted_at is not None:
        return False
    return _is_member_or_admin(viewer, incident) or _is_reviewer(viewer, incident) or sees_published(viewer, incident)


def visible_condition(viewer: Viewer, prefix: str = "") -> Q:
    """`may_see` as a condition; `prefix` ("incident__") applies it through a relation."""

    def q(**conditions: object) -> Q:
        return Q(**{prefix + name: value for name, value in conditions.items()})

    alive = q(deleted_at__isnull=True)
    if viewer.is_admin:
        return alive
    levels = [Visibility.PUBLIC, Visibility.INTERNAL] if viewer.is_signed_in else [Visibility.PUBLIC]
    allowed = q(published_revision__isnull=False, visibility__in=levels)
    if viewer.is_signed_in:
        allowed |= q(team__in=viewer.teams) | q(pk__in=viewer.asked_to_review, status__in=UNPUBLISHED)
    return alive & allowed


def visible_incidents(viewer: Viewer | None) -> QuerySet[Incident]:
    """Every incident that the viewer can see; without a viewer, none."""
    if viewer is None:
        return Incident.objects.none()
    return Incident.objects.filter(visible_condition(viewer))


def incidents_with_visible_working_copy(viewer: Viewer | None) -> QuerySet[Incident]:
    """`sees_working_copy` as a queryset."""
    if viewer is None or not viewer.is_signed_in:
        return Incident.objects.none()
    return Incident.objects.filter(_working_copy_condition(viewer))


def _working_copy_condition(viewer: Viewer) -> Q:
    """`sees_working_copy` of a signed-in viewer as a condition."""
    alive = Q(deleted_at__isnull=True)
    if viewer.is_admin:
        return alive if viewer.is_system else alive & ~Q(origin=Origin.FAMOUS, published_revision__isnull=False)
    return alive & (
        Q(~Q(origin=Origin.FAMOUS), team__in=viewer.writes_for)
        | Q(pk__in=viewer.asked_to_review, status__in=UNPUBLISHED)
        | Q(published_revision__isnull=True, team__in=viewer.teams)
    )


def reads_published_condition(viewer: Viewer) -> Q:
    """The condition, on visible incidents, that the viewer reads the published revision of a reopened one, whose
    working copy may differ from it."""
    return reopened_condition() & ~_working_copy_condition(viewer) if viewer.is_signed_in else reopened_condition()


def reopened_condition() -> Q:
    """The condition that an incident is reopened: readers see its published revision, and its working copy may differ.
    Search finds the published revision, even for its authors."""
    return Q(status__in=UNPUBLISHED, published_revision__isnull=False)


def name_condition(wanted: Sequence[str]) -> Q:
    """The condition that an organization or service has one of these slugs or names, in any letter case."""
    return Q(slug__in=[value.lower() for value in wanted]) | Q(name__called_any=wanted)


def organizations_by_name(wanted: Sequence[str]) -> dict[str, list[Organization]]:
    """The organizations that each of these slugs or names refers to, including hidden ones. A name match wins: a slug
    outlives a rename, so it can equal the current name of another organization."""
    found = list(Organization.objects.filter(name_condition(wanted)))
    out = {}
    for value in wanted:
        by_name = [one for one in found if one.name.lower() == value.lower()]
        out[value] = by_name or [one for one in found if one.slug == value.lower()]
    return out


def organization_condition(viewer: Viewer, wanted: Q) -> Q:
    """The condition that an incident, in the version the viewer reads, is about an organization that matches `wanted`
    (a condition on organizations)."""
    return _shown_condition(viewer, "organization", Organization.objects.filter(wanted))


def service_condition(viewer: Viewer, wanted: Q) -> Q:
    """As `organization_condition`, for at least one of the incident's services."""
    return _shown_condition(viewer, "services", Service.objects.filter(wanted))


def _shown_condition(viewer: Viewer, name: str, wanted: QuerySet[Any]) -> Q:
    def among(column: str) -> Q:
        # A subquery, so that an incident with two such services is still one row.
        return Q(pk__in=Incident.objects.filter(**{f"{column}__in": wanted}).order_by().values("pk"))

    published = reads_published_condition(viewer)
    return (~published & among(name)) | (published & among(f"published_{name}"))


def with_shown_organization(published: Q, incidents: QuerySet[Incident]) -> QuerySet[Any]:
    """Incidents with `shown_organization`: the id of the organization that is shown, the published revision's where
    the condition `published` holds (`reads_published_condition` or `reopened_condition`)."""
    shown = Case(When(published, then=F("published_organization")), default=F("organization"))
    return incidents.annotate(shown_organization=shown)


# --- Organizations and services --------------------------------------------------------------------
def visible_organizations(viewer: Viewer) -> QuerySet[Organization]:
    """Home, and those named in an incident that the viewer can see, in its published revision or its working copy. The
    others are hidden, because a name alone can reveal a hidden incident. Admins see all."""
    if viewer.is_admin:
        return Organization.objects.all()
    visible = visible_incidents(viewer).order_by()
    read = with_shown_organization(reads_published_condition(viewer), visible).values("shown_organization")
    published = visible.filter(reopened_condition()).values("published_organization")
    return Organization.objects.filter(Q(is_home=True) | Q(pk__in=read) | Q(pk__in=published))


def count_by_organization(viewer: Viewer, organizations: Iterable[Organization]) -> dict[int, int]:
    """How many incidents of each of these organizations the viewer can see, by its id. Archived ones do not count, and
    organizations without any are left out."""
    listed = visible_incidents(viewer).exclude(status=Status.ARCHIVED).order_by()
    shown = with_shown_organization(reads_published_condition(viewer), listed)
    theirs = shown.filter(shown_organization__in=[one.pk for one in organizations]).values_list("shown_organization")
    return dict(theirs.annotate(n=Count("pk")))


def visible_services(viewer: Viewer) -> QuerySet[Service]:
    """Services of incidents that the viewer can see; when signed in, also those that a team owns. Admins see all."""
    services = Service.objects.select_related("organization", "team")
    if viewer.is_admin:
        return services
    visible, published = visible_incidents(viewer).order_by(), reads_published_condition(viewer)
    condition = Q(pk__in=visible.exclude(published).filter(services__isnull=False).values("services"))
    condition |= Q(pk__in=visible.filter(published, published_services__isnull=False).values("published_services"))
    if viewer.is_signed_in:
        condition |= Q(team__isnull=False)
    return services.filter(condition)


# --- May they change it? ---------------------------------------------------------------------------
def may_edit(viewer: Viewer, incident: Incident) -> bool:
    """Authors and leads of the owning team, and admins. Famous outages can be changed only by their loader."""
    if incident.deleted_at is not None or not viewer.is_signed_in:
        return False
    if incident.origin == Origin.FAMOUS:
        return viewer.is_system
    return viewer.is_admin or (incident.team_id is not None and incident.team_id in viewer.writes_for)


def may_lead(viewer: Viewer, incident: Incident) -> bool:
    """Leads of the owning team and admins. They can delete, archive, and publish without a review."""
    if not may_edit(viewer, incident):
        return False
    return viewer.is_admin or incident.team_id in viewer.leads


def may_manage_team(viewer: Viewer, team: Team) -> bool:
    return viewer.is_admin or team.pk in viewer.leads


def visible_teams(viewer: Viewer | None) -> QuerySet[Team]:
    """Every team for signed-in users, none for anonymous viewers."""
    return Team.objects.all() if viewer is not None and viewer.is_signed_in else Team.objects.none()


def visible_people(viewer: Viewer | None) -> QuerySet[User]:
    """Every user except the system user, for signed-in viewers; none for anonymous ones."""
    if viewer is None or not viewer.is_signed_in:
        return User.objects.none()
    return User.objects.filter(is_system=False)
