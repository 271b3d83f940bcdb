"""An incident as something to take away: the JSON document that import reads without loss, and Markdown to read.

Both show what a Reading shows: what the viewer may not know is not in it. The JSON of a reopened draft has what is
published beside it. Write nothing into the JSON that incidents/importing/documents.py does not read back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from incidents import readable, scopes
from incidents.document import LIVES_ON, Reading, published, read, with_everything
from incidents.scopes import Viewer

BATCH = 100


def json_document(reading: Reading) -> dict[str, Any]:
    """The document with its links, as plain JSON values.

    One that was reopened also has `published`: what readers have meanwhile, without what both say alike.
    """
    if not reading.is_reopened:
        return reading.document
    alike = ("format", *LIVES_ON)
    shown = {key: value for key, value in published(reading.incident).items() if key not in alike}
    return {**reading.document, "published": shown}


def markdown(reading: Reading) -> str:
    """The whole postmortem to read, with YAML front matter."""
    return readable.markdown(reading.document)


def readings(viewer: Viewer) -> Iterator[Reading]:
    """Every incident that the viewer may see, oldest first, as they may read it. Takes any number of them."""
    last = 0
    while True:
        visible = scopes.visible_incidents(viewer).filter(pk__gt=last).order_by("pk")
        batch = list(with_everything(visible)[:BATCH])
        if not batch:
            return
        for incident in batch:
            yield read(incident, viewer)
        last = batch[-1].pk
