"""Renders a whole postmortem as Markdown: the facts, then the sections in the template's order, then the links."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from incidents import records
from incidents.durations import DurationKind
from incidents.markdown import link, list_entry, plain, prose
from incidents.markdown_bounds import Allowance
from incidents.models.incident import TIMES
from incidents.vocabulary import (
    ActionKind,
    ActionState,
    CauseKind,
    DetectedBy,
    EventKind,
    Family,
    LinkKind,
    Mitigation,
    Origin,
    Precision,
    Qualifier,
    SectionKind,
    Severity,
    Status,
)

Document = Mapping[str, Any]

# How incoming links read from this incident's side.
_INCOMING_PHRASES = {
    LinkKind.PART_OF: "Includes",
    LinkKind.CAUSED_BY: "Caused",
    LinkKind.RECURRENCE_OF: "Recurred as",
}


def markdown(document: Document) -> str:
    allowance = Allowance()
    blocks = [_front_matter(document), f"# {plain(document['title'])}", "\n".join(_facts(document))]
    shown: set[str] = set()
    for section in document["sections"]:
        blocks += _section(document, section, allowance)
        shown.add(section["key"])
    # Shown even when the template has no section for sources.
    if document["sources"] and "sources" not in shown:
        blocks += ["## Sources", _records("sources", document, allowance)]
    if document["disagreements"]:
        entries = (
            list_entry(f"**{plain(row['about'])}:**", row["text"], below=3, allowance=allowance)
            for row in document["disagreements"]
        )
        blocks += ["## Where sources differ", "\n".join(entries)]
    if document.get("links"):
        blocks += ["## Linked incidents", "\n".join(map(_link, document["links"]))]
    return "\n\n".join(block.strip("\n") for block in blocks if block) + "\n"


def _front_matter(document: Document) -> str:
    values = {
        "ref": document["ref"],
        "id": document["id"],
        "external_id": document["external_id"],
        "title": document["title"],
        "organization": document["organization"]["name"],
        "services": document["services"],
        "origin": document["origin"],
        "status": document["status"],
        "severity": document["severity"],
        "time_zone": document["time_zone"],
        **{name: document[name]["at"] if document[name] else None for name in TIMES},
        "duration_seconds": document["duration"]["seconds"] if document["duration"] else None,
    }
    given = {name: value for name, value in values.items() if value not in (None, [])}
    text: str = yaml.safe_dump(given, allow_unicode=True, sort_keys=False, width=1_000)
    return f"---\n{text}---"


def _facts(document: Document) -> Iterator[str]:
    organization = document["organization"]
    name, website = organization["name"], organization["website"]
    yield f"- **Organization:** {link(name, website) if website else plain(name)}"
    if document["services"]:
        yield f"- **Services:** {plain(', '.join(document['services']))}"
    if document["team"]:
        yield f"- **Team:** {plain(document['team']['name'])}"
    yield f"- **Severity:** {Severity(document['severity']).label if document['severity'] else 'unknown'}"
    for moment in TIMES:
        if document[moment]:
            yield f"- **{moment.capitalize()}:** {_moment(document[moment])}"
    if document["duration"]:
        yield f"- **Duration:** {_duration(document)}"
    if document["planned_change"]:
        yield "- **Planned change:** yes"
    if document["detected_by"]:
        yield f"- **Detected by:** {DetectedBy(document['detected_by']).label.lower()}"
    if document["mitigations"]:
        yield f"- **Mitigated by:** {', '.join(Mitigation(m).label.lower() for m in document['mitigations'])}"
    yield f"- **Origin:** {Origin(document['origin']).label.lower()}"
    revision = f", revision {document['revision']}" if document["revision"] else ""
    yield f"- **Status:** {Status(document['status']).label.lower()}{revision}"


def _moment(moment: Mapping[str, str]) -> str:
    """For example 2019-07-02 13:42 +00:00. States the precision where the digits do not show it."""
    day, _, clock = moment["at"].partition("T")
    if not clock:
        return day
    at = next((i for i, sign in enumerate(clock) if sign in "+-"), len(clock))
    known = f", {Precision.HOUR.label}" if moment["precision"] == Precision.HOUR else ""
    return f"{day} {clock[:at]} {clock[at:]}{known}"


def _duration(document: Document) -> str:
    duration, stated = document["duration"], document["stated_duration"]
    match duration["kind"]:
        case DurationKind.ABOUT:
            return f"about {duration['text']}"
        case DurationKind.STATED:
            words = stated["text"] if stated and stated["text"] else duration["text"]
            return f"{plain(words)}, as stated by a source"
        case _:
            return str(duration["text"])


def _section(document: Document, section: Mapping[str, str], allowance: Allowance) -> list[str]:
    """The section's heading and content; empty when the section is empty."""
    held = []
    if section["kind"] == SectionKind.PROSE:
        if section["body"].strip():
            held.append(prose(section["body"], below=2, allowance=allowance))
    elif rows := _records(section["key"], document, allowance):
        held.append(rows)
    elif section["none_reason"]:
        held.append(f"None: {plain(section['none_reason'])}")
    if section["key"] == "impact" and document["impact_figures"]:
        held.append(_records("impact_figures", document, allowance))
    return [f"## {plain(section['title'])}", *held] if held else []


