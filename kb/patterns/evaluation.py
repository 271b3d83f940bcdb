"""Precision, recall and F1 of the rules against labels set by people, with 95% intervals.

The labels of a famous outage are the `patterns` in its file. The files are split by a hash of their ids into a
development half, on which rules are tuned, and a held-out half, whose figures are the unbiased ones.

Intervals come from a percentile bootstrap over incidents (Efron 1979).
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
    """A document and the patterns that people say it shows. `id` is that of the outage, or INC-12."""

    id: str
    document: Mapping[str, Any]
    patterns: frozenset[str]

    @property
    def is_held_out(self) -> bool:
        return hashlib.sha256(self.id.encode()).digest()[0] % 2 == 1


@dataclass(frozen=True, slots=True)
class Counts:
    """True positives, false positives and false negatives, of one pattern or summed over several."""

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
        """None if there was nothing to find and nothing was found."""
        total = 2 * self.right + self.wrong + self.missed
        return 2 * self.right / total if total else None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with the bounds of its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Counts by pattern, and `estimates` of the figures that `figures` returns, by name.

    `by_pattern` covers every pattern that is labelled or was found; `micro` is their sum.
    """

    incidents: int
    by_pattern: Mapping[str, Counts]
    micro: Counts
    estimates: Mapping[str, Estimate] = field(default_factory=dict)


def labelled_outages(folder: Path = files.FOLDER) -> list[Labelled]:
    """The famous outages with their labels. Unreadable files are skipped; `check_outages` reports them."""
    definitions = (files.read(path).definition for path in files.paths(folder))
    return [_labelled(definition) for definition in definitions if definition is not None]


def read_labels(path: Path) -> list[Labelled]:
    """Read labels from a YAML file that maps ids of famous outages, or references such as INC-12, to lists of slugs.

    Raises Invalid, with a message for each id.
    """
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, Unreadable) as error:
        raise Invalid({path.name: f"The file cannot be read: {error}."}) from error
    if not isinstance(content, dict):
        raise Invalid({path.name: "The file must map the id of each outage or incident to a list of patterns."})
    outages = {one.id: one.document for one in labelled_outages()}
    known = {definition.slug for definition in shipped()}
    problems: dict[str, str] = {}
    found: dict[str, Labelled] = {}
    for name, patterns in content.items():
        if not isinstance(patterns, list) or not all(isinstance(slug, str) for slug in patterns):
            problems[str(name)] = "This must be a list of patterns."
        elif unknown := [slug for slug in patterns if slug not in known]:
            problems[str(name)] = f"There is no pattern {unknown[0][:60]}."
        else:
            try:
                ref, document = (name, outages[name]) if name in outages else _own_incident(str(name))
            except Missing:
                problems[str(name)] = "There is no outage or incident with this id."
                continue
            if ref in found:
                problems[str(name)] = f"{ref} is already listed. List its patterns once."
            found[ref] = Labelled(ref, document, _in_use(patterns))
    if problems:
        raise Invalid(problems)
    return list(found.values())


def predictions(
    rules: Rules, labelled: Sequence[Labelled], *, text_only: bool = False
) -> dict[str, dict[str, TagState]]:
    """What the rules find, as {document id: {slug: state}}. `text_only` hides the structured fields from them."""
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
    """Compare the labels with the predicted slugs, which are given by document id."""
    each = [_compared(one.patterns, frozenset(predicted[one.id])) for one in labelled]
    by_pattern = _summed(each)
    return Evaluation(
        incidents=len(each),
        by_pattern=by_pattern,
        micro=sum(by_pattern.values(), Counts()),
        estimates=_estimates(each, resamples) if each else {},
    )


def figures(by_pattern: Mapping[str, Counts]) -> dict[str, float]:
    """Micro-averaged precision, recall and F1, and macro F1, each 0 where it is undefined.

    Macro F1 is the mean F1 over the patterns that are labelled at least once.
    """
    micro = sum(by_pattern.values(), Counts())
    of_labelled = [counts.f1 or 0.0 for counts in by_pattern.values() if counts.support]
    return {
        "precision": micro.precision or 0.0,
        "recall": micro.recall or 0.0,
        "micro F1": micro.f1 or 0.0,
        "macro F1": sum(of_labelled) / len(of_labelled) if of_labelled else 0.0,
    }


# One document's contribution to the counts, by pattern.
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
    rng = random.Random(SEED)  # noqa: S311  (seeded, so that the figures are reproducible; not a secret)
    drawn: dict[str, list[float]] = {}
    for _ in range(resamples):
        for name, value in figures(_summed(rng.choices(each, k=len(each)))).items():
            drawn.setdefault(name, []).append(value)
    out = {}
    for name, value in figures(_summed(each)).items():
        ordered = sorted(drawn[name])
        low, high = ordered[int(0.025 * resamples)], ordered[int(0.975 * resamples)]
        out[name] = Estimate(value, low, high)
    return out


def _own_incident(reference: str) -> tuple[str, Mapping[str, Any]]:
    """The canonical reference of an incident in this installation, and its document."""
    incident = find_visible(Viewer.system(), reference)
    return incident.ref, documents([incident.pk])[incident.pk]


def _labelled(definition: Mapping[str, Any]) -> Labelled:
    patterns = _in_use(entry["slug"] for entry in definition["patterns"])
    return Labelled(definition["id"], _document(definition), patterns)


def _in_use(slugs: Iterable[str]) -> frozenset[str]:
    """Replace merged patterns by the ones they were merged into, which is what the rules report."""
    merged = {one.slug: one.merged_into for one in shipped() if one.merged_into}
    return frozenset(merged.get(slug, slug) for slug in slugs)


def _document(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the incident's document that rules read, built from an outage's file."""
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
