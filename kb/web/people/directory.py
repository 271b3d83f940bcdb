"""The people of this installation, for admins: invitations, standing, one-time password links, service accounts."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render

from incidents import scopes
from incidents.actions import people as actions
from incidents.errors import Invalid, NotAllowed
from incidents.models import User
from kb.web.people import invitations, sign_in
from kb.web.people.forms import BAD_REQUEST, InviteForm, ServiceAccountForm, run_action, status_of
from kb.web.people.teams import open_invitations
from kb.web.request import Request
from kb.web.writing.access import get_only, post_only, signed_in

PEOPLE_PER_PAGE = 50


def admins_only(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    @signed_in
    @wraps(view)
    def guarded(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.viewer.is_admin:
            raise NotAllowed("Only admins can manage people and organizations.")
        return view(request, *args, **kwargs)

    return guarded


@get_only
@admins_only
def people(request: Request) -> HttpResponse:
    return people_page(request)


def people_page(
    request: Request,
    *,
    invite: InviteForm | None = None,
    account: ServiceAccountForm | None = None,
    link: str = "",
    reset_for: User | None = None,
    status: int = 200,
) -> HttpResponse:
    everybody = scopes.visible_people(request.viewer).prefetch_related("memberships__team").order_by("name", "pk")
    context = {
        "page": Paginator(everybody, PEOPLE_PER_PAGE).get_page(request.GET.get("page")),
        "invite_form": invite or InviteForm(auto_id="invite_%s"),
        "account_form": account or ServiceAccountForm(auto_id="tool_%s"),
        "invitations": open_invitations(),
        "link": link,
        "reset_for": reset_for,
    }
    return render(request, "web/people/people.html", context, status=status)


@post_only
@admins_only
def invite(request: Request) -> HttpResponse:
    form = InviteForm(request.POST, auto_id="invite_%s")
    link = invitations.create_invitation(request, form, form.cleaned_data["team"]) if form.is_valid() else ""
    return people_page(request, invite=None if link else form, link=link, status=status_of(form))


@post_only
@admins_only
def add_service_account(request: Request) -> HttpResponse:
    form = ServiceAccountForm(request.POST, auto_id="tool_%s")
    if form.is_valid():
        values = form.cleaned_data
        created = run_action(form, lambda: actions.create_service_account(actor=request.viewer, **values))
        if created is not None:
            messages.success(
                request, f"Added {created.name}. Create a token for it over REST, with its address as the owner."
            )
            return redirect("web:people")
    return people_page(request, account=form, status=status_of(form))


@post_only
@admins_only
def change_standing(request: Request, user_id: int) -> HttpResponse:
    """Change a user's standing, by the button pressed: let_in, let_out, make_admin or unmake_admin."""
    steps: dict[str, dict[str, bool]] = {
        "let_in": {"is_active": True},
        "let_out": {"is_active": False},
        "make_admin": {"is_admin": True},
        "unmake_admin": {"is_admin": False},
    }
    step = next((name for name in steps if name in request.POST), None)
    if step is None:
        raise Invalid({"step": "Choose an action."})
    try:
        user = actions.set_account_access(actor=request.viewer, user_id=user_id, **steps[step])
    except Invalid as error:
        for text in (text for texts in error.fields.values() for text in texts):
            messages.error(request, text)
        return people_page(request, status=BAD_REQUEST)
    messages.success(request, f"Saved for {user.name}.")
    return redirect("web:people")


@post_only
@admins_only
def make_reset_link(request: Request, user_id: int) -> HttpResponse:
    """Show a one-time link for an admin to pass on to a user who forgot their password and cannot be e-mailed."""
    user = actions.authorize_password_reset(actor=request.viewer, user_id=user_id)
    return people_page(request, link=sign_in.reset_link(user), reset_for=user)
