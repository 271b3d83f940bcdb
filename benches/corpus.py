"""Generates the corpus: any number of incidents, as in an installation after years of use, the same on every machine.

Nine out of ten incidents are published. They have a revision and its action items, but no rows for the working copy,
which no bench reads. The others are drafts with all their rows. Rows are inserted in bulk instead of through the
actions, which would take hours.
"""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.color import no_style
from django.db import connection, models, transaction
from django.db.models import F

from benches import words
from incidents import document, template
from incidents.actions.organizations import create_organization, create_team, save_template, set_membership
from incidents.durations import Moment, to_iso
from incidents.models import Incident, Organization, PostmortemSection, PostmortemTemplate, Revision, Row, Team, User
from incidents.records import KINDS
from incidents.scopes import Viewer
from incidents.template import SectionPlan
from incidents.vocabulary import CauseKind, DetectedBy, Family, Mitigation, Precision, Role, Severity, Visibility

BATCH = 1_000
_FIRST_DAY = datetime(2012, 1, 1, tzinfo=UTC)
_KEPT = ("actions", "timeline", "causes", "lessons", "sources")
_PROSE = {"summary": 320, "impact": 140, "detection": 90, "trigger": 90, "mitigation": 110, "went_well": 80}


@dataclass
class Batch:
    """The rows of a batch of incidents by model, in the order in which they must be inserted."""

    rows: dict[type[models.Model], list[Any]] = field(default_factory=dict)

    def add(self, *rows: Any) -> None:
        for row in rows:
            self.rows.setdefault(type(row), []).append(row)


@dataclass(frozen=True)
class CommonRows:
    organizations: list[Organization]
    teams: list[Team]
    author: User
    template: PostmortemTemplate
    sections: list[SectionPlan]


def generate(count: int, *, seed: int = 7) -> Iterator[int]:
    """Write `count` incidents to a freshly migrated database; yields the number of incidents in each batch."""
    common = _create_common_rows()
    chance = random.Random(seed)
    numbers = iter(range(count))
    while some := list(itertools.islice(numbers, BATCH)):
        batch = Batch()
        for number in some:
            _incident(batch, number, common, chance)
        _write(batch)
        yield len(some)
    _reset_sequences()


def _create_common_rows() -> CommonRows:
    system = Viewer.system()
    for definition in template.shipped_definitions():
        save_template(actor=system, definition=definition)
    organizations = [create_organization(actor=system, name=f"Organization {n}", is_home=n == 0) for n in range(60)]
    author = User.objects.create(email="author@bench.example", name="Author", password="!")
    teams = [create_team(actor=system, name=f"Team {n}") for n in range(20)]
    set_membership(actor=system, team_id=teams[0].pk, user=author, role=Role.LEAD)
    standard = template.standard_template()
    return CommonRows(organizations, teams, author, standard, template.section_plans(standard))


def _incident(batch: Batch, number: int, common: CommonRows, chance: random.Random) -> None:
    started = _FIRST_DAY + timedelta(minutes=chance.randrange(14 * 365 * 24 * 60))
    lasted = timedelta(minutes=int(chance.lognormvariate(4.5, 1.3)) + 1)
    incident = Incident(
        pk=number + 1,
        title=words.title(chance),
        origin=chance.choice(("own", "own", "imported")),
        severity=chance.choice((*Severity.values, None)),
        status="draft" if number % 10 == 9 else "published",
        visibility=chance.choice((Visibility.PUBLIC, Visibility.INTERNAL, Visibility.INTERNAL, Visibility.TEAM)),
        # Squaring the draw gives a few organizations and teams most of the incidents.
        organization=common.organizations[int(len(common.organizations) * chance.random() ** 2)],
        team=common.teams[int(len(common.teams) * chance.random() ** 2)],
        detected_by=chance.choice((*DetectedBy.values, None)),
        mitigations=chance.sample(Mitigation.values, chance.choice((0, 1, 1, 2))),
        started_at=started,
        started_precision="minute",
        detected_at=started + lasted / 10,
        detected_precision="minute",
        resolved_at=started + lasted,
        resolved_precision="minute",
        template=common.template,
        created_by=common.author,
        created_at=_FIRST_DAY,
        uuid=_uuid(chance),
    )
    batch.add(incident)
    content = _content(incident, chance, common.sections)
    rows = {name: [_row(incident, name, place, row) for place, row in enumerate(content[name])] for name in _KEPT}
    batch.add(*rows["actions"])
    if incident.status == "draft":
        for name, of_kind in rows.items():
            if name != "actions":
                batch.add(*of_kind)
        batch.add(*(_section(incident, section) for section in content["sections"]))
    else:
        batch.add(_revision(incident, content, common))


