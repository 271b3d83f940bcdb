"""What must hold between outage files: no shared sentences, no incident twice, no broken links."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from incidents.addresses import page_key
from incidents.outages.files import OutageFile
from incidents.outages.rules import one_line, texts

SHARED_WORDS = 12
DAY = len("2019-07-02")


@dataclass(frozen=True, slots=True)
class _Summary:
    """What distinguishes one incident from another. `started` is the day, as far as it is known."""

    id: str
    name: str
    started: str
    page: str

    def is_spelled_differently(self, other: _Summary) -> bool:
        return self.name != other.name and self.name.casefold() == other.name.casefold()

    def may_start_with(self, other: _Summary) -> bool:
        return self.started.startswith(other.started) or other.started.startswith(self.started)


def check(files: Sequence[OutageFile]) -> None:
    """Add to the files' problems. What two files share is reported for the later one. Invalid files are skipped."""
    valid = [(file, file.definition) for file in files if file.is_valid and file.definition]
    seen_runs: dict[tuple[str, ...], str] = {}
    seen_incidents: list[_Summary] = []
    ids = {file.id for file in files}
    found: list[tuple[OutageFile, list[str]]] = []
    for file, definition in valid:
        problems = [
            *_shared_words(file.id, definition, seen_runs),
            *_same_incident(file.id, definition, seen_incidents),
            *_links(file.id, definition, ids),
        ]
        found.append((file, problems))
    for file, problems in found:
        file.problems += problems


def _shared_words(own_id: str, definition: dict[str, Any], seen: dict[tuple[str, ...], str]) -> Iterator[str]:
    """Report one problem per text: the runs after a shared run mostly overlap with it."""
    for text in texts(definition):
        words = re.findall(r"\w+(?:['\u2019.-]\w+)*", one_line(text).lower())
        for start in range(len(words) - SHARED_WORDS):
            run = tuple(words[start : start + SHARED_WORDS + 1])
            other = seen.setdefault(run, own_id)
            if other != own_id:
                yield f"text: {len(run)} consecutive words also appear in {other}: {' '.join(run)}"
                break


def _same_incident(own_id: str, definition: dict[str, Any], seen: list[_Summary]) -> Iterator[str]:
    started = definition["started"]["at"][:DAY] if definition["started"] else ""
    # The first primary source is the account itself; the others are background that incidents can share.
    primary = [page_key(source["url"]) for source in definition["sources"] if source["primary"]]
    this = _Summary(own_id, definition["organization"]["name"], started, primary[0] if primary else "")
    if spelled := next((other.name for other in seen if other.is_spelled_differently(this)), None):
        yield f"organization.name: Another file spells it {spelled}."
    for other in seen:
        if this.name == other.name and len(started) == DAY and started == other.started:
            yield f"started: {other.id} is about this organization on the same day; is it the same incident?"
        # One account can be about two incidents that began on different days.
        elif this.page and this.page == other.page and this.may_start_with(other):
            yield f"sources: {other.id} has the same primary source; is it the same incident?"
    seen.append(this)


def _links(own_id: str, definition: dict[str, Any], ids: set[str]) -> Iterator[str]:
    for place, link in enumerate(definition["links"]):
        if link["to"] == own_id:
            yield f"links.{place}: This file links to itself."
        elif link["to"] not in ids:
            yield f"links.{place}: There is no file {link['to']}."
