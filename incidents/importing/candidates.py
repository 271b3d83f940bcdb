"""What a format reads from a file: one postmortem that may become an incident, or the reason why it cannot."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from incidents.actions.whole import SectionText, digest_of
from incidents.addresses import page_key

NOT_SAID = "The source does not say."


@dataclass(frozen=True, slots=True)
class Rejected:
    """`name` is the file, and the place in it if it holds several."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Link:
    """A link to another incident by the uuid that it had where it comes from. `outward`: this one is the subject."""

    kind: str
    outward: bool
    other: uuids.UUID
    note: str
    shown_as: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One postmortem as a file tells it, to be published.

    identity     the external id by which it is known again
    by_page      the identity is only its url, because the file has no uuid
    uuid         what it had where it comes from
    pages        addresses (page keys) of accounts of this very event
    facts        keys of incidents.actions.incidents.FACTS, without visibility and team
    rows         by kind, each with the `id` it had, if any
    template     a definition with the sections that this needs; `template_key` is its name where it comes from
    visibility   None: the file does not say
    was_unpublished  nobody but its writers saw it where it comes from, so that nothing that is asked for all widens it
    draft        what it is reopened with, by the same identity, once it is published
    """

    name: str
    identity: str
    facts: Mapping[str, Any]
    organization: Mapping[str, Any]
    sections: Mapping[str, SectionText]
    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    template: Mapping[str, Any]
    by_page: bool = False
    uuid: uuids.UUID | None = None
    pages: tuple[str, ...] = ()
    team: Mapping[str, Any] | None = None
    visibility: str | None = None
    was_unpublished: bool = False
    is_archived: bool = False
    links: tuple[Link, ...] = ()
    notes: tuple[str, ...] = ()
    draft: Candidate | None = None

    @property
    def digest(self) -> str:
        """Changes with everything that is written to the incident. Links are only ever added, and not in it."""
        return digest_of([self.published_digest, self.draft.digest]) if self.draft else self.published_digest

    @property
    def published_digest(self) -> str:
        """Changes with everything of this that is published."""
        return digest_of(
            [
                self.facts,
                self.organization,
                self.sections,
                self.rows,
                self.template,
                self.team,
                self.visibility,
                self.is_archived,
            ]
        )


def page_keys(*urls: str) -> tuple[str, ...]:
    """The keys of addresses that name one event; a site's front page names none."""
    keys = (page_key(url) for url in urls if url)
    return tuple(dict.fromkeys(key for key in keys if "/" in key or "?" in key))
