"""The facts above the prose: durations, how the incident was detected and mitigated, and the impact figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from incidents.durations import Duration, DurationKind, Moment
from incidents.markdown_export import amount
from incidents.vocabulary import DetectedBy, Mitigation
from kb.web.times import duration_words, known_duration

_DURATION_NOTES = {
    DurationKind.MEASURED: "measured from start to end",
    DurationKind.ABOUT: "the times are not known exactly",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """`is_duration` marks durations, which readers compare as numbers. All other facts are words."""

    term: str
    words: str
    note: str = ""
    is_duration: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """One impact figure. `source_url` is set when its source is an address, `source` when it is a name."""

    label: str
    words: str
    source: str
    source_url: str


def facts(document: Mapping[str, Any], times: Mapping[str, Moment | None]) -> list[Fact]:
    """The known facts. Unknown ones are left out rather than shown as unknown."""
    found = [
        _duration_between("Time to detect", known_duration(times["started"], times["detected"])),
        _duration_between("Time to mitigate", known_duration(times["started"], times["mitigated"])),
        _total_duration(document),
    ]
    if document["detected_by"]:
        found.append(Fact("Detected by", DetectedBy(document["detected_by"]).label))
    if document["mitigations"]:
        found.append(Fact("Mitigated by", _listed([Mitigation(one).label for one in document["mitigations"]])))
    if document["services"]:
        found.append(Fact("Services", ", ".join(document["services"])))
    return [fact for fact in found if fact]


def _listed(labels: list[str]) -> str:
    """Labels as one phrase, which begins with a capital letter."""
    return ", ".join(labels).capitalize()


def _duration_between(term: str, duration: Duration | None) -> Fact | None:
    return Fact(term, duration_words(duration), is_duration=True) if duration else None


def _total_duration(document: Mapping[str, Any]) -> Fact | None:
    """The total duration, with a note on how it is known: measured, stated by a source, or about."""
    stored = document["duration"]
    if stored is None:
        return None
    duration = Duration(stored["seconds"], DurationKind(stored["kind"]))
    stated = document["stated_duration"] or {}
    if duration.kind is DurationKind.STATED:
        quote = f": “{stated['text']}”" if stated.get("text") else ""
        return Fact("Duration", duration_words(duration), f"stated by a source{quote}", is_duration=True)
    note = _DURATION_NOTES[duration.kind]
    if stated.get("text"):
        note += f"; a source says “{stated['text']}”"
    return Fact("Duration", duration_words(duration), note, is_duration=True)


def figures(document: Mapping[str, Any]) -> list[Figure]:
    return [_figure(row) for row in document["impact_figures"]]


def _figure(row: Mapping[str, Any]) -> Figure:
    source = row["source"] or ""
    is_address = source.lower().startswith(("https://", "http://"))
    return Figure(
        label=row["label"],
        words=amount(row),
        source="" if is_address else source,
        source_url=source if is_address else "",
    )
