"""Exports an incident: as a JSON document that the import reads without loss, and as Markdown to read.

Both show what a Reading shows, and so nothing that the viewer cannot see. The JSON of a reopened draft also contains
the published revision. Write nothing into the JSON that incidents/importing/documents.py does not read back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from incidents import markdown_export, scopes
from incidents.document import LIVE_FIELDS, Reading, published, read, with_all_parts
from incidents.scopes import Viewer

BATCH = 100


def json_document(reading: Reading) -> dict[str, Any]:
    """The document with its links, as plain JSON values.

    That of a reopened incident also has `published`: the revision that readers see, without the fields both share.
    """
    if not reading.is_reopened:
        return reading.document
    alike = ("format", *LIVE_FIELDS)
    shown = {key: value for key, value in published(reading.incident).items() if key not in alike}
    return {**reading.document, "published": shown}


def markdown(reading: Reading) -> str:
    """The whole postmortem as Markdown, with YAML front matter."""
    return markdown_export.markdown(reading.document)


def readings(viewer: Viewer) -> Iterator[Reading]:
    """Every incident that the viewer can see, oldest first, loaded in batches."""
    last = 0
    while True:
        visible = scopes.visible_incidents(viewer).filter(pk__gt=last).order_by("pk")
        batch = list(with_all_parts(visible)[:BATCH])
        if not batch:
            return
        for incident in batch:
            yield read(incident, viewer)
        last = batch[-1].pk
