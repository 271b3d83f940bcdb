"""The Elasticsearch engine: searches, bulk writes, and the translation of hits."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from elasticsearch import ApiError, NotFoundError, helpers

from incidents import outbox
from incidents.scopes import Viewer
from kb.search.document import DEFAULT_WEIGHT, FIELD_WEIGHTS, IndexDocument
from kb.search.elastic import generations, lineage, query
from kb.search.elastic.client import (
    SEARCH_BUDGET,
    WRITE_BUDGET,
    client,
    means_not_now,
    raising_unavailable,
    with_timeout,
)
from kb.search.elastic.mapping import OWN, SECTIONS
from kb.search.engine import FACETS, Answer, EngineRequest, Hit, Refused, Unavailable
from kb.search.highlight import START, plain, strip_marks
from kb.search.likeness import Likeness

CONSUMER = "elasticsearch"
MOST_FRAGMENTS = 2
# The version of a purged incident's tombstone: no later version can follow.
PURGED_VERSION = 2**62
_PAGE = 10_000
_NO_GENERATION = "there is no generation to read yet"
DOCUMENT_ERRORS = (
    "document_parsing_exception",
    "mapper_parsing_exception",
    "strict_dynamic_mapping_exception",
    "illegal_argument_exception",
)


class ElasticEngine:
    """Reads the generation behind the read alias, and writes to all generations behind the write alias."""

    name = "elasticsearch"

    # --- Reading -----------------------------------------------------------------------------------
    def search(self, request: EngineRequest) -> Answer:
        with _raising_for_readers():
            found = _search_if_ours(query.body(request, hidden=outbox.narrowing_ids(CONSUMER)))
        hits = [_hit(hit) for hit in found["hits"]["hits"]]
        median = found["aggregations"]["median"]["of"]["values"]["50.0"]
        return Answer(
            total=found["hits"]["total"]["value"],
            hits=hits[: request.size],
            has_more=len(hits) > request.size,
            facets={
                facet: {b["key"]: b["doc_count"] for b in found["aggregations"][facet]["values"]["buckets"]}
                for facet in FACETS
            },
            median_duration_seconds=None if median is None else int(median),
        )

    def like(self, viewer: Viewer, document: IndexDocument, size: int) -> list[Hit]:
        hidden = outbox.narrowing_ids(CONSUMER)
        with _readable_index() as index:
            likeness = Likeness.of(
                document, lambda nodes: _count_matches(index, query.counts(viewer, nodes, hidden=hidden))
            )
            if not likeness:
                return []
            found = _search(index, query.like(viewer, document.incident_id, likeness, size, hidden=hidden))
        return [_hit(hit) for hit in found["hits"]["hits"]]

    # --- Writing -----------------------------------------------------------------------------------
    def index(self, documents: list[IndexDocument]) -> dict[int, str]:
        return write(source_and_version(documents), generations.write_targets())

    def remove(self, incident_ids: dict[int, int]) -> None:
        tombstones = [
            (
                pk,
                version or PURGED_VERSION,
                {"deleted": True, "incident_id": pk, "index_version": version or PURGED_VERSION},
            )
            for pk, version in incident_ids.items()
        ]
        if refused := write(tombstones, generations.write_targets()):
            raise RuntimeError(f"Elasticsearch rejected tombstones: {refused}")

    def refresh(self) -> None:
        try:
            with raising_unavailable():
                with_timeout(WRITE_BUDGET).indices.refresh(index=generations.write_alias())
        except NotFoundError as error:
            raise Unavailable("there is no generation yet") from error

    def versions(self) -> dict[int, int]:
        return versions_in(generations.read_alias())


@contextmanager
def _readable_index() -> Iterator[str]:
    """Yields the index to search. Turns errors raised in the block into Unavailable and Refused."""
    index = generations.read_alias()
    with _raising_for_readers():
        try:
            _check_lineage(lineage.is_ours(index))
        except LookupError as error:
            raise Unavailable(_NO_GENERATION) from error
        yield index


@contextmanager
def _raising_for_readers() -> Iterator[None]:
    """Turn every failure of a search into Unavailable or Refused."""
    try:
        with raising_unavailable():
            yield
    except NotFoundError as error:
        raise Unavailable(_NO_GENERATION) from error
    except ApiError as error:
        message = f"{error.status_code}: {error.message}"
        raise (Refused if error.status_code < 500 else Unavailable)(message) from error


def _check_lineage(is_ours: bool) -> None:
    if not is_ours:
        raise Unavailable("the index was built from a different history of the record")


def _search_if_ours(body: dict[str, Any]) -> Any:
    """As `_search`, of the index to read. Its mark comes with the same request, which saves the time of another one."""
    index = generations.read_alias()
    whole = {"index": index, "allow_partial_search_results": False}
    searches = [whole, lineage.FIND_MARK, whole, body]
    mark, found = map(_complete, with_timeout(SEARCH_BUDGET).msearch(searches=searches)["responses"])
    _check_lineage(lineage.is_ours_by(mark["hits"]["hits"], index))
    return found


def _search(index: str, body: dict[str, Any]) -> Any:
    """The response to a search body. Raises Unavailable unless it is complete and in time."""
    return _complete(with_timeout(SEARCH_BUDGET).search(index=index, body=body, allow_partial_search_results=False))


def _count_matches(index: str, bodies: list[dict[str, Any]]) -> tuple[int, list[int]]:
    """The totals of the searches: that of the first, and a list of the others'."""
    searches = [part for body in bodies for part in ({"index": index}, body)]
    answers = with_timeout(SEARCH_BUDGET).msearch(searches=searches)["responses"]
    total, *matching = (_complete(answer)["hits"]["total"]["value"] for answer in answers)
    return total, matching


