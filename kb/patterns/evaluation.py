"""How well the rules find what people found: precision, recall and F1 against labels, with intervals.

The labels of public outages are their files' `patterns`. Rules are tuned on one half of the files alone, the
development half; the other half is held out, and its figures are the honest ones. Which half a file belongs to follows
from its id.

Intervals are the percentile bootstrap over incidents (Efron 1979).
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from incidents.actions.links import find_visible
from incidents.durations import between, read_moment
from incidents.errors import Invalid, Missing
from incidents.outages import files
from incidents.plain_yaml import Unreadable
from incidents.plain_yaml import read as read_yaml
from incidents.scopes import Viewer
from kb.patterns.anchors import ANCHORED_KINDS
from kb.patterns.matcher import Rules, match
from kb.patterns.models import TagState
from kb.patterns.reading import documents, facts, fields
from kb.patterns.rules import shipped

RESAMPLES = 1_000
SEED = 20_19


@dataclass(frozen=True, slots=True)
class Labelled:
    """A document and the patterns that people say it shows."""

    id: str
    document: Mapping[str, Any]
    patterns: frozenset[str]

    @property
    def is_held_out(self) -> bool:
        return hashlib.sha256(self.id.encode()).digest()[0] % 2 == 1


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one pattern or of several together: rightly found, wrongly found, missed."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.right + other.right, self.wrong + other.wrong, self.missed + other.missed)

    @property
    def support(self) -> int:
        return self.right + self.missed

    @property
    def precision(self) -> float | None:
        return self.right / (self.right + self.wrong) if self.right + self.wrong else None

    @property
    def recall(self) -> float | None:
        return self.right / self.support if self.support else None

    @property
    def f1(self) -> float | None:
        """None where nothing is to be found and nothing was."""
        total = 2 * self.right + self.wrong + self.missed
        return 2 * self.right / total if total else None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`by_pattern` has every pattern that is labelled or was found; `micro` is over all of them together. `macro_f1`
    is the mean F1 of the patterns that are labelled at least once."""

    incidents: int
    by_pattern: Mapping[str, Counts]
    micro: Counts
    estimates: Mapping[str, Estimate] = field(default_factory=dict)


def of_outages(folder: Path = files.FOLDER) -> list[Labelled]:
    """The curated outages with their patterns. Files that cannot be read are passed over; check_outages names them."""
    definitions = (files.read(path).definition for path in files.paths(folder))
    return [_labelled(definition) for definition in definitions if definition is not None]


def of_labels(path: Path) -> list[Labelled]:
    """A YAML mapping from the id of a public outage, or from an incident here (INC-12), to a list of patterns.

    Raises Invalid, by id.
    """
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, Unreadable) as error:
        raise Invalid({path.name: f"This cannot be read: {error}."}) from error
    if not isinstance(content, dict):
        raise Invalid({path.name: "This takes a mapping from an incident to its patterns."})
    outages = {one.id: one.document for one in of_outages()}
    known = {definition.slug for definition in shipped()}
    problems: dict[str, str] = {}
    found: dict[str, Labelled] = {}
    for name, patterns in content.items():
        if not isinstance(patterns, list) or not all(isinstance(slug, str) for slug in patterns):
            problems[str(name)] = "This takes a list of patterns."
        elif strange := [slug for slug in patterns if slug not in known]:
            problems[str(name)] = f"There is no pattern {strange[0][:60]}."
        else:
            try:
                ref, document = (name, outages[name]) if name in outages else _here(str(name))
            except Missing:
                problems[str(name)] = "There is no such outage or incident."
                continue
            if ref in found:
                problems[str(name)] = f"{ref} stands there already. Name its patterns once."
            found[ref] = Labelled(ref, document, _in_use(patterns))
    if problems:
        raise Invalid(problems)
    return list(found.values())


def predictions(
    rules: Rules, labelled: Sequence[Labelled], *, text_only: bool = False
) -> dict[str, dict[str, TagState]]:
    """What the rules say of each document by its id: {slug: state}. `text_only` leaves the structured fields out."""
    return {
        one.id: {
            found.slug: found.state
            for found in match(rules, fields(one.document), {} if text_only else facts(one.document))
        }
        for one in labelled
    }


