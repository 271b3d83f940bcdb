"""Turns the patterns named in the files of famous outages into tags, each with the sentence that shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from incidents.document import build, with_all_parts
from incidents.errors import Missing
from incidents.models import Incident
from incidents.scopes import Viewer
from incidents.vocabulary import Origin
from kb.patterns import actions
from kb.patterns.anchors import Anchor, make, texts
from kb.patterns.models import Tag, TagSource


def tag_outages(actor: Viewer, definitions: Iterable[Mapping[str, Any]]) -> int:
    """Bring the curated tags of these outages in line with their files; returns how many tags changed.

    The outages must have been loaded first; any that are missing from the database are skipped.
    """
    by_id = {definition["id"]: definition for definition in definitions}
    famous = Incident.objects.filter(origin=Origin.FAMOUS, deleted_at__isnull=True, external_id__in=list(by_id))
    tagged = set(Tag.objects.filter(source=TagSource.CURATOR).values_list("incident_id", flat=True))
    changed = 0
    for incident in with_all_parts(famous):
        wanted = by_id[incident.external_id or ""]["patterns"]
        if not wanted and incident.pk not in tagged:
            continue
        # An outage that was deleted after the list was read is skipped like any other missing one.
        with suppress(Missing):
            changed += actions.curate(actor=actor, incident=incident, evidence=evidence(build(incident), wanted))
    return changed


def evidence(document: Mapping[str, Any], wanted: Iterable[Mapping[str, str]]) -> dict[str, list[Anchor]]:
    """By pattern slug, the anchors of the named sentences, each in the first field that contains it."""
    fields = list(texts(document))
    found: dict[str, list[Anchor]] = {}
    for entry in wanted:
        anchors = found.setdefault(entry["slug"], [])
        for field, text in fields:
            try:
                anchors.append(make(field, text, entry["sentence"]))
            except ValueError:
                continue
            break
    return found
