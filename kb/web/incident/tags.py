"""The patterns of an incident: each with its answer to "why?", and the decisions the viewer can make about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from incidents.models import Incident
from incidents.scopes import Viewer
from incidents.vocabulary import Family, Status
from kb.patterns import decisions
from kb.patterns.anchors import texts
from kb.patterns.models import SHOWN, Pattern, PatternStatus, Tag, TagSource, TagState
from kb.web.incident.evidence import Marks, Quote, evidence
from kb.web.times import format_timestamp

_SOURCE_WORDS = {
    TagSource.RULE: "found by its rule",
    TagSource.MODEL: "found by a language model",
    TagSource.CURATOR: "added by the curators of famous outages",
    TagSource.PERSON: "added by a person",
}
# Slugs and names of patterns, grouped under the label of their family.
Choices = list[tuple[str, list[tuple[str, str]]]]


@dataclass(frozen=True, slots=True)
class ShownTag:
    """`may_confirm`, `may_reject` and `may_undo` say which decisions the viewer can make that would change the tag."""

    slug: str
    name: str
    state: str
    attribution: str
    reason: str
    counts: str
    quotes: list[Quote]
    marks: Marks
    may_confirm: bool
    may_reject: bool
    may_undo: bool

    @property
    def is_suggested(self) -> bool:
        return self.state == TagState.SUGGESTED

    @property
    def target_id(self) -> str:
        """The id of its first mark in the text, or else of its entry in the list of reasons."""
        return next((quote.mark for quote in self.quotes if quote.mark), f"tag-{self.slug}")


@dataclass(frozen=True, slots=True)
class Tags:
    """`rejected` and `addable` are empty unless the viewer can decide about this incident's patterns.

    `addable` is also empty while the incident is archived, when no decisions are possible.
    """

    shown: list[ShownTag]
    suggested: list[ShownTag]
    rejected: list[ShownTag]
    addable: Choices

    @property
    def in_force_or_suggested(self) -> list[ShownTag]:
        return [*self.shown, *self.suggested]

    @property
    def all(self) -> list[ShownTag]:
        return [*self.shown, *self.suggested, *self.rejected]


@dataclass(frozen=True, slots=True)
class Why:
    """The tag whose evidence was asked for. Its `marks` are drawn in the text."""

    tag: ShownTag

    @property
    def marks(self) -> Marks:
        return self.tag.marks

    @property
    def names(self) -> list[str]:
        """The names of its marks in the text, in reading order."""
        return [mark.name for marks in self.marks.values() for mark in marks]


def why(tags: Tags, slug: str) -> Why | None:
    found = next((tag for tag in tags.all if tag.slug == slug), None)
    return Why(found) if found else None


def tags(incident: Incident, document: Mapping[str, Any], viewer: Viewer) -> Tags:
    may_decide = decisions.may_decide(viewer, incident)
    states = [*SHOWN, TagState.SUGGESTED, *([TagState.REJECTED] if may_decide else [])]
    stored = (
        Tag.objects.filter(incident=incident, state__in=states)
        .filter(pattern__status=PatternStatus.ACTIVE)
        .select_related("pattern", "decided_by")
    )
    page = _Reader(
        fields=dict(texts(document)),
        titles={section["key"]: section["title"] for section in document["sections"]},
        viewer=viewer,
        may_decide=may_decide,
        may_decide_now=may_decide and incident.status != Status.ARCHIVED,
    )
    found = [page.shown(tag) for tag in stored]
    return Tags(
        shown=[tag for tag in found if tag.state in SHOWN],
        suggested=[tag for tag in found if tag.is_suggested],
        rejected=[tag for tag in found if tag.state == TagState.REJECTED],
        addable=addable(incident.pk) if page.may_decide_now else [],
    )


def addable(incident_id: int) -> Choices:
    """The active patterns without a tag on the incident. Withdrawn tags do not count."""
    stored = Tag.objects.filter(incident=incident_id).exclude(state=TagState.WITHDRAWN)
    patterns = Pattern.objects.filter(status=PatternStatus.ACTIVE).exclude(pk__in=stored.values("pattern"))
    by_family: dict[str, list[tuple[str, str]]] = {}
    for slug, name, family in patterns.values_list("slug", "name", "family"):
        by_family.setdefault(family, []).append((slug, name))
    return [(family.label, by_family[family]) for family in Family if family in by_family]


@dataclass(frozen=True, slots=True)
class _Reader:
    """The texts of one document, and the viewer who reads it."""

    fields: Mapping[str, str]
    titles: Mapping[str, str]
    viewer: Viewer
    may_decide: bool
    may_decide_now: bool

    def shown(self, tag: Tag) -> ShownTag:
        quotes, marks = evidence(tag.shown_evidence, self.fields, self.titles)
        return ShownTag(
            slug=tag.pattern.slug,
            name=tag.pattern.name,
            state=tag.state,
            attribution=self._attribution(tag),
            reason=tag.reason if self.may_decide and tag.state in (TagState.REJECTED, TagState.SUGGESTED) else "",
            counts=tag.pattern.counts,
            quotes=quotes,
            marks=marks,
            may_confirm=self.may_decide_now and tag.state != TagState.CONFIRMED,
            may_reject=self.may_decide_now and tag.state != TagState.REJECTED,
            may_undo=self.may_decide_now and tag.decided_by_id is not None,
        )

    def _attribution(self, tag: Tag) -> str:
        """The origin of the tag and the decision about it.

        Names are shown only to signed-in viewers, and who rejected a tag only to viewers who can decide.
        """
        words = _SOURCE_WORDS[TagSource(tag.source)]
        if tag.source == TagSource.RULE and tag.rule_version is not None:
            score = f", score {tag.score:.1f}" if tag.score is not None else ""
            words += f" (version {tag.rule_version}{score})"
        if tag.state == TagState.SUGGESTED and tag.decided_by and self.may_decide:
            return f"{words}; {tag.decided_by.name} rejected it earlier"
        if tag.state == TagState.SUGGESTED:
            return f"{words}; not confirmed yet"
        if tag.state in (TagState.CONFIRMED, TagState.REJECTED) and tag.decided_by and self.viewer.is_signed_in:
            when = f", {format_timestamp(tag.decided_at).day}" if tag.decided_at else ""
            return f"{words}, {tag.state} by {tag.decided_by.name}{when}"
        return words