def _records(kind: str, document: Document, allowance: Allowance) -> str:
    rows = document[kind]
    match kind:
        case "timeline":
            entries = [_event(row, allowance) for row in rows]
        case "causes":
            entries = [_cause(row, allowance) for row in rows]
        case "lessons":
            entries = [list_entry("", row["text"], below=3, allowance=allowance) for row in rows]
        case "actions":
            entries = [_action(row, document["time_zone"], allowance) for row in rows]
        case "impact_figures":
            entries = [_figure(row) for row in rows]
        case "sources":
            places = _places(document)
            entries = [f"{i}. {_source(row, places)}" for i, row in enumerate(rows, 1)]
        case _:
            raise ValueError(f"Unknown kind of record: {kind}.")
    return "\n".join(entries)


def _event(row: Mapping[str, Any], allowance: Allowance) -> str:
    kind = "" if row["kind"] == EventKind.OTHER else f" ({EventKind(row['kind']).label.lower()})"
    data = f" {link('data', row['data_url'])}" if row["data_url"] else ""
    return list_entry(f"**{_moment(row)}**{kind}{data}", row["text"], below=3, allowance=allowance)


def _cause(row: Mapping[str, Any], allowance: Allowance) -> str:
    family = f" ({Family(row['family']).label})" if row["family"] else ""
    return list_entry(f"**{CauseKind(row['kind']).label}**{family}:", row["text"], below=3, allowance=allowance)


def _action(row: Mapping[str, Any], zone: str, allowance: Allowance) -> str:
    lead = [f"**{ActionKind(row['kind']).label}**", ActionState(row["state"]).label.lower()]
    if row["owner"]:
        lead.append(plain(row["owner"]))
    # Older revisions do not have this field.
    if row.get("done_at"):
        lead.append(f"since {datetime.fromisoformat(row['done_at']).astimezone(ZoneInfo(zone)).date()}")
    elif row["due"]:
        lead.append(f"due {row['due']}")
    if row["tracker_url"]:
        lead.append(link("tracker", row["tracker_url"]))
    return list_entry(", ".join(lead) + ":", row["text"], below=3, allowance=allowance)


def amount(figure: Mapping[str, Any]) -> str:
    """An impact figure in words: "about 1,200 customers"."""
    qualifier = Qualifier(figure["qualifier"]).label if figure["qualifier"] else ""
    return " ".join(filter(None, [qualifier, f"{figure['value']:,}", figure["unit"]]))


def _figure(row: Mapping[str, Any]) -> str:
    source = f" (from {plain(row['source'])})" if row["source"] else ""
    return f"- {plain(row['label'])}: {plain(amount(row))}{source}"


def _source(row: Mapping[str, Any], places: Mapping[str, tuple[str, int]]) -> str:
    parts = [link(row["title"], row["url"])]
    if row["publisher"]:
        parts.append(plain(row["publisher"]))
    if row["published"]:
        parts.append(f"published {row['published']}")
    if row["looked_up"]:
        parts.append(f"looked up {row['looked_up']}")
    if row["primary"]:
        parts.append("primary source")
    if row["archive_url"]:
        parts.append(link("archived copy", row["archive_url"]))
    supports = ", ".join(_supported(row["supports"], places))
    return ", ".join(parts) + "." + (f" Supports {supports}." if supports else "")


def _places(document: Document) -> dict[str, tuple[str, int]]:
    """{row id: (kind, number)}, as a reader would refer to a row. Numbers start at 1."""
    return {
        row["id"]: (kind.replace("_", " "), place)
        for kind in records.KINDS
        for place, row in enumerate(document[kind], 1)
    }


def _supported(names: Sequence[str], places: Mapping[str, tuple[str, int]]) -> Iterator[str]:
    """What a source supports, in words: the facts, then rows by kind, such as "causes 1-3 and 5"."""
    rows: dict[str, list[int]] = {}
    for name in names:
        if name in places:
            kind, place = places[name]
            rows.setdefault(kind, []).append(place)
        else:
            yield plain(name.replace("_", " "))
    for kind, numbers in rows.items():
        runs: list[list[int]] = []
        for number in sorted(numbers):
            if runs and number == runs[-1][-1] + 1:
                runs[-1].append(number)
            else:
                runs.append([number])
        spans = (f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
        yield f"{kind} {' and '.join(spans)}"


def _link(entry: Mapping[str, Any]) -> str:
    kind = LinkKind(entry["kind"])
    phrase = kind.label
    if entry["direction"] == "in":
        phrase = _INCOMING_PHRASES.get(kind, phrase)
    other = entry["incident"]
    note = f". {plain(entry['note'])}" if entry["note"] else ""
    return f"- {phrase}: {other['ref']} {plain(other['title'])} ({plain(other['organization'])}){note}"
