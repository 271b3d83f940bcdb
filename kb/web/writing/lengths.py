"""How long a source says that it lasted, as typed in the editor (27 min, 2 h 10 min, 3 d), and its words for it."""

from __future__ import annotations

from typing import Any

from incidents.durations import LONGEST, in_full, length
from incidents.errors import Invalid
from incidents.models import Incident
from incidents.text import is_blank


def typed(incident: Incident) -> tuple[str, str]:
    """The two form values: the length, to the second so that saving it again changes nothing, and the words."""
    return in_full(incident.stated_seconds) if incident.stated_seconds else "", incident.stated_text


def for_action(text: str, words: str) -> dict[str, Any] | None:
    """What the action takes; None when nothing is typed. Raises Invalid for what is no length."""
    if is_blank(text + words):
        return None
    seconds, _ = length(text) or (0, 1)
    if not 0 < seconds <= LONGEST:
        raise Invalid(
            {"stated_duration": "Enter a duration such as 27 min, 2 h 10 min or 3 d, or leave both fields empty."}
        )
    return {"seconds": seconds, "text": words}


def told(text: str, words: str) -> str:
    """Both form values in one line."""
    return f"{text}, “{words}”" if words else text or "nothing"
