"""People's decisions about the tags of an incident, and the precision of the rules measured against them.

A decision stays until a person undoes it. Deciding about an incident's tags requires the right to edit it. Famous
outages belong to no team, so any author, lead or admin can decide about theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import sqrt

from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from incidents import outbox, scopes
from incidents.actions.change import audit, lock_incident
from incidents.errors import Invalid, Missing, NotAllowed, WrongState
from incidents.models import Incident
from incidents.scopes import Viewer
from incidents.text import clean
from incidents.vocabulary import Origin, Status
from kb.patterns import tagging
from kb.patterns.curation import evidence
from kb.patterns.models import Pattern, PatternStatus, Tag, TagSource, TagState
from kb.patterns.planning import rejected_before
from kb.patterns.reading import documents

REASON_CHARACTERS = 500


def may_decide(viewer: Viewer, incident: Incident) -> bool:
    """Whether the viewer can decide about this incident's tags.

    True for those who may edit it and, on a famous outage, for every author, lead and admin. Never true for the system
    user, which is not a person.
    """
    if viewer.is_system or incident.deleted_at is not None:
        return False
    if incident.origin == Origin.FAMOUS:
        return viewer.is_admin or bool(viewer.writes_for)
    return scopes.may_edit(viewer, incident)


def confirm(*, actor: Viewer, incident_id: int, slug: str) -> Tag:
    """Confirm that the incident shows this pattern. Raises Missing if it does not carry the tag."""
    with _deciding(actor, incident_id) as incident:
        return _decide(actor, _tag(incident, slug), TagState.CONFIRMED)


def reject(*, actor: Viewer, incident_id: int, slug: str, reason: str) -> Tag:
    """Decide that the incident does not show this pattern. The reason helps the rule's author to improve the rule.

    Raises Missing if the incident does not carry the tag, and Invalid for `reason`.
    """
    reason = clean("reason", reason, max_characters=REASON_CHARACTERS, required=True, single_line=True)
    with _deciding(actor, incident_id) as incident:
        tag = _tag(incident, slug)
        if tag.source == TagSource.PERSON:
            # Record the rule's current version, so that only a later one can suggest the pattern again.
            tag.rule_version = tag.pattern.rule_version
        return _decide(actor, tag, TagState.REJECTED, reason)


def add(*, actor: Viewer, incident_id: int, slug: str, sentence: str | None = None) -> tuple[Tag, bool]:
    """Tag the incident with this pattern by hand, with an optional `sentence` copied from the text that readers see.

    Returns the tag, and whether the incident did not have it before. A tag that a rule or a curator set, or that was
    rejected, is confirmed. Raises Invalid for `slug` or `sentence`.
    """
    slug = clean("slug", slug, max_characters=60, single_line=True)
    sentence = clean("sentence", sentence, max_characters=2_000)
    with _deciding(actor, incident_id) as incident:
        pattern = Pattern.objects.filter(slug=slug).select_related("merged_into").first()
        if pattern is None or pattern.status != PatternStatus.ACTIVE:
            raise Invalid({"slug": _not_in_use(pattern)})
        tag = Tag.objects.filter(incident=incident, pattern=pattern).first()
        is_new = tag is None or tag.state == TagState.WITHDRAWN
        tag = tag or Tag(incident=incident, pattern=pattern)
        if is_new:
            tag.source, tag.rule_version, tag.score, tag.evidence = TagSource.PERSON, None, None, []
        if sentence:
            _put_first(tag, sentence)
        return _decide(actor, tag, TagState.CONFIRMED, action="tag.added"), is_new


def undo(*, actor: Viewer, incident_id: int, slug: str) -> Tag:
    """Undo a decision, so that the tag returns to what its curator or rule says.

    A tag added by hand is withdrawn, unless the pattern's rule finds it. Raises Missing if there is no such tag.
    """
    with _deciding(actor, incident_id) as incident:
        tag = _tag(incident, slug)
        if tag.decided_by_id is None:
            return tag
        tag.decided_by, tag.decided_at, tag.reason = None, None, ""
        tag.evidence = [anchor for anchor in tag.shown_evidence if not anchor.get("by_hand")]
        tag.state = TagState.CONFIRMED if tag.source == TagSource.CURATOR else TagState.WITHDRAWN
        if tag.source != TagSource.CURATOR:
            tagging.apply_rule(incident, tag)
        return _save(actor, tag, "tag.undone")


@contextmanager
def _deciding(actor: Viewer, incident_id: int) -> Iterator[Incident]:
    """Lock the incident for a decision about one of its tags. Raises Missing, NotAllowed, WrongState."""
    with transaction.atomic():
        incident = lock_incident(actor, incident_id)
        if not may_decide(actor, incident):
            raise NotAllowed(
                "Only authors, leads and admins can decide about the patterns of famous outages."
                if incident.origin == Origin.FAMOUS
                else "Only authors and leads of the owning team can decide about the patterns of this incident."
            )
        if incident.status == Status.ARCHIVED:
            raise WrongState("This is archived. Restore it first.")
        yield incident


def _tag(incident: Incident, slug: str) -> Tag:
    """The incident's tag for this pattern. Raises Missing if it is withdrawn or the pattern is not in use."""
    pattern = Pattern.objects.filter(slug=slug).select_related("merged_into").first()
    if pattern is not None and pattern.status != PatternStatus.ACTIVE:
        raise Missing(_not_in_use(pattern))
    found = Tag.objects.filter(incident=incident, pattern=pattern).exclude(state=TagState.WITHDRAWN).first()
    if found is None:
        raise Missing("This incident is not tagged with this pattern. You can add it by hand.")
    return found


