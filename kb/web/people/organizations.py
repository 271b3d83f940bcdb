"""Editing the organizations that incidents are about."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from incidents.actions.organizations import change_organization
from incidents.errors import Missing, Stale
from incidents.models import Organization
from kb.web.people.directory import admins_only
from kb.web.people.forms import OrganizationForm, post_data, run_action, status_of
from kb.web.request import Request
from kb.web.writing.access import get_or_post


@get_or_post
@admins_only
def edit_organization(request: Request, slug: str) -> HttpResponse:
    """Edit an organization. A new name applies to all its incidents; the address of its page stays the same."""
    organization = Organization.objects.filter(slug=slug).first()
    if organization is None:
        raise Missing
    current = {"name": organization.name, "website": organization.website, "sector": organization.sector}
    back = reverse("web:organization", args=[slug])
    form = OrganizationForm(post_data(request), current=current)
    if request.method == "POST" and form.is_valid():
        try:
            saved = run_action(
                form,
                lambda: change_organization(
                    actor=request.viewer,
                    organization_id=organization.pk,
                    values=form.changes,
                    expected_version=organization.version,
                ),
            )
        except Stale:
            # Another user saved between the comparison and the save. Start over and compare again.
            return edit_organization(request, slug)
        if saved:
            renamed = " Its incidents show the new name." if "name" in form.changes else ""
            messages.success(request, f"Saved.{renamed}")
            return redirect(back)
    context = {"organization": organization, "form": form, "back": back}
    return render(request, "web/people/edit_organization.html", context, status=status_of(form))
