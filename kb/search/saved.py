"""Saved searches, each private to the user who saved it. Every write of them goes through this module."""

from __future__ import annotations

import uuid
from urllib.parse import urlencode

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Lower

from incidents.actions.change import audit
from incidents.errors import Invalid, Missing, NotAllowed
from incidents.models import User
from incidents.scopes import Viewer
from incidents.text import clean
from kb.search.engine import FACETS
from kb.search.models import SavedSearch
from kb.search.service import SearchRequest, check

NAME_CHARACTERS = 80
# Of a URL query string, which must stay short enough for a redirect.
QUERY_CHARACTERS = 8_000
PER_PERSON = 50


def visible_saved(viewer: Viewer) -> QuerySet[SavedSearch]:
    """The viewer's own saved searches, by name."""
    if not viewer.is_signed_in:
        return SavedSearch.objects.none()
    return SavedSearch.objects.filter(user_id=viewer.person_id).order_by(Lower("name"), "pk")


def query_string(request: SearchRequest) -> str:
    """The search as a canonical URL query string; "" for a search without words or filters."""
    words = [("q", request.q.strip())] if request.q.strip() else []
    chosen = [(name, value) for name in FACETS for value in sorted(set(request.filters.get(name, [])))]
    if not words and not chosen:
        return ""
    return urlencode([*words, *chosen, ("sort", request.sort)])


def save_search(*, actor: Viewer, name: str, request: SearchRequest) -> SavedSearch:
    """Save a search under a name. Saving the same search under the same name again changes nothing.

    Raises NotAllowed, Invalid, and BadRequest if the search itself is not valid.
    """
    if not actor.is_signed_in:
        raise NotAllowed("Sign in to save searches.")
    name = clean("name", name, max_characters=NAME_CHARACTERS, required=True, single_line=True)
    check(request)
    query = query_string(request)
    if not query:
        raise Invalid({"name": "This search matches everything. Enter some words or choose a filter before saving it."})
    if len(query) > QUERY_CHARACTERS:
        raise Invalid({"name": "This search is too long to save. Shorten it and try again."})
    with transaction.atomic():
        # Serialize saves per user, so that the limit holds and a double submit saves only once.
        User.objects.select_for_update(no_key=True).get(pk=actor.person_id)
        mine = visible_saved(actor)
        if (same := mine.filter(name__called=name).first()) is not None:
            if same.query != query:
                raise Invalid({"name": f"You already have a different search named {same.name}. Choose another name."})
            return same
        if mine.count() >= PER_PERSON:
            raise Invalid({"name": f"You can save at most {PER_PERSON} searches. Remove one before saving another."})
        saved = SavedSearch.objects.create(user_id=actor.person_id, name=name, query=query)
        audit(actor, "search.saved", saved, name=name)
    return saved


def forget_search(*, actor: Viewer, saved_id: uuid.UUID) -> SavedSearch:
    """Remove a saved search and return it. Raises Missing unless it is the actor's."""
    with transaction.atomic():
        saved = visible_saved(actor).select_for_update().filter(uuid=saved_id).first()
        if saved is None:
            raise Missing
        audit(actor, "search.forgotten", saved, name=saved.name)
        saved.delete()
    return saved
