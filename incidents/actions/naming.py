"""Finds organizations and services by the names that people write, and creates those that are missing.

The name is the identity, ignoring case; the slug is only for URLs. A slug finds only an organization that the actor can
see anyway, so that guessing slugs does not reveal hidden ones.
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.text import slugify

from incidents import scopes
from incidents.actions.change import audit
from incidents.errors import Invalid
from incidents.models import Organization, Service
from incidents.scopes import Viewer
from incidents.text import NAME_CHARACTERS, clean

# A try fails only when a concurrent request takes the name or slug first.
_TRIES = 5


def find_or_create_organization(actor: Viewer, value: Any) -> Organization:
    """The organization with this name or slug, or home when nothing is named. A new name creates one."""
    if value in (None, ""):
        home = Organization.objects.filter(is_home=True).first()
        if home is None:
            raise Invalid({"organization": "There is no home organization yet. Name an organization."})
        return home
    if isinstance(value, dict):
        value = value.get("name")
    name = clean("organization", value, max_characters=NAME_CHARACTERS, required=True, single_line=True)
    for _ in range(_TRIES):
        found = Organization.objects.filter(name__called=name).first()
        found = found or scopes.visible_organizations(actor).filter(slug=name).first()
        if found is not None:
            return found
        try:
            with transaction.atomic():
                made = Organization.objects.create(name=name, slug=free_slug(Organization.objects.all(), name))
        except IntegrityError:
            continue
        audit(actor, "organization.created", made, name=name)
        return made
    raise Invalid({"organization": "Other requests are adding organizations with this name. Try again."})


def find_or_create_services(organization: Organization, names: Sequence[str]) -> list[Service]:
    """The organization's services with these names, in the same order. New names create services."""
    if not names:
        return []
    known = {service.name: service for service in organization.services.filter(name__in=names)}
    # In one order everywhere, so that two requests that add the same names do not deadlock.
    for name in sorted(set(names) - set(known)):
        known[name] = _find_or_create_service(organization, name)
    return [known[name] for name in names]


def _find_or_create_service(organization: Organization, name: str) -> Service:
    for _ in range(_TRIES):
        if service := organization.services.filter(name__called=name).first():
            return service
        try:
            with transaction.atomic():
                return organization.services.create(name=name, slug=free_slug(organization.services.all(), name))
        except IntegrityError:
            continue
    raise Invalid({"services": "Other requests are adding services with this name. Try again."})


def free_slug(rows: QuerySet[Any], name: str, *, max_length: int = 100) -> str:
    """A slug that none of these rows has. A name that has no Latin letters or digits gets a short random one."""
    base = slugify(name)[: max_length - 4].strip("-") or uuids.uuid4().hex[:8]
    slug, n = base, 1
    while rows.filter(slug=slug).exists():
        n += 1
        slug = f"{base}-{n}"
    return slug
