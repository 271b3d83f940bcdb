"""Has this happened before? Finds similar incidents by their words, patterns, causes, mitigations and services, each
with its reasons."""

from __future__ import annotations

from dataclasses import dataclass

from incidents.models import Incident
from incidents.scopes import Viewer
from incidents.vocabulary import Family, Mitigation
from incidents.wording import mid_sentence, with_noun
from kb.patterns.models import Pattern
from kb.search import engines
from kb.search.document import IndexDocument, build_many
from kb.search.engine import Hit
from kb.search.fields import fold_name
from kb.search.results import Result, result, visible_hits

CANDIDATES = 60
MOST = 5
# What these add to the engine's score, which covers words and patterns only.
_SHARED_FAMILY, _SHARED_MITIGATION, _SHARED_SERVICE = 0.1, 0.1, 0.3
# A lower score is a coincidence of words.
LEAST = 0.25


@dataclass(frozen=True, slots=True)
class Similar:
    """A similar incident, with `reasons` that a reader can verify."""

    result: Result
    score: float
    reasons: list[str]


def similar(viewer: Viewer, incident: Incident) -> list[Similar]:
    """The most similar incidents among those that the viewer can see. The incident itself must be visible to the
    viewer."""
    built = build_many([incident.pk])
    if incident.pk not in built:
        return []
    document = built[incident.pk]
    _, _, hits = engines.answer_with_fallback(lambda engine: engine.like(viewer, document, CANDIDATES))
    return ranked(document, visible_hits(hits, viewer))[:MOST]


def ranked(document: IndexDocument, hits: list[Hit]) -> list[Similar]:
    """An engine's hits, ranked by everything that they share with the document; weak ones are left out."""
    names = dict(Pattern.objects.values_list("slug", "name"))
    found = []
    for hit in hits:
        more, reasons = _likeness(document, hit, names)
        score = round(hit.score + more, 4)
        if score >= LEAST:
            found.append(Similar(result(hit), score, reasons))
    return sorted(found, key=lambda one: (-one.score, one.result.ref))


def _likeness(document: IndexDocument, hit: Hit, names: dict[str, str]) -> tuple[float, list[str]]:
    facets, shown = document.facets, hit.shown
    patterns = [slug for slug in shown["patterns"] if slug in facets["pattern"]]
    families = [name for name in shown["families"] if name in facets["family"]]
    # "Other" in both does not mean that they were mitigated in the same way.
    mitigations = [name for name in shown["mitigations"] if name in facets["mitigation"] and name != Mitigation.OTHER]
    services = [
        name
        for name in shown["services"]
        if fold_name(name) in document.values["service"] and shown["organization"] == document.shown["organization"]
    ]
    score = (
        _SHARED_FAMILY * min(len(families), 2)
        + _SHARED_MITIGATION * min(len(mitigations), 2)
        + _SHARED_SERVICE * bool(services)
    )
    reasons = []
    if services:
        reasons.append(_same("service", "services", services))
    if patterns:
        reasons.append(_same("pattern", "patterns", [mid_sentence(names.get(slug, slug)) for slug in patterns]))
    elif families:
        reasons.append(_same("kind of cause", "kinds of cause", [Family(name).label.lower() for name in families]))
    if not reasons:
        reasons.append("similar wording")
    if mitigations:
        reasons.append(_same("mitigation", "mitigations", [Mitigation(name).label.lower() for name in mitigations]))
    if shown["open_actions"]:
        reasons.append(f"{with_noun(shown['open_actions'], 'action')} still open")
    return score, reasons


def _same(one: str, several: str, shared: list[str]) -> str:
    return f"same {one if len(shared) == 1 else several}: {', '.join(shared)}"
