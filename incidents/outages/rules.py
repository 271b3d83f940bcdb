"""What must hold within one outage file: the schema, and the further rules in docs/outages.md."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from functools import cache
from itertools import pairwise
from typing import Any

from jsonschema import Draft202012Validator

from incidents.addresses import page_key
from incidents.durations import SPAN, Moment, check_order, in_words, read_moment
from incidents.errors import Invalid
from incidents.models.incident import TIMES
from incidents.outages.files import SCHEMA, OutageFile
from incidents.vocabulary import Precision
from incidents.zones import zones

SUMMARY_WORDS = range(60, 151)
# A stated duration can differ from the times by this fraction, or by two minutes.
TOLERATED_DIFFERENCE = 0.1
FACTS_WITH_SOURCES = (*TIMES, "stated_duration", "detected_by", "mitigations")
KINDS_WITH_SOURCES = ("impact_figures", "causes", "timeline", "actions", "disagreements")

_BEFORE_A_SENTENCE = re.compile(r"(?:^|[.!?:;…][\"”')\]]?\s|[-*]\s)$")
_AFTER_A_SENTENCE = re.compile(r"[.!?:;…][\"”')\]]?\s$")


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def check(file: OutageFile, *, patterns: Collection[str]) -> None:
    """Add what is wrong with the file to its problems. `patterns` are the slugs of the vocabulary."""
    definition = file.definition
    if definition is None:
        return
    file.problems += [
        f"{'.'.join(map(str, error.absolute_path)) or 'file'}: {error.message[:200]}"
        for error in _validator().iter_errors(definition)
    ]
    # The rules below rely on what the schema guarantees.
    if not file.problems:
        for rule in (_identity, _summary, _times, _timeline, _stated_duration, _sources):
            file.problems += rule(file.id, definition)
        file.problems += _patterns(definition, patterns)


def texts(definition: dict[str, Any]) -> Iterator[str]:
    """The file's own prose. The sentences that show its patterns must appear in it."""
    yield from definition["sections"].values()
    yield from (cause["text"] for cause in definition["causes"])
    yield from (event["text"] for event in definition["timeline"])
    yield from definition["lessons"]
    yield from (action["text"] for action in definition["actions"])


def one_line(text: str) -> str:
    return " ".join(text.split())


def _identity(stem: str, definition: dict[str, Any]) -> Iterator[str]:
    if definition["id"] != stem:
        yield f"id: This is {definition['id']}, but the file is named {stem}."
    started = definition["started"]
    if started and not stem.startswith(started["at"][:4]):
        yield f"id: The year differs from that of started, {started['at']}."
    if definition["time_zone"] not in zones():
        yield f"time_zone: {definition['time_zone']} is not a time zone."


def _summary(stem: str, definition: dict[str, Any]) -> Iterator[str]:
    words = len(definition["sections"]["summary"].split())
    if words not in SUMMARY_WORDS:
        yield f"sections.summary: This has {words} words; it must have 60 to 150."


def _moment(field: str, definition: dict[str, Any], value: dict[str, Any] | None) -> Moment | None:
    zone = definition["time_zone"]
    if value is None or zone not in zones():
        return None
    return read_moment(field, {"at": value["at"], "precision": value["precision"]}, zone=zone)


def _times(stem: str, definition: dict[str, Any]) -> Iterator[str]:
    try:
        times = {name: _moment(name, definition, definition[name]) for name in TIMES}
        # The files do not say whether a change was planned. A planned one can be detected before it starts.
        check_order(times, planned_change=True)
    except Invalid as error:
        yield from _lines(error)
        return
    known = [(name, moment) for name, moment in times.items() if moment]
    for (name, moment), (next_name, later) in pairwise(known):
        if later.surely_before(moment):
            yield f"{next_name}: This is before {name}."