def _content(incident: Incident, chance: random.Random, sections: list[SectionPlan]) -> dict[str, Any]:
    """Sections and records in the format of `incidents.document`."""

    def rows(least: int, most: int, characters: int, **columns: Callable[[int], Any]) -> list[dict[str, Any]]:
        return [
            {
                "id": str(_uuid(chance)),
                **{name: column(place) for name, column in columns.items()},
                "text": words.prose(chance, characters),
            }
            for place in range(chance.randint(least, most))
        ]

    started, resolved = incident.started_at, incident.resolved_at
    assert started is not None
    assert resolved is not None
    step = (resolved - started) / 6
    source = {"url": f"https://status.example/{incident.pk}", "archive_url": "", "publisher": "Status page"}
    return {
        "sections": [
            {
                "id": str(_uuid(chance)),
                "key": section.key,
                "title": section.title,
                "kind": section.kind.value,
                "body": words.prose(chance, _PROSE[section.key]) if section.key in _PROSE else "",
                "none_reason": "",
            }
            for section in sections
        ],
        "timeline": rows(
            *(2, 6, 60),
            at=lambda place: to_iso(Moment(started + step * place, Precision.MINUTE), "UTC"),
            precision=lambda place: "minute",
            kind=lambda place: "other",
            data_url=lambda place: "",
        ),
        "causes": rows(
            *(1, 3, 100),
            kind=lambda place: chance.choice(CauseKind.values),
            family=lambda place: chance.choice(Family.values),
        ),
        "lessons": rows(1, 2, 80),
        "actions": rows(
            *(1, 3, 70),
            kind=lambda place: "prevent",
            state=lambda place: chance.choice(("open", "in_progress", "done", "done", "done")),
            owner=lambda place: None,
            due=lambda place: (resolved + timedelta(days=chance.randint(7, 90))).date().isoformat(),
            tracker_url=lambda place: "",
        ),
        "impact_figures": [],
        "sources": [
            {
                "id": str(_uuid(chance)),
                **source,
                "title": words.title(chance),
                "published": None,
                "looked_up": None,
                "primary": False,
                "supports": [],
            }
        ],
        "disagreements": [],
    }


def _row(incident: Incident, kind: str, place: int, row: dict[str, Any]) -> Row:
    values = {name: value for name, value in row.items() if name not in ("id", "primary", "published")}
    return KINDS[kind].model(incident=incident, uuid=uuid.UUID(row["id"]), position=place, **values)


def _section(incident: Incident, section: dict[str, Any]) -> PostmortemSection:
    return PostmortemSection(incident=incident, uuid=uuid.UUID(section["id"]), key=section["key"], body=section["body"])


def _revision(incident: Incident, content: dict[str, Any], common: CommonRows) -> Revision:
    template = {"key": common.template.key, "number": common.template.number}
    whole = {
        "format": document.FORMAT,
        **document.live_values(incident, incident.organization, []),
        "status": incident.status,
        **document.facts(incident),
        "template": template,
        **content,
        "revision": None,
        "published_at": None,
    }
    return Revision(pk=incident.pk, incident=incident, number=1, document=whole, published_by=common.author)


def _uuid(chance: random.Random) -> uuid.UUID:
    return uuid.UUID(int=chance.getrandbits(128), version=4)


def _write(batch: Batch) -> None:
    with transaction.atomic():
        for model, rows in batch.rows.items():
            model._default_manager.bulk_create(rows, batch_size=5_000)
        Incident.objects.filter(revisions__in=batch.rows[Revision]).update(
            published_revision=F("pk"), published_organization=F("organization")
        )


def _reset_sequences() -> None:
    """Set the id sequences past the rows that were inserted with explicit ids."""
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), [Incident, Revision]):
            cursor.execute(statement)
