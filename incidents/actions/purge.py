"""Taking deleted incidents out of the database for good."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from incidents.actions.change import audit
from incidents.models import Incident
from incidents.outbox import enqueue
from incidents.scopes import Viewer


def purge(*, actor: Viewer, deleted_before: datetime) -> int:
    """Remove incidents that were deleted before a moment, with everything in them; returns how many.

    Their audit entries stay, without the link. The index is told once more, in case it never heard of the deletion.
    """
    count = 0
    due = Incident.objects.filter(deleted_at__lt=deleted_before)
    for pk in due.values_list("pk", flat=True):
        with transaction.atomic():
            # Asked once more under the lock: somebody else may have removed it or put it back.
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
