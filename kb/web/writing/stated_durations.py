"""The stated duration as typed in the editor (27 min, 2 h 10 min, 3 d), and the source's wording of it."""

from __future__ import annotations

from typing import Any

from incidents.durations import MAX_STATED_SECONDS, format_exactly, parse_length
from incidents.errors import Invalid
from incidents.models import Incident
from incidents.text import is_blank


def form_values(incident: Incident) -> tuple[str, str]:
    """The two form values: the duration, to the second so that saving it again changes nothing, and the wording."""
    return format_exactly(incident.stated_seconds) if incident.stated_seconds else "", incident.stated_text


def action_value(text: str, words: str) -> dict[str, Any] | None:
    """The value for the action, or None when both fields are empty. Raises Invalid for a duration it cannot read."""
    if is_blank(text + words):
        return None
    seconds, _ = parse_length(text) or (0, 1)
    if not 0 < seconds <= MAX_STATED_SECONDS:
        raise Invalid(
            {"stated_duration": "Enter a duration such as 27 min, 2 h 10 min or 3 d, or leave both fields empty."}
        )
    return {"seconds": seconds, "text": words}


def in_words(text: str, words: str) -> str:
    """Both form values on one line."""
    return f"{text}, “{words}”" if words else text or "nothing"
