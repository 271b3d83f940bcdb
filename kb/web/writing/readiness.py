"""What is still missing before publishing, as the editor and the publishing page show it."""

from __future__ import annotations

from dataclasses import dataclass

from incidents import template
from incidents.actions.lifecycle import missing
from incidents.document import prefetch_parts
from incidents.models import Incident
from incidents.vocabulary import ActionState


@dataclass(frozen=True, slots=True)
class RequiredSection:
    """One required section. `problem` says what is missing, and is empty when it is done."""

    key: str
    title: str
    problem: str


@dataclass(frozen=True, slots=True)
class Readiness:
    sections: list[RequiredSection]
    unowned: int

    @property
    def is_complete(self) -> bool:
        return not any(section.problem for section in self.sections)

    @property
    def incomplete_sections(self) -> list[RequiredSection]:
        return [section for section in self.sections if section.problem]


def of(incident: Incident) -> Readiness:
    """The readiness of an incident's current text. Loads its parts if necessary."""
    prefetch_parts(incident)
    problems = missing(incident)
    open_actions = [a for a in incident.actionitems.all() if a.state in (ActionState.OPEN, ActionState.IN_PROGRESS)]
    return Readiness(
        sections=[
            RequiredSection(plan.key, plan.title, problems.get(plan.key, ""))
            for plan in template.section_plans(incident.template)
            if plan.required
        ],
        unowned=sum(action.owner_id is None for action in open_actions),
    )
