"""Two hundred incidents for the engine contract: some thirty whose texts the suite relies on, and plausible noise that
is generated from a fixed seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from incidents import document
from incidents.actions.naming import find_or_create_organization
from incidents.models import (
    ActionItem,
    Cause,
    Disagreement,
    Incident,
    Lesson,
    PostmortemSection,
    PostmortemTemplate,
    ReviewRequest,
    Revision,
    Service,
    Source,
    Team,
    TimelineEvent,
    User,
)
from incidents.scopes import Viewer
from incidents.template import section_plans
from incidents.vocabulary import Status
from kb.patterns.models import Pattern, Tag

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
    """The incidents by the names that the suite gives them, the ids of all of them, and the viewers by role."""

    everything: list[int] = field(default_factory=list)
    named: dict[str, int] = field(default_factory=dict)
    viewers: dict[str, Viewer] = field(default_factory=dict)

    def names(self, ids: list[int]) -> list[str]:
        by_id = {pk: name for name, pk in self.named.items()}
        return [by_id[pk] for pk in ids if pk in by_id]


def build(team: Team, author: User, *, reviewer: User, former_reviewer: User) -> Corpus:
    """`reviewer` is asked to review "asked". `former_reviewer` was asked to review "asked" and "ended", in rounds that
    are over."""
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
    add("formatted", "Rhino rules", "## Rules\n- Two **bold rhinos**.\n- A [link](https://example.org/hippos).")
    add(
        "foreign",
        "Words of all kinds",
        "大規模障害 ฐานข้อมูลล่ม Bandicootクラスタ e\u0301clair ёлка Київ مُحَمَّد 장애 "
        "wal\u00adrus nar\u200bwhal \u202eibex ocelot",
    )
    add(
        "markup",
        "Rendering <script>alert(1)</script> & entities",
        'A <b>bold</b> claim about wombats & "quotes".',
    )
    add("cluster", "K8s upgrade", "The kubernetes control plane was unavailable.")
    add("starved", "A starving printer", "It ran out of memory while it printed.")
    add("recalled", "A walk recalled", "Out on the hill a memory of spring came back.")
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

    add("asked", "Quokkas to be read", "Quokkas that somebody was asked about.", status=Status.IN_REVIEW)
    add("ended", "Quokkas of before", "Quokkas that nobody is asked about now.", published=False)
    for name, asked, has_ended in (
        ("asked", reviewer, False),
        ("asked", former_reviewer, True),
        ("ended", former_reviewer, True),
    ):
        ReviewRequest.objects.create(
            incident_id=corpus.named[name], reviewer=asked, asked_by=author, ended_at=day if has_ended else None
        )

    add(
        "whole",
        "Whole platypuses",
        "They have everything.",
        organization="Wallaroo\u2122 Works",
        services=["Potoroo\u2122"],
        severity="sev3",
        origin="famous",
        started=day,
        resolved=day + timedelta(hours=3),
        detected_by="staff",
        timeline=["The echidnas arrived"],
        causes=[("root", "data", "A numbat had dug there")],
        lessons=["Look first"],
        actions=[("open", "Feed the quolls")],
        sources=[("The bilby papers", "Dunnart Press")],
        disagreements=[("the end", "One has it that the thylacine left earlier")],
        customer_message="All is well.",
        patterns={"retry-storm": "automatic", "split-brain": "rejected"},
    )
    add(
        "plain",
        "Plain platypuses",
        "They have next to nothing.",
        actions=[("done", "Count them")],
        patterns={"retry-storm": "suggested", "split-brain": "confirmed"},
    )
    add("inside", "Inside platypuses", "For everybody here.", visibility="internal", origin="own", severity="sev4")
    add("team", "Team platypuses", "For the team.", visibility="team", origin="own", severity="sev4")
    add("sketch", "Sketched platypuses", "Not published.", published=False, origin="own", severity="sev4")
    add("numbers", "1 2 3", patterns=dict.fromkeys(("backup-failure", "data-loss", "slow-recovery"), "confirmed"))

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
    causes: list[tuple[str, str] | tuple[str, str, str]] | None = None,
    timeline: list[str] | None = None,
    actions: list[tuple[str, str]] | None = None,
    sources: list[tuple[str, str]] | None = None,
    disagreements: list[tuple[str, str]] | None = None,
    services: list[str] | None = None,
    patterns: dict[str, str] | None = None,
    due: date | None = None,
) -> Incident:
    """An incident with its revision. The rows are created directly, because hundreds are needed and the actions have
    suites of their own.

    Rows are given by their texts: causes (kind, family, text), actions (state, text), sources (title, publisher),
    disagreements (about, text). `patterns` are {slug: state of the tag}. An incident in review was never published.
    """
    published = published and status in (Status.PUBLISHED, Status.ARCHIVED)
    template = PostmortemTemplate.objects.get(key="standard", is_current=True)
    incident = Incident.objects.create(
        title=title,
        visibility=visibility,
        status=status if published or status == Status.IN_REVIEW else Status.DRAFT,
        severity=severity,
        origin=origin,
        team=team,
        organization=find_or_create_organization(Viewer.system(), organization),
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
        for section in section_plans(template)
    )
    Lesson.objects.bulk_create(Lesson(incident=incident, text=text) for text in lessons or [])
    Cause.objects.bulk_create(
        Cause(incident=incident, kind=kind, family=family, text=" ".join(text) or "It was so")
        for kind, family, *text in causes or []
    )
    TimelineEvent.objects.bulk_create(
        TimelineEvent(incident=incident, at=started, precision="minute", text=text) for text in timeline or []
    )
    ActionItem.objects.bulk_create(
        ActionItem(incident=incident, kind="prevent", state=state, text=text) for state, text in actions or []
    )
    Source.objects.bulk_create(
        Source(incident=incident, url="https://example.org/", title=title, publisher=publisher)
        for title, publisher in sources or []
    )
    Disagreement.objects.bulk_create(
        Disagreement(incident=incident, about=about, text=text) for about, text in disagreements or []
    )
    for name in services or []:
        incident.services.add(Service.objects.create(organization=incident.organization, name=name, slug=name.lower()))
    for slug, state in (patterns or {}).items():
        pattern, _ = Pattern.objects.get_or_create(slug=slug, defaults={"name": slug, "family": "response"})
        Tag.objects.create(incident=incident, pattern=pattern, source="rule", state=state, rule_version=1)
    if due:
        ActionItem.objects.create(incident=incident, kind="prevent", text="It has to be done", due=due)
    if published:
        whole = document.with_all_parts(Incident.objects.filter(pk=incident.pk)).get()
        incident.published_revision = Revision.objects.create(
            incident=incident, number=1, document=document.build(whole), published_by=author
        )
        incident.published_organization = incident.organization
        incident.save()
        incident.published_services.set(incident.services.all())
    return incident


def reopen(incident: Incident, *, organization: str, due: date) -> None:
    """Reopen a published incident, with another organization and one more action in the draft."""
    incident.status = Status.DRAFT
    incident.organization = find_or_create_organization(Viewer.system(), organization)
    incident.save()
    ActionItem.objects.create(incident=incident, kind="prevent", text="An idea, so far", due=due)
