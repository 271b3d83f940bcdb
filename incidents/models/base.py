"""What every addressable thing has: a public id, a version that is its ETag, and its dates."""

from __future__ import annotations

import uuid

from django.db import models


class Versioned(models.Model):
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
