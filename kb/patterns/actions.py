"""Every write to tags: one transaction of the tag, its audit entry, and the index version of its incident."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import transaction

from incidents import outbox
from incidents.actions.change import audit
from incidents.errors import NotAllowed
from incidents.models import Incident
from incidents.scopes import Viewer
from kb.patterns.anchors import Anchor
from kb.patterns.models import Pattern, Tag, TagSource, TagState


def curate(*, actor: Viewer, incident: Incident, evidence: Mapping[str, Sequence[Anchor]]) -> int:
    """Make an incident's curated tags exactly these patterns, by slug, with their evidence; returns how many changed.

    A tag that a person decided on stays as decided. A curated tag that is no longer wanted is withdrawn. A slug that
    the vocabulary does not know is left out.
    """
    if not actor.is_system:
        raise NotAllowed("Curated tags come with the public outages.")
    with transaction.atomic():
        patterns = {pattern.slug: pattern for pattern in Pattern.objects.filter(slug__in=evidence)}
        here = {tag.pattern_id: tag for tag in Tag.objects.filter(incident=incident).select_related("pattern")}
        changed = [
            tag
            for slug, anchors in evidence.items()
            if slug in patterns
            and (tag := _confirmed(incident, patterns[slug], here.get(patterns[slug].pk), anchors)) is not None
        ]
        for tag in here.values():
            gone = tag.pattern.slug not in evidence and tag.state != TagState.WITHDRAWN
            if gone and tag.source == TagSource.CURATOR and tag.decided_by_id is None:
                tag.state, tag.evidence = TagState.WITHDRAWN, []
                changed.append(tag)
        for tag in changed:
            tag.save()
            audit(actor, "tag.curated", tag, incident=incident, pattern=tag.pattern.slug, state=tag.state)
        if changed:
            outbox.raise_index_version([incident.pk])
    return len(changed)


def _confirmed(incident: Incident, pattern: Pattern, tag: Tag | None, anchors: Sequence[Anchor]) -> Tag | None:
    """The tag as the curator wants it, not yet saved; None when it is so already or a person decided otherwise."""
    tag = tag or Tag(incident=incident, pattern=pattern)
    if tag.decided_by_id is not None:
        return None
    wanted = {
        "source": TagSource.CURATOR,
        "state": TagState.CONFIRMED,
        "evidence": [anchor.stored() for anchor in anchors],
        "rule_version": None,
        "score": None,
    }
    if tag.pk and all(getattr(tag, name) == value for name, value in wanted.items()):
        return None
    for name, value in wanted.items():
        setattr(tag, name, value)
    return tag
