"""Turns an outage file into the content of an incident. Row ids survive a changed sentence, because quotes, tags and
sources refer to them."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from incidents.actions.imports import Content, RowText, SectionText
from incidents.models.incident import TIMES
from incidents.outages.rules import one_line
from incidents.vocabulary import Visibility

NAMESPACE = uuids.UUID("5d3f6a0e-54f1-4b0c-9f4e-7c1f0b2d9a36")
NOT_SAID = "The sources do not say."
RECORDS = ("timeline", "causes", "lessons", "actions", "impact_figures", "disagreements")
# From this similarity of their words on, two sentences count as one sentence that was changed.
MIN_SIMILARITY = 0.6


@dataclass(frozen=True, slots=True)
class KnownRow:
    """A row that the incident already has, and the text that identifies it."""

    uuid: uuids.UUID
    text: str


@dataclass(frozen=True, slots=True)
class _FileRow:
    """A row of the file: its values, the text that identifies it, and the keys of its sources."""

    values: dict[str, Any]
    text: str
    sources: Sequence[str] = ()


def incident_uuid(outage_id: str) -> uuids.UUID:
    return uuids.uuid5(NAMESPACE, outage_id)


def identifying_text(kind: str, row: Mapping[str, Any]) -> str:
    """The text that identifies a row. The row is a mapping from a file or the fields of a model."""
    return one_line(row["label"] if kind == "impact_figures" else row["text"])


def build_content(definition: Mapping[str, Any], known: Mapping[str, Sequence[KnownRow]] | None = None) -> Content:
    """The content for the incident of a file. `known` are its existing rows by kind, which keep their ids."""
    wanted = {kind: _file_rows(kind, definition) for kind in RECORDS}
    ids = {
        kind: _match_ids(f"{definition['id']}/{kind}", [row.text for row in rows], (known or {}).get(kind, ()))
        for kind, rows in wanted.items()
    }
    supported: dict[str, list[str]] = {source["key"]: list(source["supports"]) for source in definition["sources"]}
    for kind, rows in wanted.items():
        for row, row_id in zip(rows, ids[kind], strict=True):
            for key in row.sources:
                supported[key].append(str(row_id))
    stated = definition["stated_duration"]
    for key in stated["sources"] if stated else ():
        if "stated_duration" not in supported[key]:
            supported[key].append("stated_duration")
    rows_by_kind = {
        kind: [RowText(row_id, row.values) for row, row_id in zip(rows, ids[kind], strict=True)]
        for kind, rows in wanted.items()
    }
    rows_by_kind["sources"] = [
        RowText(uuids.uuid5(NAMESPACE, f"{definition['id']}/sources/{source['key']}"), _source(source, supported))
        for source in definition["sources"]
    ]
    return Content(facts=_facts(definition), sections=_sections(definition), rows=rows_by_kind)


def _facts(definition: Mapping[str, Any]) -> dict[str, Any]:
    stated = definition["stated_duration"]
    return {
        "title": definition["title"],
        "severity": definition["severity"],
        "visibility": Visibility.PUBLIC.value,
        "organization": definition["organization"]["name"],
        "services": definition["services"],
        "detected_by": definition["detected_by"],
        "mitigations": definition["mitigations"],
        "time_zone": definition["time_zone"],
        **{name: definition[name] for name in TIMES},
        "stated_duration": {"seconds": stated["seconds"], "text": stated["text"]} if stated else None,
    }


def _sections(definition: Mapping[str, Any]) -> dict[str, SectionText]:
    prose = {key: SectionText(body=body) for key, body in definition["sections"].items()}
    empty = {
        kind: SectionText(none_reason=NOT_SAID)
        for kind in ("timeline", "causes", "lessons", "actions")
        if not definition[kind]
    }
    return {**prose, **empty}


def _file_rows(kind: str, definition: Mapping[str, Any]) -> list[_FileRow]:
    if kind == "lessons":
        return [_FileRow({"text": text}, one_line(text)) for text in definition["lessons"]]
    addresses = {source["key"]: source["url"] for source in definition["sources"]}
    rows = []
    for row in definition[kind]:
        values = {name: value for name, value in row.items() if name != "sources"}
        if kind == "impact_figures":
            values["source"] = addresses[row["sources"][0]]
        rows.append(_FileRow(values, identifying_text(kind, row), row["sources"]))
    return rows


def _source(source: Mapping[str, Any], supported: Mapping[str, list[str]]) -> dict[str, Any]:
    values = {name: value for name, value in source.items() if name not in ("key", "supports")}
    return {**values, "supports": supported[source["key"]]}


def _match_ids(place: str, texts: Sequence[str], known: Sequence[KnownRow]) -> list[uuids.UUID]:
    """An id per text: that of the known row with the same text, else of the most similar one if it is similar enough,
    else a new one derived from the text."""
    free = list(known)
    found: list[uuids.UUID | None] = [None] * len(texts)
    for i, text in enumerate(texts):
        same = next((row for row in free if row.text == text), None)
        if same:
            found[i] = same.uuid
            free.remove(same)
    for i, text in enumerate(texts):
        if found[i] is None and free:
            likeness, nearest = max(((_similarity(text, row.text), row) for row in free), key=lambda pair: pair[0])
            if likeness >= MIN_SIMILARITY:
                found[i] = nearest.uuid
                free.remove(nearest)
    # The id derived from a text may be taken by a row that once had this text and has changed since.
    taken = {row.uuid for row in known}
    return [row_id or _new_id(place, text, taken) for row_id, text in zip(found, texts, strict=True)]


def _new_id(place: str, text: str, taken: set[uuids.UUID]) -> uuids.UUID:
    n = 0
    while (made := uuids.uuid5(NAMESPACE, f"{place}/{text}" + (f"/{n}" if n else ""))) in taken:
        n += 1
    taken.add(made)
    return made


def _similarity(one: str, other: str) -> float:
    return SequenceMatcher(a=one.split(), b=other.split(), autojunk=False).ratio()
