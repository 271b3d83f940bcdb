"""Forms about people, teams and organizations. They hold what was typed; the actions validate it, field by field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django import forms
from django.contrib.auth import authenticate
from django.contrib.auth.forms import AuthenticationForm, SetPasswordForm
from django.http import HttpRequest, QueryDict

from incidents.actions import people
from incidents.errors import Invalid
from incidents.models import Team, User
from incidents.scopes import Viewer
from incidents.vocabulary import Role
from incidents.zones import zones
from kb.web.errors import CONFLICT

Result = TypeVar("Result")

BAD_REQUEST = 400
PHRASE_HELP = "At least 12 characters. A few words in a row are easy to remember and hard to guess."
ROLES = [
    (Role.READER.value, "Reader: reads the team's drafts"),
    (Role.AUTHOR.value, "Author: writes postmortems"),
    (Role.LEAD.value, "Lead: publishes and manages the team"),
]


def run_action(form: forms.Form, action: Callable[[], Result]) -> Result | None:
    """The action's result, or None if it raises Invalid. Its errors are then added to the form's fields."""
    try:
        return action()
    except Invalid as error:
        for name, texts in error.fields.items():
            form.add_error(name if name in form.fields else None, texts)
        return None


def post_data(request: HttpRequest) -> QueryDict | None:
    """The data for a form: what was posted, even if empty, or None when the page is only read."""
    return request.POST if request.method == "POST" else None


def status_of(form: forms.BaseForm) -> int:
    """The HTTP status of the page that shows this form."""
    if isinstance(form, ChangeForm) and form.conflicts:
        return CONFLICT
    return BAD_REQUEST if form.errors else 200


class ChangeForm(forms.Form):
    """A form to change stored values. `current` holds them by field name.

    Hidden fields carry the value that each field was opened with. `changes` is what to save: fields the user did not
    change are left out. A field that was also changed by another user is an error that shows both values; it is saved
    only when the form is sent again after that.
    """

    def __init__(self, data: QueryDict | None = None, *, current: Mapping[str, str] | None = None) -> None:
        super().__init__(data, initial=dict(current or {}))
        self.changes: dict[str, str] = {}
        self.conflicts: dict[str, str] = {}

    @property
    def opened_values(self) -> dict[str, str]:
        """The hidden fields. Once a conflict has been shown, its value counts as the one the field was opened with."""
        return {f"base-{name}": self.conflicts.get(name, self._opened_value(name)) for name in self.initial}

    def clean(self) -> dict[str, Any]:
        for name, theirs in self.initial.items():
            mine, opened_value = self.cleaned_data.get(name, theirs), self._opened_value(name)
            if mine in (theirs, opened_value):
                continue
            if theirs == opened_value:
                self.changes[name] = mine
            else:
                self.conflicts[name] = theirs
        for name, theirs in self.conflicts.items():
            field = self.fields[name]
            labels = dict(field.choices) if isinstance(field, forms.ChoiceField) else {}  # type: ignore[arg-type]
            label = labels.get(theirs, theirs)
            replaced = f"This was changed to “{label}” in the meantime. Save again to replace it."
            emptied = "This was emptied in the meantime. Save again to keep your value."
            self.add_error(name, replaced if label else emptied)
        return self.cleaned_data

    def _opened_value(self, name: str) -> str:
        return str(self.data.get(f"base-{name}", self.initial[name]))


def _zone_field(**options: Any) -> forms.ChoiceField:
    return forms.ChoiceField(label="Time zone", choices=[(zone, zone.replace("_", " ")) for zone in zones()], **options)


class SignInForm(AuthenticationForm):
    error_messages = {
        "invalid_login": "The e-mail address and password do not match. Passwords are case-sensitive.",
        "inactive": "This account is closed. Ask an admin to reopen it.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "E-mail address"
        self.fields["username"].widget = forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True})


class PasswordForm(SetPasswordForm):
    """A new password, typed twice. An action saves it, so that the change is audited."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new_password1"].help_text = PHRASE_HELP
        self.fields["new_password2"].label = "Repeat new password"
        self.fields["new_password2"].help_text = ""


