"""Organizations and services by the names that people write: found, or made.

A name is the identity, whatever its case; the slug is only its address. A slug finds an organization that the actor can
see anyway, so that nobody learns of a hidden one by guessing.
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
from incidents.text import clean

# Each try that fails means that somebody else took a slug in the same moment.
_TRIES = 5


def organization_named(actor: Viewer, value: Any) -> Organization:
    """The organization of this name or slug; home when nothing is named; a new one when the name is new."""
    if value in (None, ""):
        home = Organization.objects.filter(is_home=True).first()
        if home is None:
            raise Invalid({"organization": "There is no home organization yet; name one."})
        return home
    if isinstance(value, dict):
        value = value.get("name")
    name = clean("organization", value, max_characters=120, required=True, single_line=True)
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
    raise Invalid({"organization": "Others are adding organizations of this name; try again."})


def services_named(organization: Organization, names: Sequence[str]) -> list[Service]:
    """The organization's services of these names, in their order; new ones for new names."""
    if not names:
        return []
    known = {service.name: service for service in organization.services.filter(name__in=names)}
    # In one order everywhere, so that two who add the same names do not wait for each other.
    for name in sorted(set(names) - set(known)):
        known[name] = _service_named(organization, name)
    return [known[name] for name in names]


def _service_named(organization: Organization, name: str) -> Service:
    for _ in range(_TRIES):
        if service := organization.services.filter(name__called=name).first():
            return service
        try:
            with transaction.atomic():
                return organization.services.create(name=name, slug=free_slug(organization.services.all(), name))
        except IntegrityError:
            continue
    raise Invalid({"services": "Others are adding services of this name; try again."})


def free_slug(among: QuerySet[Any], name: str, *, most: int = 100) -> str:
    """A slug that none of them has yet; names without any letter of the alphabet get a short random one."""
    base = slugify(name)[: most - 4].strip("-") or uuids.uuid4().hex[:8]
    slug, n = base, 1
    while among.filter(slug=slug).exists():
        n += 1
        slug = f"{base}-{n}"
    return slug
