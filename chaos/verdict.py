"""Compares both indexes with the record (incidents, versions, content) and the tags with what the rules say."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from incidents import outbox
from incidents.models import Incident, OutboxEntry
from kb.patterns import tagging
from kb.search import relay
from kb.search.database.engine import DatabaseEngine
from kb.search.document import IndexDocument, build_many
from kb.search.elastic import generations
from kb.search.elastic.client import client
from kb.search.elastic.engine import source, versions_in
from kb.search.engine import Unavailable
from kb.search.models import SearchDocument
from kb.search.relay import Outcome

BATCH = 500


@dataclass
class Verdict:
    """What is wrong at the end.

    `lost` is what was committed but is missing from the record or an index. `stale` is what has another version, other
    content or other tags than it should, what should be gone, and entries that are parked.
    """

    lost: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)


def differences() -> dict[str, dict[int, Outcome]]:
    """The differences from the record by index, and waiting entries under "outbox". Empty once all has converged."""
    found: dict[str, dict[int, Outcome]] = {}
    try:
        client().indices.refresh(index=generations.read_alias())
        found["elasticsearch"] = relay.differences(versions_in(generations.read_alias()))
    except Exception as error:
        found[f"elasticsearch ({type(error).__name__})"] = {0: Outcome.INDEX}
    found["database"] = relay.differences(DatabaseEngine().versions())
    found["outbox"] = dict.fromkeys(OutboxEntry.objects.values_list("incident_id", flat=True), Outcome.INDEX)
    return {name: differing for name, differing in found.items() if differing}


def verdict(expected: dict[str, int]) -> Verdict:
    """The verdict. `expected` is {name: id} of the incidents that were committed and not deleted."""
    out = Verdict()
    alive = set(Incident.objects.filter(deleted_at=None).values_list("pk", flat=True))
    out.lost += [f"{name}: INC-{pk} is not in the record" for name, pk in expected.items() if pk not in alive]
    for depth in outbox.depths():
        if depth.parked:
            out.stale.append(f"{depth.consumer}: {depth.parked} parked entries")
    for where, differing in differences().items():
        for pk, outcome in differing.items():
            what = f"{where}: INC-{pk} differs ({outcome})"
            (out.lost if outcome is Outcome.INDEX and not _is_there(where, pk) else out.stale).append(what)
    ids = sorted(alive)
    for start in range(0, len(ids), BATCH):
        out.stale += _contents(build_many(ids[start : start + BATCH]))
        out.stale += _tags(ids[start : start + BATCH])
    return out


def _is_there(where: str, pk: int) -> bool:
    if where == "database":
        return SearchDocument.objects.filter(pk=pk).exists()
    try:
        return pk in versions_in(generations.read_alias())
    except Unavailable:
        return False


def _contents(documents: dict[int, IndexDocument]) -> list[str]:
    """Compare the full content of both indexes. Documents that are missing are reported elsewhere."""
    wrong = []
    found = client().mget(index=generations.read_alias(), ids=[str(pk) for pk in documents])["docs"]
    for entry in found:
        pk = int(entry["_id"])
        if entry.get("found") and _plain(entry["_source"]) != _plain(source(documents[pk])):
            wrong.append(f"elasticsearch: INC-{pk} has different content")
    return wrong + [
        f"database: INC-{row.pk} has different content"
        for row in SearchDocument.objects.filter(pk__in=documents)
        if (row.shown, row.texts) != (_plain(documents[row.pk].shown), documents[row.pk].texts)
    ]


def _tags(incident_ids: list[int]) -> list[str]:
    _, plans = tagging.plan_changes(tagging.active_rules(), incident_ids)
    return [f"tags: INC-{pk} differs from the rules in {', '.join(changes)}" for pk, changes in plans.items()]


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=datetime.isoformat))
