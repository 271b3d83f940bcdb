"""Whether a generation was written from this record and by this version of the code.

If not, a restored backup has since replaced the record it came from, or another version analyzed or stored documents
differently. To tell, every batch of documents carries a mark into its generation: the latest audit entry of the record
at that time, and a fingerprint of how documents were analyzed and stored.

Audit entries are never deleted, so a record without the marked entry is not the one the documents came from. Such
documents could show people what was never published here and what they must not see. With a different fingerprint,
documents are not found as they should be, and the generation might not even accept new ones. A generation that fails
either check answers no searches; the relay throws it away and builds a new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from elasticsearch import NotFoundError

from incidents.models import AuditEntry
from kb.search.elastic import mapping
from kb.search.elastic.client import SEARCH_BUDGET, raising_unavailable, with_timeout

# The id of the document that holds the mark. The ids of incidents are numbers.
MARK_ID = "mark"
# The search for it, whose hits `is_ours_by` takes.
FIND_MARK = {"query": {"ids": {"values": [MARK_ID]}}, "_source": ["mark"], "size": 1, "track_total_hits": False}


@dataclass(frozen=True, slots=True)
class Mark:
    """An audit entry, identified by its id and time: after a restore, another entry can get the same id."""

    entry: int
    at: datetime

    @property
    def source(self) -> dict[str, Any]:
        """The mark as it is stored: a tombstone, so that no query finds it."""
        mark = {"entry": self.entry, "at": self.at.isoformat(), "fingerprint": mapping.fingerprint()}
        return {"deleted": True, "mark": mark}


def latest() -> Mark | None:
    """The mark for a batch, to be read after its documents were built. None if there is no audit entry yet."""
    newest = AuditEntry.objects.order_by("-pk").values_list("pk", "at").first()
    return Mark(*newest) if newest else None


def is_ours(index: str) -> bool:
    """Whether this generation (or the one behind this alias) was written by this version, from this record.

    Raises LookupError if there is no such index, and Unavailable.
    """
    try:
        with raising_unavailable():
            # Unlike a search, this finds a mark that was written a moment ago.
            found = with_timeout(SEARCH_BUDGET).get(index=index, id=MARK_ID, source_includes=["mark"])
    except NotFoundError as error:
        if error.error == "index_not_found_exception":
            raise LookupError(index) from error
        return is_ours_by([], index)
    return is_ours_by([found], index)


def is_ours_by(marks: Sequence[Any], index: str) -> bool:
    """As `is_ours`, by the stored marks: a list of one hit, or an empty one."""
    if not marks:
        # Either nothing was written since the record got its first audit entry, or an earlier version wrote it.
        return _is_of_this_version(index)
    mark = marks[0]["_source"]["mark"]
    if mark.get("fingerprint") != mapping.fingerprint():
        return False
    return AuditEntry.objects.filter(pk=mark["entry"], at=datetime.fromisoformat(mark["at"])).exists()


def _is_of_this_version(index: str) -> bool:
    with raising_unavailable():
        found = with_timeout(SEARCH_BUDGET).indices.get_mapping(index=index)
    made_by = {about["mappings"].get("_meta", {}).get("fingerprint") for about in found.values()}
    return made_by == {mapping.fingerprint()}
