"""The user's own account: name, time zone and access tokens."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from incidents.actions import people
from incidents.models import User
from kb.web.people.forms import AccountForm, post_data, run_action, status_of
from kb.web.request import Request
from kb.web.writing.access import get_only, get_or_post, signed_in


@get_or_post
@signed_in
def account(request: Request) -> HttpResponse:
    user = User.objects.get(pk=request.viewer.person_id)
    form = AccountForm(post_data(request), current={"name": user.name, "time_zone": user.time_zone})
    if (
        request.method == "POST"
        and form.is_valid()
        and run_action(form, lambda: people.change_account(actor=request.viewer, values=form.changes)) is not None
    ):
        messages.success(request, "Saved.")
        return redirect("web:account")
    memberships = user.memberships.select_related("team")
    return render(
        request, "web/people/account.html", {"form": form, "memberships": memberships}, status=status_of(form)
    )


@get_only
@signed_in
def tokens(request: Request) -> HttpResponse:
    """The page of access tokens. Its script creates and revokes them through the REST API, using the session."""
    return render(request, "web/people/tokens.html")
