"""Read requests are retried when a restarting PostgreSQL cuts the connection. All other requests run once."""

from __future__ import annotations

import pytest
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import RequestFactory

from kb.middleware import MAX_RETRIES, retry_broken_connections

pytestmark = [pytest.mark.postgres_only, pytest.mark.django_db(transaction=True)]


class View:
    """A view whose database connection is cut on the first `cuts` calls."""

    def __init__(self, cuts: int) -> None:
        self.cuts, self.calls = cuts, 0

    def __call__(self, request):
        self.calls += 1
        cut = self.calls <= self.cuts
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())" if cut else "SELECT 1")
        except OperationalError:
            return HttpResponse(status=503)
        return HttpResponse()


@pytest.mark.parametrize("cuts", range(MAX_RETRIES + 1))
def test_a_read_request_is_retried_on_a_new_connection(cuts):
    view = View(cuts)
    assert retry_broken_connections(view)(RequestFactory().get("/")).status_code == 200
    assert view.calls == cuts + 1


def test_a_database_that_stays_unreachable_is_not_retried_forever():
    view = View(cuts=100)
    assert retry_broken_connections(view)(RequestFactory().get("/")).status_code == 503
    assert view.calls == MAX_RETRIES + 1
    connection.close()


def test_a_request_that_waited_long_for_a_connection_is_not_retried(monkeypatch):
    view = View(cuts=100)
    monkeypatch.setattr("kb.middleware.RETRY_SECONDS", -1.0)
    assert retry_broken_connections(view)(RequestFactory().get("/")).status_code == 503
    assert view.calls == 1
    connection.close()


def test_a_write_request_is_not_retried():
    view = View(cuts=1)
    assert retry_broken_connections(view)(RequestFactory().post("/")).status_code == 503
    assert view.calls == 1
    connection.close()


def test_an_error_on_a_sound_connection_is_not_retried():
    calls = []

    def broken(request):
        calls.append(request)
        return HttpResponse(status=500)

    assert retry_broken_connections(broken)(RequestFactory().get("/")).status_code == 500
    assert len(calls) == 1
