"""Idempotency keys for POST (draft-ietf-httpapi-idempotency-key-header): the same key does the work only once.

A request first claims its key and commits the claim, with a lease. The work and its response then commit together. So
a crash leaves either everything, or only a claim that expires. A request that was refused did nothing: its claim is
released, and the key can be used again with a corrected body. Keys belong to one user, method and path, and are kept
for IDEMPOTENCY_HOURS.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from incidents import scopes
from incidents.errors import Invalid, Missing
from incidents.scopes import Viewer
from incidents.vocabulary import Origin
from kb.api.models import StoredAnswer
from kb.api.problems import Refusal

HEADER = "Idempotency-Key"
LEASE = timedelta(seconds=60)
KEPT_HEADERS = ("ETag", "Location")
_KEY = re.compile("[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do the work of one key until the lease expires."""

    pk: int
    lease: uuid.UUID


@dataclass(frozen=True, slots=True)
class WorkResult:
    """The response of the work, and the incident that it is about, if any."""

    response: Response
    incident_id: int | None


def run_once(request: Request, viewer: Viewer, work: Callable[[], WorkResult]) -> Response:
    """Run `work` in one transaction. With an Idempotency-Key, run it once for all requests that carry the key.

    Raises whatever `work` raises, and Refusal: idempotency_key_reused, idempotency_in_progress.
    """
    key = request.headers.get(HEADER)
    if key is None:
        with transaction.atomic():
            return work().response
    if not _KEY.fullmatch(key):
        raise Invalid({HEADER: "This must be 1 to 255 printable ASCII characters without spaces, such as a UUID."})
    claim = _claim(request, viewer, key)
    if isinstance(claim, StoredAnswer):
        return _replay(claim, viewer)
    try:
        with transaction.atomic():
            result = work()
            _store(claim, result)
    except BaseException:
        StoredAnswer.objects.filter(pk=claim.pk, lease=claim.lease, status__isnull=True).delete()
        raise
    return result.response


def delete_old() -> int:
    """Delete expired rows; returns how many there were."""
    return StoredAnswer.objects.filter(created_at__lt=_oldest_kept()).delete()[0]


def _oldest_kept() -> Any:
    return timezone.now() - timedelta(hours=settings.IDEMPOTENCY_HOURS)


def _claim(request: Request, viewer: Viewer, key: str) -> Claim | StoredAnswer:
    """A new claim, or the stored response. Tries again after losing a race."""
    identity = {"user_id": viewer.user_id, "key": key, "method": request.method, "path": request.path}
    digest = hashlib.sha256(json.dumps(request.data, sort_keys=True).encode()).hexdigest()
    for _ in range(3):
        lease, now = uuid.uuid4(), timezone.now()
        try:
            with transaction.atomic():
                new = StoredAnswer.objects.create(**identity, body_digest=digest, lease=lease, leased_until=now + LEASE)
            return Claim(new.pk, lease)
        except IntegrityError:
            found = StoredAnswer.objects.filter(**identity).first()
        if found is None:
            continue
        if found.created_at < _oldest_kept():
            StoredAnswer.objects.filter(pk=found.pk, lease=found.lease).delete()
            continue
        if found.body_digest != digest:
            raise Refusal(
                "idempotency_key_reused",
                "The first request with this key had a different body. Use a new key for a new request.",
            )
        if found.status is not None:
            return found
        if found.leased_until > now:
            raise _in_progress((found.leased_until - now).total_seconds())
        # The holder crashed or is too slow. A compare-and-set decides which request takes over.
        if StoredAnswer.objects.filter(pk=found.pk, lease=found.lease, status__isnull=True).update(
            lease=lease, leased_until=now + LEASE
        ):
            return Claim(found.pk, lease)
    raise _in_progress(1)


def _store(claim: Claim, result: WorkResult) -> None:
    """Store the response with the work. Raises Refusal, which undoes the work, if the claim was taken over."""
    is_stored = StoredAnswer.objects.filter(pk=claim.pk, lease=claim.lease, status__isnull=True).update(
        status=result.response.status_code,
        headers={name: result.response[name] for name in KEPT_HEADERS if name in result.response},
        body=json.loads(JSONRenderer().render(result.response.data) or "null"),
        incident_id=result.incident_id,
    )
    if not is_stored:
        raise _in_progress(1)


def _replay(answer: StoredAnswer, viewer: Viewer) -> Response:
    """The stored response, unless the viewer can no longer see what it is about. Raises Missing."""
    if answer.incident_id is not None:
        # No one can edit a famous outage, so its responses contain only what every reader sees.
        readable = Q(pk__in=scopes.incidents_with_visible_working_copy(viewer).values("pk")) | Q(origin=Origin.FAMOUS)
        if not scopes.visible_incidents(viewer).filter(readable, pk=answer.incident_id).exists():
            raise Missing
    body = _visible_body(answer.body, viewer)
    return Response(body, status=answer.status, headers={**answer.headers, "Idempotency-Replayed": "true"})


def _visible_body(body: Any, viewer: Viewer) -> Any:
    """The body without links to incidents that the viewer can no longer see; each linked incident has its own readers.
    Raises Missing if the whole body is such a link."""
    if not isinstance(body, dict):
        return body
    if "incident" in body and not _visible_links([body], viewer):
        raise Missing
    return {**body, "links": _visible_links(body["links"], viewer)} if body.get("links") else body


def _visible_links(links: list[dict[str, Any]], viewer: Viewer) -> list[dict[str, Any]]:
    others = scopes.visible_incidents(viewer).filter(uuid__in=[link["incident"]["id"] for link in links])
    visible = {str(other) for other in others.order_by().values_list("uuid", flat=True)}
    return [link for link in links if link["incident"]["id"] in visible]


def _in_progress(seconds: float) -> Refusal:
    return Refusal(
        "idempotency_in_progress",
        "Repeat the request after Retry-After to get its response.",
        {"Retry-After": str(max(1, math.ceil(min(seconds, 5))))},
    )
