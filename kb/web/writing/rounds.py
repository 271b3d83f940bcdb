"""The outcome of a round of review, for the pages that show it to the author."""

from __future__ import annotations

from django.db.models import QuerySet

from incidents.models import ReviewRequest
from incidents.vocabulary import ReviewState, Status


def change_requests(reviews: QuerySet[ReviewRequest]) -> QuerySet[ReviewRequest]:
    """The reviews that requested changes to a draft, latest first. Sending it for review again ends their round."""
    sent_back = reviews.filter(
        state=ReviewState.CHANGES_REQUESTED, ended_at__isnull=True, incident__status=Status.DRAFT
    )
    return sent_back.order_by("-decided_at", "-pk")