def _timeline(stem: str, definition: dict[str, Any]) -> Iterator[str]:
    moments: list[tuple[int, Moment]] = []
    for place, event in enumerate(definition["timeline"]):
        try:
            moment = _moment(f"timeline.{place}.at", definition, event)
        except Invalid as error:
            yield from _lines(error)
            continue
        if moment and moments and moment.surely_before(moments[-1][1]):
            yield f"timeline.{place}: This is before timeline.{moments[-1][0]}."
        if moment:
            moments.append((place, moment))


def _stated_duration(stem: str, definition: dict[str, Any]) -> Iterator[str]:
    """The stated duration must agree with the times. Times to the minute limit it from both sides. Coarser times limit
    it only from above: the real duration, or the sum of several events, can be shorter."""
    stated = definition["stated_duration"]
    try:
        started = _moment("started", definition, definition["started"])
        resolved = _moment("resolved", definition, definition["resolved"])
    except Invalid:
        return
    if not (stated and started and resolved) or definition["disagreements"]:
        return
    shortest, longest = 0, int((resolved.latest - started.at).total_seconds())
    if max(SPAN[started.precision], SPAN[resolved.precision]) <= SPAN[Precision.MINUTE]:
        shortest = longest = int((resolved.at - started.at).total_seconds())
    seconds = stated["seconds"]
    leeway = max(120, TOLERATED_DIFFERENCE * seconds)
    if not shortest - leeway <= seconds <= longest + leeway:
        at_most = "" if shortest else "at most "
        yield (
            f"stated_duration: This is {in_words(seconds)}, but the times give {at_most}{in_words(longest)}. "
            "Correct it, or record the disagreement."
        )


def _sources(stem: str, definition: dict[str, Any]) -> Iterator[str]:
    keys = [source["key"] for source in definition["sources"]]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield f"sources: The key {key} appears twice."
    pages: dict[str, str] = {}
    for source in definition["sources"]:
        if (other := pages.setdefault(page_key(source["url"]), source["key"])) != source["key"]:
            yield f"sources: {other} and {source['key']} are the same page; merge them into one source."
    supported = {name for source in definition["sources"] for name in source["supports"]}
    for name in FACTS_WITH_SOURCES:
        if definition[name] and name not in supported:
            yield f"{name}: No source supports it."
        if not definition[name] and name in supported:
            yield f"{name}: A source supports it, but it has no value."
    for name in definition["sections"]:
        if name not in supported:
            yield f"sections.{name}: No source supports it."
    rows = [(f"{kind}.{place}", row) for kind in KINDS_WITH_SOURCES for place, row in enumerate(definition[kind])]
    if definition["stated_duration"]:
        rows.append(("stated_duration", definition["stated_duration"]))
    for path, row in rows:
        for key in row["sources"]:
            if key not in keys:
                yield f"{path}.sources: There is no source {key}."


def _patterns(definition: dict[str, Any], known: Collection[str]) -> Iterator[str]:
    own = [one_line(text) for text in texts(definition)]
    slugs = [pattern["slug"] for pattern in definition["patterns"]]
    for place, pattern in enumerate(definition["patterns"]):
        slug, sentence = pattern["slug"], one_line(pattern["sentence"])
        if slug not in known:
            yield f"patterns.{place}: The vocabulary has no pattern {slug}."
        if slugs.index(slug) != place:
            yield f"patterns.{place}: {slug} appears twice."
        if not any(_contains_sentence(sentence, text) for text in own):
            yield f"patterns.{place}: The sentence for {slug} is not a complete sentence from this file's own text."


def _contains_sentence(sentence: str, text: str) -> bool:
    """Does the text contain it verbatim, from the start of a sentence to the end of one?"""
    at = text.find(sentence)
    while at >= 0:
        after = at + len(sentence)
        if _BEFORE_A_SENTENCE.search(text[:at]) and (after == len(text) or _AFTER_A_SENTENCE.search(text[: after + 1])):
            return True
        at = text.find(sentence, at + 1)
    return False


def _lines(error: Invalid) -> Iterator[str]:
    for name, messages in error.fields.items():
        yield f"{name}: {' '.join(messages)}"
