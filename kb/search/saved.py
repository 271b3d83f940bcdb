"""Searches that people keep, each for themselves: every write of them goes through here."""

from __future__ import annotations

import uuid
from urllib.parse import urlencode

from django.db import transaction
from django.db.models import QuerySet

from incidents.actions.change import audit
from incidents.errors import Invalid, Missing, NotAllowed
from incidents.scopes import Viewer
from incidents.text import clean
from kb.search.engine import FACETS
from kb.search.models import SavedSearch
from kb.search.service import SearchRequest, check

NAME_CHARACTERS = 80
PER_PERSON = 50


def visible_saved(viewer: Viewer) -> QuerySet[SavedSearch]:
    """One's own, by name."""
    if not viewer.is_signed_in:
        return SavedSearch.objects.none()
    return SavedSearch.objects.filter(user_id=viewer.person).order_by("name")


def written(asked: SearchRequest) -> str:
    """The search as parameters of an address, the same for the same search; "" for one that asks for everything."""
    words = [("q", asked.q.strip())] if asked.q.strip() else []
    chosen = [(name, value) for name in FACETS for value in sorted(set(asked.filters.get(name, [])))]
    if not words and not chosen:
        return ""
    return urlencode([*words, *chosen, ("sort", asked.sort)])


def save_search(*, actor: Viewer, name: str, asked: SearchRequest) -> SavedSearch:
    """Keep a search under a name; under a name that it has already, nothing changes.

    Raises NotAllowed, Invalid, and BadRequest for what cannot be searched.
    """
    if not actor.is_signed_in:
        raise NotAllowed("Sign in to save searches.")
    name = clean("name", name, max_characters=NAME_CHARACTERS, required=True, single_line=True)
    check(asked)
    query = written(asked)
    if not query:
        raise Invalid({"name": "This search asks for everything. Search for something, or choose a filter, first."})
    with transaction.atomic():
        saved, is_new = SavedSearch.objects.get_or_create(user_id=actor.person, name=name, defaults={"query": query})
        if not is_new and saved.query != query:
            raise Invalid(
                {"name": "You have saved another search under this name. Choose another name, or remove that."}
            )
        if is_new:
            if visible_saved(actor).count() > PER_PERSON:
                raise Invalid({"name": f"At most {PER_PERSON} searches can be saved; remove one first."})
            audit(actor, "search.saved", saved, name=name)
    return saved


def forget_search(*, actor: Viewer, saved_id: uuid.UUID) -> SavedSearch:
    """Returns what was removed. Raises Missing for searches that are not the actor's."""
    with transaction.atomic():
        saved = visible_saved(actor).filter(uuid=saved_id).first()
        if saved is None:
            raise Missing
        audit(actor, "search.forgotten", saved, name=saved.name)
        saved.delete()
    return saved
