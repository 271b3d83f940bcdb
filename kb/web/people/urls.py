"""URLs for signing in, people, teams and tokens. Their names are in the namespace `web`."""

from __future__ import annotations

from django.urls import path

from kb.web.people import account, directory, invitations, organizations, sign_in, teams

urlpatterns = [
    path("sign-in", sign_in.SignIn.as_view(), name="sign-in"),
    path("sign-out", sign_in.SignOut.as_view(), name="sign-out"),
    path("password", sign_in.ChangePassword.as_view(), name="change-password"),
    path("password/forgotten", sign_in.AskForReset.as_view(), name="ask-for-reset"),
    path("password/forgotten/sent", sign_in.ResetSent.as_view(), name="reset-sent"),
    path("password/<str:uidb64>/<str:token>", sign_in.Reset.as_view(), name="reset"),
    path("account", account.account, name="account"),
    path("account/tokens", account.tokens, name="tokens"),
    path("invitations/<str:secret>", invitations.accept, name="invitation"),
    path("invitations/<int:invitation_id>/revoke", invitations.revoke, name="revoke-invitation"),
    path("people", directory.people, name="people"),
    path("people/invite", directory.invite, name="invite"),
    path("people/service-accounts", directory.add_service_account, name="add-service-account"),
    path("people/<int:user_id>", directory.change_standing, name="change-standing"),
    path("people/<int:user_id>/reset", directory.make_reset_link, name="make-reset-link"),
    path("teams", teams.teams, name="teams"),
    path("teams/<slug:slug>", teams.team, name="team"),
    path("teams/<slug:slug>/change", teams.change_team, name="change-team"),
    path("teams/<slug:slug>/invite", teams.invite, name="invite-to-team"),
    path("teams/<slug:slug>/members", teams.add_member, name="add-member"),
    path("teams/<slug:slug>/members/<int:user_id>", teams.change_member, name="change-member"),
    path("organizations/<slug:slug>/edit", organizations.edit_organization, name="edit-organization"),
]
