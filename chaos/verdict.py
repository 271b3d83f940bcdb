"""Whether both indexes equal the record, the same incidents, the same versions, the same content; and whether the tags
are what the rules say."""

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
    """`lost`: committed and not to be found. `stale`: another version, content or tags, or found though it is gone."""

    lost: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)


def differences() -> dict[str, dict[int, Outcome]]:
    """By index, what differs from the record; and under "outbox" what waits. Empty when everything has converged."""
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
    """`expected`: {name: id} of the incidents whose creation was committed and that nobody deleted."""
    out = Verdict()
    alive = set(Incident.objects.filter(deleted_at=None).values_list("pk", flat=True))
    out.lost += [f"{name}: INC-{pk} is not in the record" for name, pk in expected.items() if pk not in alive]
    for depth in outbox.depths():
        if depth.parked:
            out.stale.append(f"{depth.consumer}: {depth.parked} parked")
    for where, differing in differences().items():
        for pk, outcome in differing.items():
            what = f"{where}: INC-{pk} to {outcome}"
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
    """What both engines hold, word for word. Those that are missing are counted elsewhere."""
    wrong = []
    found = client().mget(index=generations.read_alias(), ids=[str(pk) for pk in documents])["docs"]
    for entry in found:
        pk = int(entry["_id"])
        if entry.get("found") and _plain(entry["_source"]) != _plain(source(documents[pk])):
            wrong.append(f"elasticsearch: INC-{pk} has another content")
    return wrong + [
        f"database: INC-{row.pk} has another content"
        for row in SearchDocument.objects.filter(pk__in=documents)
        if (row.shown, row.texts) != (_plain(documents[row.pk].shown), documents[row.pk].texts)
    ]


def _tags(incident_ids: list[int]) -> list[str]:
    _, plans = tagging.plans_of(tagging.asked(), incident_ids)
    return [f"tags: INC-{pk} lacks what the rules say of {', '.join(changes)}" for pk, changes in plans.items()]


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=datetime.isoformat))
