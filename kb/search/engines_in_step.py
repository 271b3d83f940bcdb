"""Which engines are in step with the record: compared with all of it once, and sent every change since.

Changes made while an engine was not configured left no outbox entries for it. When it is configured again, it answers
no searches until it has been compared, because it could count incidents that have been hidden from the viewer since.
"""

from __future__ import annotations

from collections.abc import Collection

from kb.search.models import EngineInStep


def includes(consumer: str) -> bool:
    return EngineInStep.objects.filter(pk=consumer).exists()


def missing(consumers: Collection[str]) -> list[str]:
    """The engines in use that must be compared with the record first. Engines that are not in use are dropped from the
    list, because they are not sent any changes."""
    known = set(EngineInStep.objects.values_list("pk", flat=True))
    if unused := known.difference(consumers):
        EngineInStep.objects.filter(pk__in=unused).delete()
    return [name for name in consumers if name not in known]


def add(consumer: str) -> None:
    EngineInStep.objects.bulk_create([EngineInStep(consumer=consumer)], ignore_conflicts=True)
