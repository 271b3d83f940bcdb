"""What is still missing before publishing, as the editor and the publishing page show it."""

from __future__ import annotations

from dataclasses import dataclass

from incidents import template
from incidents.actions.lifecycle import missing
from incidents.document import read_parts
from incidents.models import Incident
from incidents.vocabulary import ActionState


@dataclass(frozen=True, slots=True)
class Part:
    """One required section. `lacks` says what is missing, and is empty when it is done."""

    key: str
    title: str
    lacks: str


@dataclass(frozen=True, slots=True)
class Readiness:
    parts: list[Part]
    unowned: int

    @property
    def is_complete(self) -> bool:
        return not any(part.lacks for part in self.parts)

    @property
    def lacking(self) -> list[Part]:
        return [part for part in self.parts if part.lacks]


def of(incident: Incident) -> Readiness:
    """The readiness of an incident's current text. Loads its parts if necessary."""
    read_parts(incident)
    lacking = missing(incident)
    going_on = [a for a in incident.actionitems.all() if a.state in (ActionState.OPEN, ActionState.IN_PROGRESS)]
    return Readiness(
        parts=[
            Part(plan.key, plan.title, lacking.get(plan.key, ""))
            for plan in template.plan(incident.template)
            if plan.required
        ],
        unowned=sum(action.owner_id is None for action in going_on),
    )
