"""Entity tags (RFC 9110) and the If-Match header.

For viewers of the working copy the ETag is the quoted version. For everyone else it is a digest of the content they
see: a rising version would reveal that someone is editing.
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
# Versions start at 1, so this one never matches.
NEVER = 0


def of_version(version: int) -> str:
    return f'"{version}"'


def of_content(content: Any) -> str:
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
    return f'"r-{digest[:20]}"'


@dataclass(frozen=True, slots=True)
class Condition:
    """The condition in If-Match: any version (`*`), or one of these strong tags. Weak tags never match."""

    any: bool = False
    tags: frozenset[str] = field(default_factory=frozenset)

    def expected(self, current: int) -> int | None:
        """The version that an action should expect: None for any, NEVER if no tag is the current version."""
        if self.any:
            return None
        return current if str(current) in self.tags else NEVER


def read(request: Request, *, required: bool) -> Condition:
    """The request's condition; any version if the header is absent. Raises Refusal (428) and Invalid."""
    header = request.headers.get("If-Match")
    if header is None:
        if required:
            raise Refusal(
                "precondition_required",
                'Send If-Match with the ETag you read, such as If-Match: "3"; or If-Match: * for any version.',
            )
        return Condition(any=True)
    if header.strip() == "*":
        return Condition(any=True)
    tags, place = set(), 0
    while place < len(header) or not header:
        match = _TAG.match(header, place)
        if match is None:
            raise Invalid({"If-Match": 'Send * or ETags in double quotes, such as "3" or "3", "4".'})
        if not match["weak"]:
            tags.add(match["tag"])
        place = match.end()
    if not tags:
        raise Refusal(
            "stale",
            'A weak ETag (W/"3") never matches. Send it without W/, which proxies add when they compress responses.',
        )
    return Condition(tags=frozenset(tags))
