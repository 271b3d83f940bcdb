"""Inviting people, accepting an invitation through its link, and withdrawing one."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from incidents.actions import people
from incidents.models import Team
from kb.web.people import mail
from kb.web.people.forms import AcceptForm, InviteForm, post_data, run_action, status_of
from kb.web.request import Request
from kb.web.writing.access import get_or_post, post_only, signed_in


def create_invitation(request: Request, form: InviteForm, team: Team | None) -> str:
    """Create an invitation and return its link, also e-mailing it if possible. "" when the form has errors."""
    values = form.cleaned_data
    created = run_action(
        form,
        lambda: people.invite(
            actor=request.viewer,
            email=values["email"],
            team=team,
            role=values["role"],
            as_admin=values.get("as_admin", False),
        ),
    )
    if created is None:
        return ""
    invitation, secret = created
    link = mail.address_of("web:invitation", secret)
    context = {"link": link, "invitation": invitation}
    if invitation.email and mail.is_set_up():
        if mail.send(invitation.email, "An invitation to Precedent", "web/people/mail/invitation.txt", context):
            messages.success(request, f"The link was e-mailed to {invitation.email}. You can also copy it below.")
        else:
            messages.error(
                request, f"The e-mail to {invitation.email} could not be sent. Copy the link below and pass it on."
            )
    return link


@never_cache
@sensitive_post_parameters("password")
@get_or_post
def accept(request: Request, secret: str) -> HttpResponse:
    """The page behind an invitation's link. Raises Missing when it was used or withdrawn, or has expired."""
    invitation = people.open_invitation(secret)
    form = AcceptForm(post_data(request), address=invitation.email)
    if request.method == "POST" and form.is_valid():
        values = {"email": invitation.email, **form.cleaned_data}
        user = run_action(form, lambda: people.accept_invitation(secret=secret, **values))
        if user is not None:
            # Start a fresh session, because the old one may hold another user's data.
            request.session.flush()
            login(request, user, backend="django.contrib.auth.backends.ModelBackend")
            messages.success(request, "Welcome. Everything here was written so that it does not happen again.")
            return redirect("web:home")
    context = {"form": form, "invitation": invitation}
    return render(request, "web/people/accept.html", context, status=status_of(form))


@post_only
@signed_in
def revoke(request: Request, invitation_id: int) -> HttpResponse:
    """Withdraw an invitation, then return to the team's page if the form carries `team`, or else to the people page."""
    invitation = people.revoke_invitation(actor=request.viewer, invitation_id=invitation_id)
    messages.success(request, "The invitation is withdrawn. Its link no longer works.")
    if "team" in request.POST and invitation.team:
        return redirect("web:team", invitation.team.slug)
    return redirect("web:people")
