"""The input of the rules: an incident's texts, by the paths that anchors use, and its facts, as readers see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from incidents.document import build, published_many, with_all_parts
from incidents.durations import between, read_stored_moment
from incidents.models import Incident
from kb.patterns.anchors import texts


def documents(incident_ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    """The documents of these incidents, by id: the published revision, or the draft of one that was never published.

    Deleted incidents are left out. This does not check any viewer's permissions: use it for rules and evidence only.
    """
    alive = Incident.objects.filter(pk__in=list(incident_ids), deleted_at__isnull=True)
    found = published_many(alive)
    for incident in with_all_parts(alive.filter(published_revision__isnull=True)):
        found[incident.pk] = build(incident)
    return found


def fields(document: Mapping[str, Any]) -> dict[str, str]:
    """The texts of an incident's document (see incidents.document) by path, in reading order."""
    return dict(texts(document))


def facts(document: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that the conditions of rules can use. Unknown facts are None, for which no condition holds."""
    moments = {name: read_stored_moment(document[name]) for name in ("started", "detected", "mitigated")}
    to_detect = between(moments["started"], moments["detected"])
    to_mitigate = between(moments["started"], moments["mitigated"])
    duration = document["duration"]
    return {
        "detected_by": document["detected_by"],
        "severity": document["severity"],
        "mitigations": document["mitigations"] or None,
        "cause_families": sorted({cause["family"] for cause in document["causes"] if cause["family"]}) or None,
        "sector": document["organization"]["sector"],
        "planned_change": document["planned_change"],
        "seconds_to_detect": to_detect.seconds if to_detect else None,
        "seconds_to_mitigate": to_mitigate.seconds if to_mitigate else None,
        "duration_seconds": duration["seconds"] if duration else None,
    }