def _complete(answer: Any) -> Any:
    """Returns the response unchanged. Raises Unavailable if it is incomplete, and if it is an error Unavailable or
    Refused: a multi-search succeeds even if some of its searches do not."""
    if "error" in answer:
        status, error = answer["status"], answer["error"]["type"]
        if error == "index_not_found_exception":
            raise Unavailable(_NO_GENERATION)
        raise (Unavailable if means_not_now(status, error) else Refused)(f"{status}: {error}")
    if answer["timed_out"] or answer["_shards"]["failed"]:
        raise Unavailable("the response was incomplete or late")
    return answer


def source_and_version(documents: Iterable[IndexDocument]) -> Iterator[tuple[int, int, dict[str, Any]]]:
    for document in documents:
        yield document.incident_id, document.index_version, source(document)


def source(document: IndexDocument) -> dict[str, Any]:
    """The document as Elasticsearch stores it."""
    own = [section for section in document.texts if section == OWN or section not in SECTIONS]
    texts: dict[str, Any] = {section: text for section, text in document.texts.items() if section not in own}
    if own:
        texts[OWN] = [document.texts[section] for section in own]
    return {
        "deleted": False,
        "incident_id": document.incident_id,
        "index_version": document.index_version,
        "text": texts,
        "own": own,
        "facets": document.facets,
        "values": document.values,
        "access": document.access,
        "started_at": document.started_at,
        "duration_seconds": document.duration_seconds,
        "duration_counts": document.duration_counts,
        "due": document.shown["due"],
        "shown": document.shown,
    }


def write(
    documents: Iterable[tuple[int, int, dict[str, Any]]], targets: list[str], *, budget: float = WRITE_BUDGET
) -> dict[int, str]:
    """Bulk write (id, version, source) to every target.

    Returns {id: reason} for the documents that Elasticsearch refuses because of their content. Raises Unavailable if it
    cannot take any document now.
    """
    return send(operations(documents, targets), budget=budget)


