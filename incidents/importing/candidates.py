"""What a format reads from a file: a postmortem that can become an incident, or the reason why it cannot."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from incidents.actions.imports import SectionText, digest_of
from incidents.addresses import page_key

NOT_SAID = "The source does not say."


@dataclass(frozen=True, slots=True)
class Rejected:
    """A postmortem that cannot be imported. `name` is the file, with the index in it if it holds several."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Link:
    """A link to another incident, which is named by its uuid at the source. `outward`: from this incident to that."""

    kind: str
    outward: bool
    other: uuids.UUID
    note: str
    shown_as: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One postmortem as read from a file, to be published.

    identity     the external id by which a later import recognizes it
    by_page      the identity comes from its url alone, because the file has no uuid
    uuid         its uuid at the source
    pages        page keys of the addresses of accounts of this same event
    facts        keys of incidents.actions.incidents.FACTS, without visibility and team
    rows         by kind, each with the `id` it had at the source, if any
    template     a template definition with the sections it needs, under the key it has at the source
    visibility   None if the file does not say
    was_unpublished  only its writers could see it at the source, so a visibility asked for the import does not apply
    was_imported  it was itself imported at the source, so its rows have the ids that importing gives them
    draft        the draft with which it is reopened after publishing; has the same identity
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
    was_imported: bool = False
    is_archived: bool = False
    links: tuple[Link, ...] = ()
    notes: tuple[str, ...] = ()
    draft: Candidate | None = None

    @property
    def digest(self) -> str:
        """Changes with anything that is written to the incident. Leaves out links, which imports only ever add."""
        return digest_of([self.published_digest, self.draft.digest]) if self.draft else self.published_digest

    @property
    def published_digest(self) -> str:
        """Changes with anything that is published, so not with the draft."""
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
    """The page keys of addresses that identify one event. A site's front page does not, and is left out."""
    keys = (page_key(url) for url in urls if url)
    return tuple(dict.fromkeys(key for key in keys if "/" in key or "?" in key))
