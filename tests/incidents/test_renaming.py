"""Renaming while others write: names stay unique, and nobody waits for a name."""

from __future__ import annotations

import threading

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from incidents.actions.incidents import create_incident
from incidents.actions.organizations import change_organization, change_team
from incidents.models import Organization, Team
from kb.search import relay
from kb.search.models import SearchDocument


def in_another_connection(act):
    """What `act` raised there, if anything. It gives up after two seconds of waiting for a lock."""
    raised = []

    def run():
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '2s'")
            act()
        except OperationalError as error:
            raised.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_while_an_organization_or_team_is_being_renamed_incidents_of_it_can_be_written(cast):
    # Whoever has a row and waits for a name, while the renaming waits for the row, would deadlock.
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
def test_what_is_written_and_indexed_while_a_renaming_is_not_yet_committed_gets_the_new_name_too(cast):
    author, admin = cast.viewer("author"), cast.viewer("admin")
    acme = Organization.objects.get(name="Acme")

    def write_and_index():
        create_incident(actor=author, facts={"title": "Cats", "team": "checkout", "organization": "Acme"})
        relay.drain()

    with transaction.atomic():
        change_organization(actor=admin, organization_id=acme.pk, values={"name": "Acme Holding"})
        assert in_another_connection(write_and_index) == []
        assert SearchDocument.objects.get().organization == "Acme"
    relay.drain()
    assert SearchDocument.objects.get().organization == "Acme Holding"


@pytest.mark.parametrize("model", [Organization, Team])
def test_the_database_itself_keeps_names_apart_whatever_their_case(cast, model):
    model.objects.create(name="Initech", slug="one")
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.create(name="INITECH", slug="other")