def _not_in_use(pattern: Pattern | None) -> str:
    if pattern is not None and pattern.merged_into is not None:
        return f"This pattern was merged into {pattern.merged_into.slug}. Use that one instead."
    return "There is no such pattern in use."


def _put_first(tag: Tag, sentence: str) -> None:
    """Put the sentence first among the tag's evidence. Raises Invalid if readers' text does not contain it."""
    document = documents([tag.incident_id])[tag.incident_id]
    anchors = evidence(document, [{"slug": tag.pattern.slug, "sentence": sentence}])[tag.pattern.slug]
    if not anchors:
        raise Invalid({"sentence": "The text that readers see does not contain this sentence. Copy it word for word."})
    own = {**anchors[0].stored(), "by_hand": True}
    tag.evidence = [own, *(other for other in tag.evidence if other["quote"] != own["quote"])]


def _decide(actor: Viewer, tag: Tag, state: TagState, reason: str = "", *, action: str = "") -> Tag:
    """Record a decision. Repeating one that is already in force writes nothing, no matter who repeats it."""
    before = Tag.objects.filter(pk=tag.pk).values_list("state", "reason", "evidence", "decided_by").first()
    if before and before[3] is not None and before[:3] == (state, reason, tag.evidence):
        return tag
    shown, quotes = tag.shown_evidence, {anchor["quote"] for anchor in tag.shown_evidence}
    # A rejection covers the sentences shown and those rejected earlier; a confirmation only those shown.
    earlier = rejected_before(tag.evidence) if state == TagState.REJECTED else []
    tag.evidence = [*shown, *(anchor for anchor in earlier if anchor["quote"] not in quotes)]
    tag.state, tag.reason = state, reason
    tag.decided_by_id, tag.decided_at = actor.person_id, timezone.now()
    return _save(actor, tag, action or f"tag.{state}")


def _save(actor: Viewer, tag: Tag, action: str) -> Tag:
    tag.save()
    change = {"pattern": tag.pattern.slug, "state": str(tag.state)}
    if tag.reason:
        change["reason"] = tag.reason
    audit(actor, action, tag, incident=tag.incident, **change)
    outbox.raise_index_version([tag.incident_id])
    return tag


# --- Precision of a rule --------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Precision:
    """The share of a rule's tags that people confirmed, among the `n` they decided on, with its 95% interval.

    `low` and `high` are the bounds of Wilson's score interval (Wilson 1927), which stays reliable for small counts and
    for shares near 0 and 1. Without any decisions, the share and the bounds are None.
    """

    confirmed: int
    rejected: int

    @property
    def n(self) -> int:
        return self.confirmed + self.rejected

    @property
    def share(self) -> float | None:
        return self.confirmed / self.n if self.n else None

    @property
    def low(self) -> float | None:
        return self._interval[0] if self.n else None

    @property
    def high(self) -> float | None:
        return self._interval[1] if self.n else None

    @property
    def _interval(self) -> tuple[float, float]:
        z, n, p = 1.959964, self.n, self.confirmed / self.n
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        reach = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, middle - reach), min(1.0, middle + reach)


def precision(viewer: Viewer, pattern: Pattern) -> Precision:
    """The precision of the pattern's rule, from people's decisions on incidents that the viewer can see.

    A tag that was rejected and is suggested again by a later rule counts as rejected.
    """
    decided = pattern.tags.filter(
        scopes.visible_condition(viewer, "incident__"), source=TagSource.RULE, decided_by__isnull=False
    )
    counts = decided.aggregate(
        confirmed=Count("pk", filter=Q(state=TagState.CONFIRMED)),
        rejected=Count("pk", filter=Q(state__in=[TagState.REJECTED, TagState.SUGGESTED])),
    )
    return Precision(counts["confirmed"], counts["rejected"])
