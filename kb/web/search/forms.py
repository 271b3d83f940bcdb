"""The form about a search. It holds what was typed; what is right is the action's to say."""

from __future__ import annotations

from django import forms
from django.http import QueryDict

from kb.search.saved import NAME_CHARACTERS
from kb.search.service import SearchRequest


class SaveForm(forms.Form):
    """The name of a search; at first its words, where it has any."""

    name = forms.CharField(
        label="Name",
        error_messages={"required": "Give it a name."},
        widget=forms.TextInput(attrs={"maxlength": NAME_CHARACTERS, "autocomplete": "off"}),
    )

    def __init__(self, asked: SearchRequest, typed: QueryDict | None = None) -> None:
        words = " ".join(asked.q.split())[:NAME_CHARACTERS].strip()
        super().__init__(typed, auto_id="save-%s", initial={"name": words})