def send(operations: list[dict[str, Any]], *, budget: float) -> dict[int, str]:
    """Like `write`, for operations that are ready to send: it makes no database queries, so any thread can call it. A
    version conflict means that a newer write won, which is fine."""
    refused: dict[int, str] = {}
    with raising_unavailable():
        for ok, item in helpers.streaming_bulk(
            with_timeout(budget),
            operations,
            chunk_size=500,
            max_chunk_bytes=8 * 1024 * 1024,
            raise_on_error=False,
            raise_on_exception=True,
            max_retries=0,
            require_alias=True,
            # How long Elasticsearch itself waits for a shard that is not available.
            timeout=f"{budget / 2:.0f}s",
        ):
            if ok:
                continue
            result = item["index"]
            reason = result.get("error", {})
            if result["status"] == 409:
                continue
            # Only a document that cannot be parsed is at fault itself. A full disk, a closed index or missing shards
            # are not the document's fault.
            if reason.get("type") not in DOCUMENT_ERRORS:
                raise Unavailable(f"{result['status']}: {reason.get('type')}: {reason.get('reason')}")
            message = f"{reason.get('type')}: {reason.get('reason')}"
            if result["_id"] == lineage.MARK_ID:
                # The generation is at fault, not the documents meant for it.
                raise Unavailable(
                    f"{result['_index']} cannot store the record's mark ({message}). Run `search_index rebuild` to "
                    "build a new generation, then `search_index retire` to delete this one"
                )
            refused[int(result["_id"])] = message
    return refused


def operations(documents: Iterable[tuple[int, int, dict[str, Any]]], targets: list[str]) -> list[dict[str, Any]]:
    """The operations for `send`. The mark goes first, so that a generation never has documents without it."""
    mark = lineage.latest()
    marks = [(lineage.MARK_ID, mark.entry, mark.source)] if mark else []
    aliases = [generations.own_write_alias(target) for target in targets]
    return [
        {
            "_op_type": "index",
            "_index": alias,
            "_id": str(key),
            "version": version,
            "version_type": "external_gte",
            "_source": body,
        }
        for key, version, body in itertools.chain(marks, documents)
        for alias in aliases
    ]


def versions_in(index: str) -> dict[int, int]:
    """{incident_id: index_version} of every document in an index, tombstones excluded."""
    out: dict[int, int] = {}
    after: list[int] | None = None
    while True:
        try:
            with raising_unavailable():
                page = client().search(
                    index=index,
                    query={"term": {"deleted": False}},
                    size=_PAGE,
                    source=False,
                    docvalue_fields=[{"field": "incident_id"}, {"field": "index_version"}],
                    sort=[{"incident_id": "asc"}],
                    track_total_hits=False,
                    search_after=after,
                )["hits"]["hits"]
        except NotFoundError:
            return {}
        out.update({hit["fields"]["incident_id"][0]: hit["fields"]["index_version"][0] for hit in page})
        if len(page) < _PAGE:
            return out
        after = page[-1]["sort"]


def _hit(hit: dict[str, Any]) -> Hit:
    return Hit(
        incident_id=int(hit["_id"]),
        score=hit["_score"] or 0.0,
        sort_key=hit["sort"][0],
        shown=hit["_source"]["shown"],
        fragments=_fragments(hit.get("highlight", {}), hit["_source"]),
    )


def _fragments(highlighted: dict[str, list[str]], stored: dict[str, Any]) -> list[tuple[str, str]]:
    """The title if it matches, and the two weightiest sections that match."""
    by_section = {name.removeprefix("text."): texts[0] for name, texts in highlighted.items()}
    out = [("title", by_section.pop("title"))] if "title" in by_section else []
    ordered = sorted(
        by_section, key=lambda section: (FIELD_WEIGHTS.get(section, DEFAULT_WEIGHT), SECTIONS.index(section))
    )
    for section in ordered[:MOST_FRAGMENTS]:
        marked = by_section[section]
        out.append((_own(marked, stored) if section == OWN else section, _shown(marked)))
    return out


def _own(marked: str, stored: dict[str, Any]) -> str:
    """The team's own section that a fragment comes from."""
    fragment = strip_marks(marked)
    texts = zip(stored["own"], stored["text"][OWN], strict=True)
    return next((section for section, text in texts if fragment in text), OWN)


def _shown(marked: str) -> str:
    """The fragment on one line, as `highlight.mark` shows it: without Markdown syntax, unless only a link's target
    matches."""
    shown = plain(marked)
    return shown if START in shown else " ".join(marked.split())
