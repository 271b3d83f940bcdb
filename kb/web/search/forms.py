"""The form to save a search. It holds what was typed; the action validates it."""

from __future__ import annotations

from django import forms
from django.http import QueryDict

from kb.search.saved import NAME_CHARACTERS


class SaveForm(forms.Form):
    """The name of a search, prefilled with `suggested`."""

    name = forms.CharField(
        label="Name",
        error_messages={"required": "Enter a name."},
        widget=forms.TextInput(attrs={"maxlength": NAME_CHARACTERS, "autocomplete": "off"}),
    )

    def __init__(self, typed: QueryDict | None = None, *, suggested: str = "") -> None:
        super().__init__(typed, auto_id="save-%s", initial={"name": suggested})
        if typed is not None:
            # The form is shown again only to correct an error.
            self.fields["name"].widget.attrs["autofocus"] = True
