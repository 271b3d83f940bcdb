"""Signing in and out, and passwords. Throttled by django-axes; no response reveals whether an account exists."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from axes.helpers import get_lockout_response
from axes.models import AccessAttempt
from axes.utils import reset
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash, views
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.tokens import default_token_generator
from django.core.cache import cache
from django.core.exceptions import NON_FIELD_ERRORS
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.views.generic import FormView, TemplateView
from django.views.generic.edit import FormMixin

from incidents.actions import people
from incidents.errors import Missing
from incidents.models import User
from kb.addresses import counted
from kb.web.people import forms, mail

SECONDS_BETWEEN_MAILS = 5 * 60
# The length to which django-axes stores names.
LONGEST_NAME = 255
# How many users' worth of failures one IP address can have, since a whole office may share it.
PEOPLE_PER_ADDRESS = 5


class BadRequestMixin(FormMixin):
    """Shows an invalid form again with status 400."""

    def form_invalid(self, form: Any) -> HttpResponse:
        response = super().form_invalid(form)
        response.status_code = forms.BAD_REQUEST
        return response


def lockout_name(request: HttpRequest, credentials: Mapping[str, Any] | None = None) -> str:
    """The name under which django-axes counts a failed attempt: the same for all spellings that match one user.

    Uppercased first, because that is how PostgreSQL compares: the dotless i becomes I, and so matches i.
    """
    typed = str((credentials or request.POST).get("username") or "")
    return unicodedata.normalize("NFKC", typed).strip().upper().lower()[:LONGEST_NAME]


class SignIn(views.LoginView):
    template_name = "web/people/sign_in.html"
    authentication_form = forms.SignInForm
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if _tried_too_often(request):
            return get_lockout_response(request)
        return super().post(request, *args, **kwargs)

    def form_invalid(self, form: Any) -> HttpResponse:
        """Status 400 only for an incomplete form. A wrong password in a complete form is shown with 200."""
        response = super().form_invalid(form)
        if set(form.errors) != {NON_FIELD_ERRORS}:
            response.status_code = forms.BAD_REQUEST
        return response


def _tried_too_often(request: HttpRequest) -> bool:
    """Whether one IP address has too many failures over all users.

    django-axes counts by user and address, which does not stop one password from being tried on many users.
    """
    recent = AccessAttempt.objects.filter(
        ip_address=counted(request), attempt_time__gt=timezone.now() - settings.AXES_COOLOFF_TIME
    )
    failures = recent.aggregate(sum=Sum("failures_since_start"))["sum"] or 0
    return failures >= PEOPLE_PER_ADDRESS * settings.AXES_FAILURE_LIMIT


class SignOut(views.LogoutView):
    """POST only, so that no link or image can sign a user out."""


class ChangePassword(LoginRequiredMixin, BadRequestMixin, FormView):
    template_name = "web/people/change_password.html"
    form_class = forms.ChangePasswordForm
    success_url = reverse_lazy("web:account")

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "user": self.request.user, "request": self.request}

    def form_valid(self, form: forms.ChangePasswordForm) -> HttpResponse:
        user = form.save()
        # All sessions are tied to the old password. Keep this one; the others end.
        update_session_auth_hash(self.request, user)
        messages.success(
            self.request,
            "Your password was changed and your other sessions were signed out. Access tokens keep working: revoke "
            "those that others may know.",
        )
        return super().form_valid(form)


class AskForReset(BadRequestMixin, FormView):
    """Sends a reset link if e-mail is set up, or else says to ask an admin.

    The response is the same for addresses without an account.
    """

    template_name = "web/people/ask_for_reset.html"
    form_class = forms.ResetForm
    success_url = reverse_lazy("web:reset-sent")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(has_mail=mail.is_set_up(), **kwargs)

    def form_valid(self, form: forms.ResetForm) -> HttpResponse:
        found = User.objects.with_address(form.cleaned_data["email"])
        user = found.filter(is_active=True, is_service_account=False).first()
        if user is not None and _may_be_mailed(user):
            mail.send_in_background(
                user.email,
                "Reset your Precedent password",
                "web/people/mail/reset.txt",
                {"link": reset_link(user), "user": user},
            )
        return super().form_valid(form)


class ResetSent(TemplateView):
    template_name = "web/people/reset_sent.html"


class Reset(BadRequestMixin, views.PasswordResetConfirmView):
    """The page behind a one-time link. Django moves the token from the address to the session before showing it."""

    template_name = "web/people/reset.html"
    form_class = forms.PasswordForm

    def get_user(self, uidb64: str) -> Any:
        user = super().get_user(uidb64)
        return user if user is not None and user.is_active else None

    def form_valid(self, form: Any) -> HttpResponse:
        token = self.request.session[views.INTERNAL_RESET_SESSION_TOKEN]
        password = form.cleaned_data["new_password1"]
        try:
            people.reset_password(user_id=form.user.pk, token=token, password=password)
        except Missing:
            # The link was used by another request after it was checked, so show the page for a used link.
            self.validlink = False
            return self.render_to_response(self.get_context_data())
        del self.request.session[views.INTERNAL_RESET_SESSION_TOKEN]
        # The link proves who they are, so lift any sign-in pause instead of making them wait it out.
        reset(username=lockout_name(self.request, {"username": form.user.email}))
        messages.success(self.request, "Your password is set. You can sign in with it now.")
        return redirect("web:sign-in")


def _may_be_mailed(user: User) -> bool:
    """Whether enough time has passed since the last reset mail, so that repeated requests cannot flood a mailbox.

    True while the shared cache is unavailable, so that its failure does not keep users from signing in.
    """
    return cache.add(f"reset-mail:{user.pk}", True, timeout=SECONDS_BETWEEN_MAILS) is not False


def reset_link(user: User) -> str:
    """A link that lets one user set a new password. It works once, until it expires."""
    identity = urlsafe_base64_encode(force_bytes(user.pk))
    return mail.address_of("web:reset", identity, default_token_generator.make_token(user))
