"""The first start, by two processes at once."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, transaction

from incidents.actions.people import create_first_admin
from incidents.models import Organization, User

pytestmark = [pytest.mark.postgres_only, pytest.mark.django_db(transaction=True)]


def test_only_one_of_two_concurrent_first_starts_creates_the_admin():
    # Exists before a first start: loading the templates creates it.
    User.objects.system()
    made = []

    def start(email):
        try:
            made.append(
                create_first_admin(
                    organization="Acme", team="Engineering", email=email, password="a long enough pass phrase"
                )
            )
        finally:
            connection.close()

    second = threading.Thread(target=start, args=("second@acme.example",))
    with transaction.atomic():
        first = create_first_admin(
            organization="Acme", team="Engineering", email="first@acme.example", password="a long enough pass phrase"
        )
        second.start()
        # Long enough for the second to finish, if it did not wait for the first.
        second.join(1)
        assert made == []
    second.join()
    assert made == [None]
    assert list(User.objects.filter(is_system=False)) == [first]
    assert Organization.objects.filter(is_home=True).count() == 1
