"""Where the facts come from: each source with its date, its archived copy, and in words what it supports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from incidents.records import KINDS
from kb.web.times import partial_date_words

# What a fact's key is called in a sentence. Sections go by their titles, rows by how many there are.
_FACTS = {
    "title": "title",
    "organization": "organization",
    "services": "services",
    "severity": "severity",
    "started": "start",
    "detected": "time of detection",
    "mitigated": "time of mitigation",
    "resolved": "end",
    "stated_duration": "duration",
    "detected_by": "how it was detected",
    "mitigations": "how it was mitigated",
    "impact_figures": "impact figures",
    "disagreements": "disagreements",
    "patterns": "patterns",
}


@dataclass(frozen=True, slots=True)
class ShownSource:
    url: str
    archive_url: str
    publisher: str
    title: str
    date: str
    is_primary: bool
    supports: str


def sources(document: Mapping[str, Any]) -> list[ShownSource]:
    """Primary sources first, otherwise in their own order."""
    rows = sorted(document["sources"], key=lambda row: not row["primary"])
    titles = {section["key"]: section["title"].lower() for section in document["sections"]}
    kind_of = {row["id"]: name for name in KINDS for row in document[name]}
    return [
        ShownSource(
            url=row["url"],
            archive_url=row["archive_url"] or "",
            publisher=row["publisher"],
            title=row["title"],
            date=partial_date_words(row["published"]) if row["published"] else "",
            is_primary=row["primary"],
            supports=_in_words(row["supports"], titles, kind_of),
        )
        for row in rows
    ]


def _in_words(supports: Sequence[str], titles: Mapping[str, str], kind_of: Mapping[str, str]) -> str:
    """summary, start, end, 2 causes. Rows are counted, unless their whole kind is named anyway."""
    named = [name for name in supports if name not in kind_of]
    counted = Counter(kind_of[name] for name in supports if name in kind_of)
    words = [_FACTS.get(name) or titles.get(name) or name.replace("_", " ") for name in named]
    words += [
        f"{count} {KINDS[kind].singular}{'s' if count > 1 else ''}"
        for kind, count in counted.items()
        if kind not in named
    ]
    return ", ".join(dict.fromkeys(words))
