"""Two hundred incidents for the engine contract: twenty whose texts the suite reasons about, and a hundred and
eighty of plausible noise, made from a fixed seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from incidents import document
from incidents.actions.naming import organization_named
from incidents.models import (
    ActionItem,
    Cause,
    Incident,
    Lesson,
    PostmortemSection,
    PostmortemTemplate,
    Revision,
    Team,
    User,
)
from incidents.scopes import Viewer
from incidents.template import plan
from incidents.vocabulary import Status

SIZE = 200
_SYSTEMS = (
    "ledger",
    "gateway",
    "scheduler",
    "importer",
    "billing",
    "mailer",
    "thumbnailer",
    "registry",
    "router",
    "planner",
)
_FAILINGS = ("stalled", "crashed", "lagged", "flapped", "leaked", "drifted", "overheated", "froze")
_REASONS = (
    "after a deploy",
    "under load",
    "because a switch failed",
    "during maintenance",
    "when a node left",
    "at midnight",
)
_ORGANIZATIONS = ("Northwind", "Contoso", "Initech", "Globex", "Umbrella", "Hooli")


@dataclass
class Corpus:
    """The incidents by the name the suite gives them, all their ids, and the viewers by part."""

    everything: list[int] = field(default_factory=list)
    named: dict[str, int] = field(default_factory=dict)
    viewers: dict[str, Viewer] = field(default_factory=dict)

    def names(self, ids: list[int]) -> list[str]:
        by_id = {pk: name for name, pk in self.named.items()}
        return [by_id[pk] for pk in ids if pk in by_id]


def build(team: Team, author: User) -> Corpus:
    corpus = Corpus()
    day = datetime(2020, 1, 1, 12, tzinfo=UTC)

    def add(name: str, title: str, summary: str = "", **more: Any) -> None:
        corpus.named[name] = make(team, author, title=title, summary=summary, **more).pk

    add("title", "Retries overloaded redis", "A cache was slow for an hour.")
    add("summary", "A cache was slow", "Clients were retrying and so redis was overloaded.")
    add("lesson", "Another slow cache", "Nothing much.", lessons=["Overload of redis comes from retries"])
    add(
        "message",
        "Yet another slow cache",
        "Nothing much.",
        customer_message="Retries may have overloaded redis for you.",
    )
    add("catalog", "The category page", "A catalogue of cats concatenated.")
    add("cat", "A cat on the keyboard", "It pressed enter.")
    add(
        "region",
        "Errors in us-east-1",
        "Pods in kube-system saw ECONNRESET from 10.0.0.1:6379 in net.js:123.",
    )
    add("words", "East of us", "One of us went east.")
    add("phrase", "Split brain", "The primary database failed over to the replica too late.")
    add(
        "scattered",
        "Split view",
        "The database of record, primary in name only, and its over-eager failed jobs.",
    )
    add("french", "Café déjà vu", "The naïve façade broke at Zürich.")
    add(
        "markup",
        "Rendering <script>alert(1)</script> & entities",
        'A <b>bold</b> claim about wombats & "quotes".',
    )
    add("cluster", "K8s upgrade", "The kubernetes control plane was unavailable.")
    add("private", "Secret wombats", "The wombats of the private project.", visibility="team")
    add("internal", "Internal wombats", "The wombats of everybody here.", visibility="internal")
    add("draft", "Draft wombats", "The wombats nobody has published.", published=False)
    add("archived", "Archived wombats", "The wombats of yesteryear.", status=Status.ARCHIVED)
    add(
        "long",
        "Long wombats",
        "Forty hours of wombats.",
        organization="Initech",
        severity="sev1",
        started=day,
        resolved=day + timedelta(hours=40),
        detected_by="alert",
        mitigations=["rollback", "restart"],
        causes=[("root", "load")],
    )
    add(
        "short",
        "Short wombats",
        "Ten minutes of wombats.",
        organization="Hooli",
        severity="sev2",
        started=day + timedelta(days=400),
        resolved=day + timedelta(days=400, minutes=10),
        detected_by="customer",
        mitigations=["rollback"],
        causes=[("trigger", "change")],
    )
    add(
        "own",
        "Our wombats",
        "Two hours of wombats.",
        organization="Hooli",
        severity="sev2",
        origin="own",
        started=day + timedelta(days=800),
        resolved=day + timedelta(days=800, hours=2),
    )
    add("late", "Late aardvarks", "Somebody still has to feed them.", due=date(2020, 1, 1))
    add("reopened", "Reopened aardvarks", "They came back.", organization="Globex", due=date(9999, 1, 1))
    reopen(Incident.objects.get(pk=corpus.named["reopened"]), organization="Vandelay", due=date(2020, 1, 1))

    chance = random.Random(7)
    for n in range(SIZE - len(corpus.named)):
        system, failing, reason = chance.choice(_SYSTEMS), chance.choice(_FAILINGS), chance.choice(_REASONS)
        started = day + timedelta(days=n * 9)
        make(
            team,
            author,
            title=f"The {system} {failing} {reason}",
            summary=" ".join(
                f"The {chance.choice(_SYSTEMS)} {chance.choice(_FAILINGS)} {chance.choice(_REASONS)}."
                for _ in range(chance.randint(2, 9))
            ),
            organization=chance.choice(_ORGANIZATIONS),
            severity=chance.choice(["sev1", "sev2", "sev3", None]),
            started=started,
            resolved=started + timedelta(minutes=chance.randint(5, 3000)),
        )
    corpus.everything = list(Incident.objects.values_list("pk", flat=True))
    return corpus


def make(
    team: Team,
    author: User,
    *,
    title: str,
    summary: str,
    visibility: str = "public",
    status: str = Status.PUBLISHED,
    published: bool = True,
    organization: str = "Northwind",
    severity: str | None = None,
    origin: str = "imported",
    started: datetime | None = None,
    resolved: datetime | None = None,
    detected_by: str | None = None,
    mitigations: list[str] | None = None,
    customer_message: str = "",
    lessons: list[str] | None = None,
    causes: list[tuple[str, str]] | None = None,
    due: date | None = None,
) -> Incident:
    """An incident with its revision, row by row: the actions have their own suites, and this needs hundreds."""
    template = PostmortemTemplate.objects.get(key="standard", is_current=True)
    incident = Incident.objects.create(
        title=title,
        visibility=visibility,
        status=status if published else Status.DRAFT,
        severity=severity,
        origin=origin,
        team=team,
        organization=organization_named(Viewer.system(), organization),
        template=template,
        created_by=author,
        started_at=started,
        started_precision="minute" if started else "",
        resolved_at=resolved,
        resolved_precision="minute" if resolved else "",
        detected_by=detected_by,
        mitigations=mitigations or [],
    )
    bodies = {"summary": summary, "customer_message": customer_message}
    PostmortemSection.objects.bulk_create(
        PostmortemSection(incident=incident, key=section.key, body=bodies.get(section.key, ""))
        for section in plan(template)
    )
    Lesson.objects.bulk_create(Lesson(incident=incident, text=text) for text in lessons or [])
    Cause.objects.bulk_create(
        Cause(incident=incident, kind=kind, family=family, text="It was so") for kind, family in causes or []
    )
    if due:
        ActionItem.objects.create(incident=incident, kind="prevent", text="It has to be done", due=due)
    if published:
        whole = document.with_everything(Incident.objects.filter(pk=incident.pk)).get()
        incident.published_revision = Revision.objects.create(
            incident=incident, number=1, document=document.build(whole), published_by=author
        )
        incident.published_organization = incident.organization
        incident.save()
    return incident


def reopen(incident: Incident, *, organization: str, due: date) -> None:
    """Make a draft of what is published, about another organization and with one more action."""
    incident.status = Status.DRAFT
    incident.organization = organization_named(Viewer.system(), organization)
    incident.save()
    ActionItem.objects.create(incident=incident, kind="prevent", text="An idea, so far", due=due)
