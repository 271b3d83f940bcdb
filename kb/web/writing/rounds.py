"""What a round of review came to, for the pages that tell its author."""

from __future__ import annotations

from django.db.models import QuerySet

from incidents.models import ReviewRequest
from incidents.vocabulary import ReviewState, Status


def changes_asked(reviews: QuerySet[ReviewRequest]) -> QuerySet[ReviewRequest]:
    """Those that sent a draft back, the latest first. None once it is sent to review again: that ends the round."""
    sent_back = reviews.filter(
        state=ReviewState.CHANGES_REQUESTED, ended_at__isnull=True, incident__status=Status.DRAFT
    )
    return sent_back.order_by("-decided_at", "-pk")
