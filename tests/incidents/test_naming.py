"""Organizations and services are found by the names that people write."""

from __future__ import annotations

import threading
from importlib import import_module

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction

from incidents.actions.incidents import change_incident, create_incident
from incidents.actions.lifecycle import reopen
from incidents.actions.naming import find_or_create_organization, find_or_create_services
from incidents.actions.organizations import (
    change_organization,
    change_service,
    create_organization,
    delete_organization,
    delete_service,
)
from incidents.document import read, with_all_parts
from incidents.errors import Invalid, WrongState
from incidents.models import Incident, Organization, Service
from incidents.scopes import Viewer


def document(incident, viewer):
    return read(with_all_parts(Incident.objects).get(pk=incident.pk), viewer).document


def names(found):
    return [service.name for service in found]


def test_a_hidden_organization_is_found_by_its_name_but_not_by_guessing_its_slug(cast, draft):
    hidden = create_organization(actor=Viewer.system(), name="Initech Merger GmbH")
    author = cast.viewer("author")
    assert find_or_create_organization(author, "initech-merger-gmbh").name == "initech-merger-gmbh"
    assert find_or_create_organization(author, "INITECH merger GmbH") == hidden
    draft(organization="Initech Merger GmbH")
    assert find_or_create_organization(author, hidden.slug) != hidden, "a name match comes before a slug match"


def test_a_visible_organization_is_found_by_its_slug(cast, published):
    published(organization="Globex Corporation", visibility="public")
    assert find_or_create_organization(cast.viewer("outsider"), "globex-corporation").name == "Globex Corporation"


def test_names_that_differ_only_in_symbols_are_different_services(cast):
    found = find_or_create_services(cast.home, ["C++", "C#", "c++"])
    assert names(found) == ["C++", "C#", "C++"]
    assert len({service.slug for service in cast.home.services.all()}) == 2


@pytest.mark.parametrize(("name", "again"), [("Äpp", "äPP"), ("Große Bank", "GROẞE BANK"), ("ϴeta", "θETA")])
def test_names_ignore_case_in_any_script(cast, name, again):
    assert len(set(find_or_create_services(cast.home, [name, again]))) == 1
    author = cast.viewer("author")
    assert find_or_create_organization(author, name) == find_or_create_organization(author, again)


def test_services_are_not_looked_up_when_the_organization_is_invalid(cast, draft):
    with pytest.raises(Invalid) as refused:
        draft(organization="\u200b", services=["Ledger"])
    assert list(refused.value.fields) == ["organization"]


def test_a_renamed_service_is_found_by_its_new_name(cast, draft):
    incident = draft(services=["Ledger"])
    service = Service.objects.get(name="Ledger")
    change_service(actor=cast.viewer("admin"), service_id=service.pk, values={"name": "Book"})
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"services": ["Book"]})
    assert list(incident.services.all()) == [service]
    assert Service.objects.count() == 1


def test_services_keep_their_names_when_the_organization_changes(cast, draft):
    incident = draft(services=["Ledger"])
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"organization": "Globex"})
    service = incident.services.get()
    assert (service.name, service.organization.name) == ("Ledger", "Globex")


def test_an_organization_or_service_in_a_published_revision_cannot_be_deleted(cast, published):
    incident = published(organization="Globex", services=["Ledger"])
    reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    facts = {"organization": "Initech", "services": []}
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts=facts)
    admin, globex = cast.viewer("admin"), Organization.objects.get(name="Globex")
    with pytest.raises(WrongState):
        delete_service(actor=admin, service_id=globex.services.get().pk)
    with pytest.raises(WrongState):
        delete_organization(actor=admin, organization_id=globex.pk)
    before = Incident.objects.get(pk=incident.pk).index_version
    change_organization(actor=admin, organization_id=globex.pk, values={"name": "Globex Worldwide"})
    assert Incident.objects.get(pk=incident.pk).index_version > before
    shown = document(incident, cast.viewer("outsider"))
    assert (shown["organization"]["name"], shown["services"]) == ("Globex Worldwide", ["Ledger"])


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_concurrent_writers_of_the_same_new_names_get_the_same_rows(cast):
    author, errors, ready = cast.viewer("author"), [], threading.Barrier(6)

    def write(backwards: bool) -> None:
        services = [f"Service {number}" for number in range(12)]
        try:
            ready.wait(10)
            create_incident(
                actor=author,
                facts={"title": "x", "organization": "Newly Founded", "services": services[:: -1 if backwards else 1]},
            )
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(number % 2 == 0,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert Organization.objects.filter(name="Newly Founded").count() == 1
    assert Service.objects.count() == 12
    assert Incident.objects.count() == 6


def test_each_name_in_any_script_is_one_service(cast):
    first, second = find_or_create_services(cast.home, ["日本", "中国"])
    assert first != second
    assert find_or_create_services(cast.home, ["日本"]) == [first]
    with pytest.raises(IntegrityError), transaction.atomic():
        cast.home.services.create(name="日本", slug="another")


def test_the_migration_fills_in_what_older_incidents_published(cast, draft, published):
    standing, opened = (published(name, organization="Globex", services=["Cart", "API"]) for name in ("One", "Two"))
    reopen(actor=cast.viewer("author"), incident_id=opened.pk)
    change_incident(actor=cast.viewer("author"), incident_id=opened.pk, facts={"services": ["API"]})
    service = Service.objects.get(name="Cart")
    change_service(actor=cast.viewer("admin"), service_id=service.pk, values={"name": "Basket"})
    Incident.published_services.through.objects.all().delete()
    Incident.objects.update(published_organization=None)
    migration = import_module("incidents.migrations.0002_what_was_published")
    migration.fill(apps, None)
    shown = {incident.title: document(incident, cast.viewer("outsider")) for incident in (standing, opened)}
    assert shown["One"]["services"] == ["API", "Basket"]
    assert shown["Two"]["organization"]["name"] == "Globex"


def test_the_migration_renames_names_that_differ_only_in_case():
    apart = import_module("incidents.migrations.0003_names_once").apart
    names = [(1, "Globex"), (1, "GLOBEX"), (1, "globex"), (2, "Globex"), (1, "Acme")]
    assert apart(names) == ["Globex", "GLOBEX (2)", "globex (3)", "Globex", "Acme"]
