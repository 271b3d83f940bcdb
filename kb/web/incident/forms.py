"""Forms about the patterns of an incident. They hold what was typed; the actions validate it."""

from __future__ import annotations

from django import forms
from django.http import QueryDict

from kb.patterns.decisions import REASON_CHARACTERS
from kb.web.incident.tags import Choices


class RejectForm(forms.Form):
    """Rejects one tag. `slug` keeps the ids of several forms on a page apart."""

    reason = forms.CharField(
        label="Why not?",
        error_messages={"required": "Say in a few words why it does not apply."},
        help_text="Your reason helps to improve the rule.",
        widget=forms.TextInput(attrs={"maxlength": REASON_CHARACTERS, "autocomplete": "off"}),
    )

    def __init__(self, typed: QueryDict | None = None, *, slug: str) -> None:
        super().__init__(typed, auto_id=f"reject-{slug}-%s")


class AddForm(forms.Form):
    """Adds a pattern. `choices` are only what is offered; the action decides which patterns can be added."""

    slug = forms.CharField(label="Pattern", error_messages={"required": "Choose a pattern."}, widget=forms.Select())
    sentence = forms.CharField(
        label="The sentence that shows it",
        required=False,
        help_text="Copy it from the text as readers see it.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(self, typed: QueryDict | None = None, *, choices: Choices) -> None:
        super().__init__(typed, auto_id="add-%s")
        self.fields["slug"].widget.choices = [("", "Choose one"), *choices]
