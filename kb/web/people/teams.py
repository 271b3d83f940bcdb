"""Teams: their members with their roles, and open invitations."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from incidents import scopes
from incidents.actions import organizations
from incidents.errors import Invalid, Missing, NotAllowed, Stale
from incidents.models import Invitation, Team
from incidents.vocabulary import Role
from kb.web.people import invitations
from kb.web.people.forms import BAD_REQUEST, InviteForm, MemberForm, TeamForm, post_data, run_action, status_of
from kb.web.request import Request
from kb.web.writing.access import get_only, get_or_post, post_only, signed_in


def visible_team(request: Request, slug: str) -> Team:
    found = scopes.visible_teams(request.viewer).filter(slug=slug).first()
    if found is None:
        raise Missing
    return found


def managed_team(request: Request, slug: str) -> Team:
    """A team that the viewer can manage.

    Raises Missing and NotAllowed, so that permission is checked before the form is validated.
    """
    team = visible_team(request, slug)
    if not scopes.may_manage_team(request.viewer, team):
        raise NotAllowed("Only leads of the team and admins can change this.")
    return team


@get_or_post
@signed_in
def teams(request: Request) -> HttpResponse:
    form = TeamForm(post_data(request))
    if request.method == "POST":
        if not request.viewer.is_admin:
            raise NotAllowed("Only admins can create teams.")
        if form.is_valid():
            values = form.cleaned_data
            created = run_action(form, lambda: organizations.create_team(actor=request.viewer, **values))
            if created is not None:
                return redirect("web:team", created.slug)
    found = scopes.visible_teams(request.viewer).annotate(people=Count("memberships")).order_by("name")
    context = {"teams": found, "form": form, "own_teams": request.viewer.teams}
    return render(request, "web/people/teams.html", context, status=status_of(form))


@get_only
@signed_in
def team(request: Request, slug: str) -> HttpResponse:
    return team_page(request, visible_team(request, slug))


def team_page(
    request: Request,
    team: Team,
    *,
    member: MemberForm | None = None,
    invite: InviteForm | None = None,
    link: str = "",
    status: int = 200,
) -> HttpResponse:
    may_manage = scopes.may_manage_team(request.viewer, team)
    context = {
        "team": team,
        "memberships": team.memberships.select_related("user").order_by("user__name"),
        "may_manage": may_manage,
        "roles": Role.choices,
        "link": link,
    }
    if may_manage:
        context |= {
            "member_form": member or MemberForm(team=team),
            "invite_form": invite or InviteForm(team=team, auto_id="invite_%s"),
            "invitations": open_invitations(team),
        }
    return render(request, "web/people/team.html", context, status=status)


def open_invitations(team: Team | None = None) -> list[Invitation]:
    """Invitations that are still open, for one team or for all."""
    found = Invitation.objects.filter(
        accepted_at__isnull=True, revoked_at__isnull=True, expires_at__gt=timezone.now()
    ).select_related("team", "invited_by")
    return list(found.filter(team=team) if team else found)


@post_only
@signed_in
def add_member(request: Request, slug: str) -> HttpResponse:
    team = managed_team(request, slug)
    form = MemberForm(request.POST, team=team)
    if form.is_valid():
        user, role = form.cleaned_data["user"], form.cleaned_data["role"]
        run_action(
            form, lambda: organizations.set_membership(actor=request.viewer, team_id=team.pk, user=user, role=role)
        )
        if not form.errors:
            messages.success(request, f"Added {user.name} to {team.name}.")
            return redirect("web:team", team.slug)
    return team_page(request, team, member=form, status=status_of(form))


@post_only
@signed_in
def change_member(request: Request, slug: str, user_id: int) -> HttpResponse:
    """Change a member's role, or remove them from the team with the button "remove"."""
    team = managed_team(request, slug)
    user = scopes.visible_people(request.viewer).filter(pk=user_id).first()
    if user is None:
        raise Missing
    role = None if "remove" in request.POST else request.POST.get("role", "")
    try:
        organizations.set_membership(actor=request.viewer, team_id=team.pk, user=user, role=role)
    except Invalid as error:
        for text in (text for texts in error.fields.values() for text in texts):
            messages.error(request, f"Role of {user.name}: {text}")
        return team_page(request, team, status=BAD_REQUEST)
    messages.success(request, f"Removed {user.name} from {team.name}." if role is None else "Saved.")
    return redirect("web:team", team.slug)


@post_only
@signed_in
def invite(request: Request, slug: str) -> HttpResponse:
    team = managed_team(request, slug)
    form = InviteForm(request.POST, team=team, auto_id="invite_%s")
    link = invitations.create_invitation(request, form, team) if form.is_valid() else ""
    return team_page(request, team, invite=None if link else form, link=link, status=status_of(form))


@get_or_post
@signed_in
def change_team(request: Request, slug: str) -> HttpResponse:
    team = managed_team(request, slug)
    form = TeamForm(post_data(request), current={"name": team.name, "description": team.description})
    if request.method == "POST" and form.is_valid():
        try:
            saved = run_action(
                form,
                lambda: organizations.change_team(
                    actor=request.viewer, team_id=team.pk, values=form.changes, expected_version=team.version
                ),
            )
        except Stale:
            # Another user saved between the comparison and the save. Start over and compare again.
            return change_team(request, slug)
        if saved:
            messages.success(request, "Saved.")
            return redirect("web:team", team.slug)
    return render(request, "web/people/change_team.html", {"team": team, "form": form}, status=status_of(form))
