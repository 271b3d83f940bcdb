"""Brings the tags of incidents in line with the rules, as a consumer of the outbox and for whole batches.

The changes are planned from a snapshot of each incident (kb/patterns/planning.py) and written under its row lock, but
only if it is still at the version that was read: a concurrent change has enqueued its own outbox entry. A run that
finds nothing to change writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from incidents import outbox, outbox_consumer
from incidents.models import AuditEntry, Incident, User
from incidents.vocabulary import Origin
from kb.patterns.matcher import Rules, match, shipped_rules
from kb.patterns.models import Pattern, PatternStatus, Retag, Tag
from kb.patterns.planning import CurrentTag, PlannedTag, plan
from kb.patterns.reading import documents, facts, fields

CONSUMER = "tagger"
BATCH = 500

# By incident id and then by slug, the planned changes of tags.
Plans = dict[int, dict[str, PlannedTag]]


@dataclass(frozen=True, slots=True)
class ActiveRules:
    """Rules to run, with their versions in the vocabulary and the ids of their patterns, both by slug."""

    rules: Rules
    versions: Mapping[str, int]
    patterns: Mapping[str, int]


class RulesMismatch(outbox_consumer.Unreachable):
    """The vocabulary in the database was loaded from rules that differ from those of this process.

    Either this process must be restarted or the vocabulary loaded again.
    """


def active_rules(rules: Rules | None = None, *, only: Collection[str] | None = None) -> ActiveRules:
    """The rules of the patterns in use, or of those among them that `only` names. Raises RulesMismatch."""
    rules = rules or shipped_rules()
    if only is not None:
        rules = Rules(rule for rule in rules.rules if rule.slug in only)
    digests = {rule.slug: rule.digest for rule in rules.rules}
    rows = Pattern.objects.filter(status=PatternStatus.ACTIVE, slug__in=digests).exclude(rule_digest="")
    versions, patterns = {}, {}
    for pk, slug, version, digest in rows.values_list("pk", "slug", "rule_version", "rule_digest"):
        if digest != digests[slug]:
            raise RulesMismatch(
                f"The rule of {slug} is not the one in the database. Restart this process or load the vocabulary again."
            )
        versions[slug], patterns[slug] = version, pk
    return ActiveRules(rules, versions, patterns)


def tag_incidents(incident_ids: Iterable[int], *, rules: Rules | None = None) -> dict[int, str]:
    """Bring the tags of these incidents in line with all the rules.

    Returns {id: reason} for rejected incidents, as consumers must; the tagger never rejects any, so it is always empty.
    Raises RulesMismatch.
    """
    ids = list(incident_ids)
    active = active_rules(rules)
    versions_read, plans = plan_changes(active, ids)
    if plans:
        with transaction.atomic():
            write_plans(active, plans, versions_read)
    return {}


def run_once() -> int:
    """Process one batch of the tagger's outbox entries; returns how many incidents it covered."""
    return outbox_consumer.run_once(CONSUMER, tag_incidents)


def drain(*, progress: Callable[[int], None] | None = None) -> int:
    """Process the tagger's outbox entries until none is due; returns how many incidents were covered."""
    handled = 0
    while count := run_once():
        handled += count
        if progress:
            progress(count)
    return handled


def apply_rule(incident: Incident, tag: Tag) -> None:
    """Set the tag to what its rule says about the incident, without saving it.

    Does nothing if this process has other rules than the vocabulary; a process with the right rules will do it.
    """
    slug = tag.pattern.slug
    try:
        active = active_rules(only=[slug])
    except RulesMismatch:
        return
    document = documents([incident.pk])[incident.pk]
    if change := _plan(active, document, {slug: CurrentTag.of(tag)}).get(slug):
        for name, value in change.columns.items():
            setattr(tag, name, value)


def check_consistency() -> list[int]:
    """Find incidents whose tags are not what the rules say and enqueue them for the tagger.

    Returns their ids in ascending order. Incidents that already wait in the tagger's outbox are not counted, and the
    whole check is skipped while a re-tagging round is in progress. Raises RulesMismatch.
    """
    if Retag.objects.filter(finished_at__isnull=True).exists():
        return []
    active = active_rules()
    # Read before the tags, so that an entry delivered in between still counts as waiting.
    waiting = outbox.waiting_ids(CONSUMER)
    differing: list[int] = []
    last = 0
    while ids := list(Incident.objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]):
        last = ids[-1]
        _, plans = plan_changes(active, ids)
        differing += [pk for pk in ids if pk in plans and pk not in waiting]
    if differing:
        with transaction.atomic():
            outbox.enqueue(differing, consumers=[CONSUMER])
    return differing


