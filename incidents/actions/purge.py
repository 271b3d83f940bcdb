"""Removes deleted incidents from the database for good."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from incidents.actions.change import audit
from incidents.models import Incident
from incidents.outbox import enqueue
from incidents.scopes import Viewer


def purge(*, actor: Viewer, deleted_before: datetime) -> int:
    """Remove incidents that were deleted before this time, with everything in them; returns how many.

    Their audit entries stay, without the reference. The index is notified again, in case it missed the deletion.
    """
    count = 0
    due = Incident.objects.filter(deleted_at__lt=deleted_before)
    for pk in due.values_list("pk", flat=True):
        with transaction.atomic():
            # Re-check under the lock: another process may have purged or restored it.
            incident = due.select_for_update().filter(pk=pk).first()
            if incident is None:
                continue
            audit(actor, "incident.purged", incident, title=incident.title)
            enqueue([pk], narrows=True)
            incident.published_revision = None
            incident.save(update_fields=["published_revision"])
            incident.delete()
        count += 1
    return count
