"""The sources of an incident: each with its date, its archived copy, and the facts it supports in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from incidents.records import KINDS
from incidents.wording import mid_sentence, with_noun
from kb.web.times import partial_date_words

# What a fact is called in a sentence. Sections are called by their titles, and rows are counted.
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
    """The sources in stored order, primary ones first."""
    rows = sorted(document["sources"], key=lambda row: not row["primary"])
    titles = {section["key"]: mid_sentence(section["title"]) for section in document["sections"]}
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
    """For example "summary, start, end, 2 causes". Rows are counted, unless their whole kind is named as well."""
    named = [name for name in supports if name not in kind_of]
    counted = Counter(kind_of[name] for name in supports if name in kind_of)
    words = [_FACTS.get(name) or titles.get(name) or name.replace("_", " ") for name in named]
    words += [with_noun(count, KINDS[kind].singular) for kind, count in counted.items() if kind not in named]
    return ", ".join(dict.fromkeys(words))
