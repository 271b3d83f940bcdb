"""The start page: an introduction for strangers, open work for signed-in users, and recent incidents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from incidents import scopes
from incidents.models import Incident, ReviewRequest
from incidents.scopes import UNPUBLISHED, Viewer
from incidents.vocabulary import Origin, ReviewState, Status
from kb.search.saved import visible_saved
from kb.search.service import SearchRequest, search
from kb.web import almanac
from kb.web.counts import counts
from kb.web.request import Request
from kb.web.search.hits import Hit, hits
from kb.web.writing.rounds import change_requests

HITS_SHOWN = 5
MAX_WAITING = 20


@dataclass(frozen=True, slots=True)
class Waiting:
    """The viewer's open work: reviews they were asked for, and drafts they can edit."""

    reviews: list[ReviewRequest]
    drafts: list[Incident]

    def __bool__(self) -> bool:
        return bool(self.reviews or self.drafts)


@require_safe
def home(request: Request) -> HttpResponse:
    viewer = request.viewer
    our_incidents = _latest(viewer, Origin.OWN, Origin.IMPORTED)
    context: dict[str, Any] = {
        "our_incidents": our_incidents,
        "famous": _latest(viewer, Origin.FAMOUS),
        "on_this_day": almanac.on_this_day(viewer, timezone.localdate()),
        "of_the_week": almanac.of_the_week(viewer, timezone.localdate()),
        "counts": counts(viewer),
        "waiting": waiting(viewer),
        "saved": list(visible_saved(viewer)),
        # Until something has been published here, the page explains how to begin.
        "is_first_start": not our_incidents,
    }
    return render(request, "web/home.html", context)


def _latest(viewer: Viewer, *origins: Origin) -> list[Hit]:
    # Asked in the query text, because a filter would also count its facet's other values, which are not shown here.
    query = f"origin:{','.join(origins)} status:{Status.PUBLISHED}"
    return hits(search(viewer, SearchRequest(q=query, sort="newest", page_size=HITS_SHOWN)))


def waiting(viewer: Viewer) -> Waiting:
    if not viewer.is_signed_in:
        return Waiting([], [])
    reviews = ReviewRequest.objects.filter(
        scopes.visible_condition(viewer, "incident__"),
        reviewer_id=viewer.user_id,
        state=ReviewState.ASKED,
        incident__status=Status.IN_REVIEW,
    ).select_related("incident__organization", "asked_by")
    return Waiting(list(reviews[:MAX_WAITING]), list(_drafts(viewer)[:MAX_WAITING]))


def _drafts(viewer: Viewer) -> QuerySet[Incident]:
    """Drafts of the teams the viewer writes for and drafts the viewer created, last changed first.

    While the viewer is a reviewer of one, it waits for their decision or for the authors, not for their text.
    `changes_by` and `changes_at` are the name of the reviewer who last requested changes, and when.
    """
    writable = scopes.incidents_with_visible_working_copy(viewer).filter(status__in=UNPUBLISHED)
    own = writable.filter(team__in=viewer.writes_for) | writable.filter(created_by_id=viewer.user_id)
    reviewed = ReviewRequest.objects.filter(
        incident=OuterRef("pk"),
        incident__status=Status.IN_REVIEW,
        reviewer_id=viewer.user_id,
        ended_at__isnull=True,
    )
    sent_back = change_requests(ReviewRequest.objects.filter(incident=OuterRef("pk")))
    return (
        own.filter(~Exists(reviewed))
        .select_related("organization", "team")
        .annotate(
            changes_by=Subquery(sent_back.values("reviewer__name")[:1]),
            changes_at=Subquery(sent_back.values("decided_at")[:1]),
        )
        .order_by("-updated_at", "-pk")
    )
