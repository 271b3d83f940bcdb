"""A mix of writes from several threads: create, edit, narrow, widen and delete incidents, and rename organizations.

All writes go through the actions. Each thread has its own incidents, so that it knows their state; organizations are
shared. What each commit means for the audience of words is recorded in the history.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import InterfaceError, OperationalError, connection

from chaos.cast import ORGANIZATIONS, TEAM, Cast
from chaos.history import Audience, History
from incidents.actions.compose import create_with_content
from incidents.actions.incidents import change_incident, delete_incident
from incidents.actions.lifecycle import publish, reopen
from incidents.actions.organizations import change_organization
from incidents.actions.sections import change_row, change_section
from incidents.models import ActionItem, Incident, Organization, User
from incidents.scopes import Viewer
from incidents.vocabulary import Status, Visibility

# The share of each kind of write, in percent.
MIX = {"create": 28, "edit": 30, "narrow": 16, "widen": 14, "delete": 8, "rename": 4}
_WIDER = {Visibility.TEAM: Visibility.INTERNAL, Visibility.INTERNAL: Visibility.PUBLIC}
_NARROWER = {Visibility.PUBLIC: Visibility.TEAM, Visibility.INTERNAL: Visibility.TEAM}
_CONNECTION_ERRORS = (OperationalError, InterfaceError)


def _word() -> str:
    """A word that occurs in no other text and that a stemmer leaves as it is."""
    return f"q7{uuid.uuid4().hex[:10]}"


@dataclass(slots=True)
class Tracked:
    """One incident as its writer knows it.

    `name` is the word in its title; `texts` are all the words its summary ever had, the published one last. A deleted
    incident stays tracked (`gone`), because a restored database can bring it back.
    """

    uuid: uuid.UUID
    name: str
    texts: list[str]
    visibility: str
    pk: int = 0
    published: bool = False
    gone: bool = False

    @property
    def audience(self) -> Audience:
        if self.gone:
            return Audience.NOBODY
        return Audience.of(self.visibility) if self.published else Audience.TEAM

    def audiences(self) -> dict[str, Audience]:
        """The audience of each of its words."""
        past = dict.fromkeys(self.texts[:-1], Audience.NOBODY)
        return {**past, self.name: self.audience, self.texts[-1]: self.audience}


@dataclass
class Tally:
    """What the writers did. `failed` are writes that the database refused or cut off; `broken` any other errors."""

    done: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    slowest: float = 0.0

    @property
    def total(self) -> int:
        return self.done.total()


class Writers:
    """Makes `most` writes per run, at most `per_second` a second. Incidents stay tracked from one run to the next."""

    def __init__(self, cast: Cast, history: History, *, most: int, per_second: float, threads: int = 4) -> None:
        self.cast, self.history, self.most, self.per_second = cast, history, most, per_second
        self.tracked: list[list[Tracked]] = [[] for _ in range(threads)]
        self._lock = threading.Lock()
        self._busy = [threading.Lock() for _ in range(threads)]

    # --- Control -----------------------------------------------------------------------------------
    def seed(self, count: int) -> None:
        """Create published incidents of every visibility, before the first run."""
        author = Viewer.of(User.objects.get(pk=self.cast.author))
        for number in range(count):
            mine = self.tracked[number % len(self.tracked)]
            self._create(author, mine, visibility=Visibility.values[number % 3])

    def start(self) -> None:
        self.tally = Tally()
        self._begun = 0
        self._started = time.monotonic()
        self._threads = [
            threading.Thread(target=self._run, args=[place], name=f"writer-{place}") for place in range(len(self._busy))
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def wait_for(self, share: float) -> None:
        """Wait until this share of the writes has begun."""
        while self._begun < share * self.most and any(thread.is_alive() for thread in self._threads):
            time.sleep(0.02)

    def pause(self) -> None:
        """Wait for writes in progress, and hold back further ones until `resume`."""
        for lock in self._busy:
            lock.acquire()

    def resume(self) -> None:
        for lock in self._busy:
            lock.release()

    def doubt(self) -> None:
        """Treat the record as unknown until `after_restore`. Writers must be paused."""
        self.history.doubt(text for mine in self.tracked for tracked in mine for text in tracked.audiences())

    def after_restore(self) -> None:
        """Adopt what the record says now. Writers must be paused; they reconnect afterwards."""
        connection.close()
        for mine in self.tracked:
            self._observe_all(mine)

    # --- One writer thread -------------------------------------------------------------------------
    def _run(self, place: int) -> None:
        chance = random.Random(place)
        author, admin = (Viewer.of(User.objects.get(pk=pk)) for pk in (self.cast.author, self.cast.admin))
        while self._take():
            with self._busy[place]:
                kind = chance.choices(list(MIX), weights=list(MIX.values()))[0]
                self._write(kind, chance, author, admin, self.tracked[place])
        connection.close()

    def _take(self) -> bool:
        with self._lock:
            if self._begun >= self.most:
                return False
            self._begun += 1
            due = self._started + self._begun / self.per_second
        time.sleep(max(0.0, due - time.monotonic()))
        return True

    def _write(self, kind: str, chance: random.Random, author: Viewer, admin: Viewer, mine: list[Tracked]) -> None:
        began = time.monotonic()
        try:
            if kind == "rename":
                self._rename(admin, chance)
            else:
                self._write_incident(kind, chance, author, mine)
        except _CONNECTION_ERRORS as error:
            with self._lock:
                self.tally.failed.append(f"{kind}: {type(error).__name__}: {error}")
            self._after_loss(mine)
            return
        except Exception as error:
            with self._lock:
                self.tally.broken.append(f"{kind}: {type(error).__name__}: {error}")
            self._after_loss(mine)
            return
        with self._lock:
            self.tally.done[kind] += 1
            self.tally.slowest = max(self.tally.slowest, time.monotonic() - began)

    def _write_incident(self, kind: str, chance: random.Random, author: Viewer, mine: list[Tracked]) -> None:
        there = [one for one in mine if not one.gone]
        fitting = {
            "edit": there,
            "narrow": [one for one in there if one.visibility in _NARROWER],
            "widen": [one for one in there if one.visibility in _WIDER],
            "delete": there,
        }.get(kind, [])
        if not fitting:
            self._create(author, mine, visibility=chance.choice(Visibility.values))
            return
        one = chance.choice(fitting)
        match kind:
            case "edit" if chance.random() < 0.5:
                self._reword(author, one)
            case "edit":
                self._progress(author, one, chance)
            case "narrow":
                self._show_to(author, one, _NARROWER[Visibility(one.visibility)])
            case "widen":
                self._show_to(author, one, _WIDER[Visibility(one.visibility)])
            case "delete":
                self._delete(author, one)

    def _after_loss(self, mine: list[Tracked]) -> None:
        """Adopt what the record says, once it answers: a connection can break after the commit as well as before."""
        while True:
            connection.close()
            try:
                self._observe_all(mine)
            except _CONNECTION_ERRORS:
                time.sleep(0.2)
            else:
                return

    # --- The writes --------------------------------------------------------------------------------
    def _create(self, author: Viewer, mine: list[Tracked], *, visibility: str) -> None:
        one = Tracked(uuid.uuid4(), _word(), [_word()], visibility)
        mine.append(one)
        # By slug, because other writes keep renaming the organization.
        body = _content(one, organization=random.choice(ORGANIZATIONS).lower())
        with self.history.step(one.audiences()):
            incident, _ = create_with_content(actor=author, body=body)
        one.pk, one.uuid = incident.pk, incident.uuid
        self.history.place(one.name, incident.ref)
        self._commit(one, {"published": True}, lambda: publish(actor=author, incident_id=one.pk))

    def _reword(self, author: Viewer, one: Tracked) -> None:
        """Publish a new text, after which nobody may find the previous one."""
        text = _word()
        reopen(actor=author, incident_id=one.pk)
        change_section(actor=author, incident_id=one.pk, key="summary", body=_summary(text))
        self._commit(one, {"texts": [*one.texts, text]}, lambda: publish(actor=author, incident_id=one.pk))

    def _progress(self, author: Viewer, one: Tracked, chance: random.Random) -> None:
        """Change the state of an action item, which remains editable after publishing."""
        row = ActionItem.objects.get(incident_id=one.pk)
        states = [state for state in ("open", "in_progress", "done") if state != row.state]
        change_row(
            actor=author, incident_id=one.pk, kind="actions", row_id=row.uuid, values={"state": chance.choice(states)}
        )

    def _show_to(self, author: Viewer, one: Tracked, visibility: str) -> None:
        facts = {"visibility": str(visibility)}
        self._commit(one, facts, lambda: change_incident(actor=author, incident_id=one.pk, facts=facts))

    def _delete(self, author: Viewer, one: Tracked) -> None:
        self._commit(one, {"gone": True}, lambda: delete_incident(actor=author, incident_id=one.pk))

    def _rename(self, admin: Viewer, chance: random.Random) -> None:
        pk = chance.choice(self.cast.organizations)
        name = Organization.objects.values_list("name", flat=True).get(pk=pk).split(" of ")[0]
        values = {"name": f"{name} of {_word()}"}
        change_organization(actor=admin, organization_id=pk, values=values)

    def _commit(self, one: Tracked, change: Mapping[str, Any], act: Callable[[], object]) -> None:
        """Run a commit that changes these attributes of the tracked incident, and record the step in the history."""
        later = Tracked(one.uuid, one.name, list(one.texts), one.visibility, one.pk, one.published, one.gone)
        for name, value in change.items():
            setattr(later, name, value)
        with self.history.step(later.audiences()):
            act()
        for name, value in change.items():
            setattr(one, name, value)

    def _observe_all(self, mine: list[Tracked]) -> None:
        for tracked in mine:
            self._observe(tracked)

    def _observe(self, one: Tracked) -> None:
        """Adopt what the record says about this incident. A draft left by an interrupted write is published first."""
        found = Incident.objects.filter(title=_title(one.name)).select_related("published_revision").first()
        if found is not None and found.status == Status.DRAFT and found.deleted_at is None:
            self.history.doubt(one.audiences())
            publish(actor=Viewer.of(User.objects.get(pk=self.cast.author)), incident_id=found.pk)
            found = Incident.objects.select_related("published_revision").get(pk=found.pk)
        one.gone = found is None or found.deleted_at is not None
        if found is not None and found.published_revision is not None:
            one.pk, one.visibility, one.published = found.pk, found.visibility, True
            self.history.place(one.name, found.ref)
            summary = next(s for s in found.published_revision.document["sections"] if s["key"] == "summary")
            text = _last_word(summary["body"])
            one.texts = [*(other for other in one.texts if other != text), text]
        self.history.settle(one.audiences())


def _title(name: str) -> str:
    return f"Checkout returned errors {name}"


def _summary(text: str) -> str:
    """About half of these texts show a pattern, so that many edits change what the tagger finds."""
    clients = "retried without backoff" if int(text[-1], 16) % 2 else "saw slow pages"
    return f"The cache was resized and emptied, and clients {clients}; they logged {text}."


def _last_word(summary: str) -> str:
    return summary.split()[-1].strip(".")


def _content(one: Tracked, *, organization: str) -> dict[str, Any]:
    """All the content that is required to publish."""
    return {
        "title": _title(one.name),
        "team": TEAM,
        "visibility": one.visibility,
        "organization": organization,
        "severity": "sev2",
        "started": {"at": "2026-03-03T14:03", "precision": "minute"},
        "resolved": {"at": "2026-03-03T16:43", "precision": "minute"},
        "sections": {
            "summary": {"body": _summary(one.texts[-1])},
            "impact": {"body": "18% of checkouts failed."},
            "lessons": {"none_reason": "None that was not known before"},
        },
        "timeline": [{"at": "2026-03-03T14:03Z", "kind": "impact", "text": "Resize begins"}],
        "causes": [{"kind": "trigger", "family": "change", "text": "A resize flushed every key"}],
        "actions": [{"kind": "prevent", "text": "Add backoff to clients"}],
    }