class ChangePasswordForm(PasswordForm):
    """Also asks for the current password.

    Failures count towards the same limit as at the sign-in, so that a stolen session cannot be used to guess it.
    """

    old_password = forms.CharField(
        label="Current password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )
    field_order = ["old_password", "new_password1", "new_password2"]

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean_old_password(self) -> str:
        password = self.cleaned_data["old_password"]
        if authenticate(self.request, username=self.user.email, password=password) != self.user:
            raise forms.ValidationError("This is not your current password.")
        return str(password)

    def save(self, commit: bool = True) -> Any:
        user = self.user
        people.set_password(actor=Viewer.of(user), user=user, password=self.cleaned_data["new_password1"])
        return user


class ResetForm(forms.Form):
    email = forms.EmailField(label="E-mail address", widget=forms.EmailInput(attrs={"autocomplete": "username"}))


class AccountForm(ChangeForm):
    name = forms.CharField(label="Name", max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    time_zone = _zone_field(help_text="Times are shown in this zone. Hover over one to see it in UTC.")


class InviteForm(forms.Form):
    """Invites someone to `team`. Without `team` it is the form for admins, who can choose any team or none."""

    email = forms.CharField(
        label="E-mail address",
        required=False,
        help_text="Leave it empty to make a link that the first person to open it can use.",
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )
    team = forms.ModelChoiceField(
        label="Team", queryset=Team.objects.all(), to_field_name="slug", required=False, empty_label="No team"
    )
    role = forms.ChoiceField(label="Role in the team", choices=ROLES, initial=Role.AUTHOR.value)
    as_admin = forms.BooleanField(label="Make them an admin", required=False)

    def __init__(self, *args: Any, team: Team | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if team is not None:
            del self.fields["team"], self.fields["as_admin"]


class AcceptForm(forms.Form):
    name = forms.CharField(label="Your name", max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    email = forms.EmailField(label="E-mail address", widget=forms.EmailInput(attrs={"autocomplete": "username"}))
    password = forms.CharField(
        label="Password",
        strip=False,
        help_text=PHRASE_HELP,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    time_zone = _zone_field(initial="UTC", widget=forms.Select(attrs={"data-guess-zone": True}))

    def __init__(self, *args: Any, address: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if address:
            del self.fields["email"]
        if self.is_bound:
            # The user has already chosen a zone, so the script must not guess one.
            del self.fields["time_zone"].widget.attrs["data-guess-zone"]


class TeamForm(ChangeForm):
    name = forms.CharField(label="Name", max_length=80)
    description = forms.CharField(label="What it looks after", max_length=300, required=False)


class MemberForm(forms.Form):
    user = forms.ModelChoiceField(label="Person", queryset=User.objects.none(), empty_label="Choose a person")
    role = forms.ChoiceField(label="Role", choices=ROLES, initial=Role.AUTHOR.value)

    def __init__(self, *args: Any, team: Team, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        others = User.objects.filter(is_active=True, is_system=False).exclude(memberships__team=team)
        self.fields["user"].queryset = others  # type: ignore[attr-defined]


class ServiceAccountForm(forms.Form):
    name = forms.CharField(
        label="Name", max_length=120, help_text="The tool that will use this account, such as “Deploy bot”."
    )
    email = forms.EmailField(
        label="E-mail address", help_text="Any address that is not in use here. Nothing is sent to it."
    )


class OrganizationForm(ChangeForm):
    name = forms.CharField(label="Name", max_length=120, help_text="Its name at the time of its incidents.")
    website = forms.CharField(label="Website", max_length=1000, required=False)
    sector = forms.CharField(label="Sector", max_length=40, required=False)