def plan_changes(active: ActiveRules, incident_ids: Collection[int]) -> tuple[dict[int, int], Plans]:
    """The index version at which each incident was read, and the planned changes of those whose tags differ."""
    if not active.versions:
        return {}, {}
    alive = Incident.objects.filter(pk__in=incident_ids, deleted_at__isnull=True).order_by()
    # Read the versions before anything else: any later change raises them.
    versions_read = dict(alive.values_list("pk", "index_version"))
    tags = _current_tags(active, versions_read)
    plans = {pk: _plan(active, document, tags.get(pk, {})) for pk, document in documents(versions_read).items()}
    return versions_read, {pk: changes for pk, changes in plans.items() if changes}


def _current_tags(active: ActiveRules, incident_ids: Collection[int]) -> dict[int, dict[str, CurrentTag]]:
    slugs = {pk: slug for slug, pk in active.patterns.items()}
    tags = Tag.objects.filter(incident_id__in=incident_ids, pattern_id__in=slugs).order_by()
    found: dict[int, dict[str, CurrentTag]] = {}
    for tag in tags:
        found.setdefault(tag.incident_id, {})[slugs[tag.pattern_id]] = CurrentTag.of(tag)
    return found


def _plan(active: ActiveRules, document: Mapping[str, Any], current: Mapping[str, CurrentTag]) -> dict[str, PlannedTag]:
    texts = fields(document)
    matches = {found.slug: found for found in match(active.rules, texts, facts(document))}
    is_curated = document["origin"] == Origin.FAMOUS
    return plan(current, matches, versions=active.versions, texts=texts, is_curated=is_curated)


def write_plans(active: ActiveRules, plans: Plans, versions_read: Mapping[int, int]) -> int:
    """Write the planned changes of the incidents that are still at the version in `versions_read`.

    Returns how many incidents these were. All changes of state go into one audit entry. Must run inside the caller's
    transaction.
    """
    rows = Incident.objects.select_for_update(no_key=True).filter(pk__in=plans, deleted_at__isnull=True).order_by("pk")
    unchanged = [pk for pk, version in rows.values_list("pk", "index_version") if version == versions_read[pk]]
    if not unchanged:
        return 0
    changes = {(pk, active.patterns[slug]): change for pk in unchanged for slug, change in plans[pk].items()}
    states = _write(changes)
    moved: dict[int, dict[str, str]] = {}
    for pk in unchanged:
        for slug, change in plans[pk].items():
            if states.get((pk, active.patterns[slug])) != change.state:
                moved.setdefault(pk, {})[slug] = change.state
    if moved:
        AuditEntry.objects.create(
            actor=User.objects.system(),
            action="tags.changed",
            incident_id=next(iter(moved)) if len(moved) == 1 else None,
            object_type="tag",
            change={"incidents": {str(pk): slugs for pk, slugs in moved.items()}},
        )
        # Do not enqueue these incidents for the tagger itself.
        others = [name for name in settings.OUTBOX_CONSUMERS if name != CONSUMER]
        outbox.raise_index_version(moved, consumers=others)
    return len(unchanged)


def _write(changes: Mapping[tuple[int, int], PlannedTag]) -> dict[tuple[int, int], str]:
    """Create and update tags, given by (incident id, pattern id); returns the previous states of existing tags."""
    tags = Tag.objects.filter(
        incident_id__in={pk for pk, _ in changes}, pattern_id__in={pattern for _, pattern in changes}
    )
    existing = {key: tag for tag in tags if (key := (tag.incident_id, tag.pattern_id)) in changes}
    states = {key: str(tag.state) for key, tag in existing.items()}
    now = timezone.now()
    names = {"updated_at"}
    differing: list[Tag] = []
    found_again: dict[int, list[int]] = {}
    for key, tag in existing.items():
        change = changes[key]
        if change.matches(CurrentTag.of(tag)):
            found_again.setdefault(change.rule_version, []).append(tag.pk)
            continue
        for name, value in {**change.columns, "updated_at": now}.items():
            setattr(tag, name, value)
            names.add(name)
        differing.append(tag)
    # After a rule has changed, most of its tags differ in nothing but its version.
    for version, pks in found_again.items():
        Tag.objects.filter(pk__in=pks).update(rule_version=version, updated_at=now)
    Tag.objects.bulk_update(differing, sorted(names), batch_size=200)
    new = [
        Tag(incident_id=pk, pattern_id=pattern, **change.columns)
        for (pk, pattern), change in changes.items()
        if (pk, pattern) not in existing
    ]
    Tag.objects.bulk_create(new, batch_size=500)
    return states
