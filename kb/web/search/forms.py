"""The form about a search. It holds what was typed; what is right is the action's to say."""

from __future__ import annotations

from django import forms
from django.http import QueryDict

from kb.search.saved import NAME_CHARACTERS


class SaveForm(forms.Form):
    """The name of a search. At first `suggested` stands there."""

    name = forms.CharField(
        label="Name",
        error_messages={"required": "Give it a name."},
        widget=forms.TextInput(attrs={"maxlength": NAME_CHARACTERS, "autocomplete": "off"}),
    )

    def __init__(self, typed: QueryDict | None = None, *, suggested: str = "") -> None:
        super().__init__(typed, auto_id="save-%s", initial={"name": suggested})
        if typed is not None:
            # Whoever sees it again has something to mend.
            self.fields["name"].widget.attrs["autofocus"] = True