def evaluate(
    labelled: Sequence[Labelled], predicted: Mapping[str, Iterable[str]], *, resamples: int = RESAMPLES
) -> Evaluation:
    """Compare labels with what was found, by the id of the document."""
    each = [_compared(one.patterns, frozenset(predicted[one.id])) for one in labelled]
    by_pattern = _summed(each)
    return Evaluation(
        incidents=len(each),
        by_pattern=by_pattern,
        micro=sum(by_pattern.values(), Counts()),
        estimates=_estimates(each, resamples) if each else {},
    )


def figures(by_pattern: Mapping[str, Counts]) -> dict[str, float]:
    """The summaries, each 0 where it is not defined."""
    micro = sum(by_pattern.values(), Counts())
    of_labelled = [counts.f1 or 0.0 for counts in by_pattern.values() if counts.support]
    return {
        "precision": micro.precision or 0.0,
        "recall": micro.recall or 0.0,
        "micro F1": micro.f1 or 0.0,
        "macro F1": sum(of_labelled) / len(of_labelled) if of_labelled else 0.0,
    }


# What one document adds to the counts, by pattern.
_Compared = Mapping[str, Counts]


def _compared(labels: frozenset[str], found: frozenset[str]) -> _Compared:
    out = {slug: Counts(right=1) for slug in labels & found}
    out |= {slug: Counts(wrong=1) for slug in found - labels}
    return out | {slug: Counts(missed=1) for slug in labels - found}


def _summed(each: Iterable[_Compared]) -> dict[str, Counts]:
    right: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for one in each:
        for slug, counts in one.items():
            right[slug] += counts.right
            wrong[slug] += counts.wrong
            missed[slug] += counts.missed
    return {slug: Counts(right[slug], wrong[slug], missed[slug]) for slug in sorted(right)}


def _estimates(each: Sequence[_Compared], resamples: int) -> dict[str, Estimate]:
    chance = random.Random(SEED)  # noqa: S311  (no secret: the same figures every time)
    drawn: dict[str, list[float]] = {}
    for _ in range(resamples):
        for name, value in figures(_summed(chance.choices(each, k=len(each)))).items():
            drawn.setdefault(name, []).append(value)
    out = {}
    for name, value in figures(_summed(each)).items():
        ordered = sorted(drawn[name])
        low, high = ordered[int(0.025 * resamples)], ordered[int(0.975 * resamples)]
        out[name] = Estimate(value, low, high)
    return out


def _here(reference: str) -> tuple[str, Mapping[str, Any]]:
    """An incident's one reference, and its document."""
    incident = find_visible(Viewer.system(), reference)
    return incident.ref, documents([incident.pk])[incident.pk]


def _labelled(definition: Mapping[str, Any]) -> Labelled:
    patterns = _in_use(entry["slug"] for entry in definition["patterns"])
    return Labelled(definition["id"], _document(definition), patterns)


def _in_use(slugs: Iterable[str]) -> frozenset[str]:
    """What the rules call these patterns: one that was merged is the one that took it in."""
    merged = {one.slug: one.merged_into for one in shipped() if one.merged_into}
    return frozenset(merged.get(slug, slug) for slug in slugs)


def _document(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Of an outage's file as much of the incident's document as rules read."""
    rows: dict[str, list[dict[str, Any]]] = {
        kind: [
            {"id": str(place), **(row if isinstance(row, dict) else {"text": row})}
            for place, row in enumerate(definition[kind])
        ]
        for kind in ANCHORED_KINDS
    }
    stated = definition["stated_duration"]
    measured = between(*(read_moment(name, definition[name]) for name in ("started", "resolved")))
    seconds = stated["seconds"] if stated else measured.seconds if measured else None
    return {
        **{name: definition[name] for name in ("title", "severity", "detected_by", "mitigations", "organization")},
        **{name: definition[name] for name in ("started", "detected", "mitigated")},
        "planned_change": None,
        "duration": {"seconds": seconds} if seconds else None,
        "sections": [
            *({"key": key, "kind": "prose", "body": body} for key, body in definition["sections"].items()),
            *({"key": kind, "kind": "records"} for kind in ANCHORED_KINDS),
        ],
        **rows,
    }
