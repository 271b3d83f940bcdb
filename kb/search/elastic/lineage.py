"""Whether a generation was written from this record and by this version, or from one that a restored backup has
replaced, or by a version that analysed or stored documents otherwise.

Every batch of documents carries a mark into its generation: the latest audit entry that the record had then. Audit
entries are never deleted, so a record without that entry is not the one that the documents came from: they may show
what nobody here ever published, to people who must not see it. The mark also says how the documents were analysed and
stored: in another way they are not found as they should be, and new ones may not even be taken. Such a generation
answers no search and takes no write; it is thrown away and built anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from elasticsearch import NotFoundError

from incidents.models import AuditEntry
from kb.search.elastic import mapping
from kb.search.elastic.client import SEARCH_BUDGET, reachable, within

# The id of the document that holds the mark; incidents have numbers.
ID = "mark"


@dataclass(frozen=True, slots=True)
class Mark:
    """An audit entry, told from any other of the same number by its moment."""

    entry: int
    at: datetime

    @property
    def source(self) -> dict[str, Any]:
        """A tombstone, so that no query finds it."""
        mark = {"entry": self.entry, "at": self.at.isoformat(), "fingerprint": mapping.fingerprint()}
        return {"deleted": True, "mark": mark}


def latest() -> Mark | None:
    """What a batch is marked with, read after its documents were built."""
    newest = AuditEntry.objects.order_by("-pk").values_list("pk", "at").first()
    return Mark(*newest) if newest else None


def is_ours(index: str) -> bool:
    """Whether the record holds the mark of this generation (or of the one behind this alias), made by this version.

    Raises LookupError when there is no such index, and Unavailable.
    """
    try:
        with reachable():
            found = within(SEARCH_BUDGET).get(index=index, id=ID, source_includes=["mark"])
    except NotFoundError as error:
        if error.error == "index_not_found_exception":
            raise LookupError(index) from error
        # Either nothing was written yet that came from a record with a history, or it is of an earlier version.
        return _is_of_this_version(index)
    mark = found["_source"]["mark"]
    if mark.get("fingerprint") != mapping.fingerprint():
        return False
    return AuditEntry.objects.filter(pk=mark["entry"], at=datetime.fromisoformat(mark["at"])).exists()


def _is_of_this_version(index: str) -> bool:
    with reachable():
        found = within(SEARCH_BUDGET).indices.get_mapping(index=index)
    made_by = {about["mappings"].get("_meta", {}).get("fingerprint") for about in found.values()}
    return made_by == {mapping.fingerprint()}
