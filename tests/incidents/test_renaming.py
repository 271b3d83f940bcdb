"""Renaming during concurrent writes: names stay unique, and no writer waits for a name."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from incidents.actions.incidents import create_incident
from incidents.actions.organizations import change_organization, change_service, change_team, create_service
from incidents.models import Organization, Team
from kb.search import relay
from kb.search.models import SearchDocument
from tests.conftest import in_another_connection


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_incidents_can_be_written_while_their_organization_or_team_is_being_renamed(cast):
    # A writer that holds a row and waits for the name, while the rename waits for that row, would deadlock.
    author, admin = cast.viewer("author"), cast.viewer("admin")
    facts = {"title": "Cats", "team": "checkout", "organization": "Acme"}
    create_incident(actor=author, facts=facts)
    team = Team.objects.get(slug="checkout")
    acme = Organization.objects.get(name="Acme")
    with transaction.atomic():
        change_organization(actor=admin, organization_id=acme.pk, values={"name": "Acme Holding"})
        change_team(actor=admin, team_id=team.pk, values={"name": "Payments and checkout"})
        assert in_another_connection(lambda: create_incident(actor=author, facts=facts)) == []


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("renamed", "expected"), [("organization", ("Acme Holding", "Basket")), ("service", ("Acme", "Shopping basket"))]
)
def test_an_incident_indexed_during_an_uncommitted_rename_gets_the_new_name_too(cast, renamed, expected):
    author, admin = cast.viewer("author"), cast.viewer("admin")
    acme = Organization.objects.get(name="Acme")
    basket = create_service(actor=admin, name="Basket", organization=acme, team=cast.checkout)
    facts = {"title": "Cats", "team": "checkout", "organization": "Acme", "services": ["Basket"]}

    def write_and_index():
        create_incident(actor=author, facts=facts)
        relay.drain()

    def shown():
        document = SearchDocument.objects.get()
        return document.organization, document.texts["services"]

    with transaction.atomic():
        if renamed == "organization":
            change_organization(actor=admin, organization_id=acme.pk, values={"name": "Acme Holding"})
        else:
            change_service(actor=admin, service_id=basket.pk, values={"name": "Shopping basket"})
        assert in_another_connection(write_and_index) == []
        assert shown() == ("Acme", "Basket")
    relay.drain()
    assert shown() == expected


@pytest.mark.parametrize("model", [Organization, Team])
def test_the_database_itself_enforces_unique_names_ignoring_case(cast, model):
    model.objects.create(name="Initech", slug="one")
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.create(name="INITECH", slug="other")
