"""What the rules read of an incident: its texts by the paths that anchors use, and its facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from incidents.durations import between, read_moment
from kb.patterns.anchors import texts


def fields(document: Mapping[str, Any]) -> dict[str, str]:
    """The texts of an incident's document (incidents.document) by path, in reading order."""
    return dict(texts(document))


def facts(document: Mapping[str, Any]) -> dict[str, Any]:
    """What rules may ask of an incident beside its texts. Unknown is None; an unknown fact holds no condition."""
    moments = {name: read_moment(name, document[name]) for name in ("started", "detected", "mitigated")}
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
