"""Entity tags (RFC 9110): what a thing's version is called in HTTP, and what If-Match says about it.

To those who may see the working copy the tag is the version, quoted. To everybody else it is drawn from what they are
shown: counting versions would tell them that somebody is writing.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from rest_framework.request import Request

from incidents.errors import Invalid
from kb.api.problems import Refusal

_TAG = re.compile(r'\s*(?P<weak>W/)?"(?P<tag>[\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')
# Versions begin at 1, so this one never stands.
NEVER = 0


def of_version(version: int) -> str:
    return f'"{version}"'


def of_content(content: Any) -> str:
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
    return f'"r-{digest[:20]}"'


@dataclass(frozen=True, slots=True)
class Condition:
    """What If-Match asks for: any version (`*`), or one of these strong tags. Weak tags never match."""

    any: bool = False
    tags: frozenset[str] = field(default_factory=frozenset)

    def expected(self, current: int) -> int | None:
        """The version for an action to expect: None for any, NEVER when none of the tags is the current version."""
        if self.any:
            return None
        return current if str(current) in self.tags else NEVER


def read(request: Request, *, required: bool) -> Condition:
    """The request's condition; without the header, any version. Raises Refusal (428), Invalid."""
    header = request.headers.get("If-Match")
    if header is None:
        if required:
            raise Refusal(
                "precondition_required",
                'Send If-Match with the ETag that you read, such as If-Match: "3"; or * to change whatever is there.',
            )
        return Condition(any=True)
    if header.strip() == "*":
        return Condition(any=True)
    tags, place = set(), 0
    while place < len(header):
        match = _TAG.match(header, place)
        if match is None:
            raise Invalid({"If-Match": 'Write * or tags in double quotes, such as "3" or "3", "4".'})
        if not match["weak"]:
            tags.add(match["tag"])
        place = match.end()
    return Condition(tags=frozenset(tags))
