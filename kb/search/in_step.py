"""Which engines are in step with the record: compared with it as a whole, and told of every change since.

Changes made while an engine was not configured left no entries for it. When it is configured again, it answers no
search until it was compared: it would count what meanwhile was hidden from whoever asks.
"""

from __future__ import annotations

from collections.abc import Collection

from kb.search.models import EngineInStep


def includes(consumer: str) -> bool:
    return EngineInStep.objects.filter(pk=consumer).exists()


def missing(consumers: Collection[str]) -> list[str]:
    """Those among the engines in use that have to be compared first. The others, which are told of nothing from now
    on, are in step no longer."""
    known = set(EngineInStep.objects.values_list("pk", flat=True))
    if unused := known.difference(consumers):
        EngineInStep.objects.filter(pk__in=unused).delete()
    return [name for name in consumers if name not in known]


def add(consumer: str) -> None:
    EngineInStep.objects.bulk_create([EngineInStep(consumer=consumer)], ignore_conflicts=True)
