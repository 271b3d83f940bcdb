"""The Elasticsearch client, one per process, and the translation of its temporary failures into `Unavailable`.

Security is configured in the environment: ELASTICSEARCH_URL with https, a user and a password, or an
ELASTICSEARCH_API_KEY; and ELASTICSEARCH_CA for the authority that signed the node's certificate.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from django.conf import settings
from elasticsearch import ApiError, Elasticsearch, TransportError

from kb.search.engine import Unavailable

# A search that takes longer is answered by the database instead. Small requests about generations have the same limit.
SEARCH_BUDGET = 2.0
WRITE_BUDGET = 10.0
# Everything else is work on whole generations, which no user waits for.
MAINTENANCE_BUDGET = 60.0


@cache
def client() -> Elasticsearch:
    """The shared client. It never retries: the circuit breaker and the outbox decide what happens after a failure."""
    return Elasticsearch(**options(), request_timeout=MAINTENANCE_BUDGET, max_retries=0, retry_on_timeout=False)


def with_timeout(seconds: float) -> Elasticsearch:
    """The client with a different time limit for each request."""
    return _with_timeout(client(), seconds)


@lru_cache(maxsize=8)
def _with_timeout(base: Elasticsearch, seconds: float) -> Elasticsearch:
    """Cached, because creating one takes as long as a small query."""
    return base.options(request_timeout=seconds)


def options() -> dict[str, Any]:
    """The client's address and credentials from the settings. The password is kept out of the address, and so out of
    the logs."""
    parts = urlsplit(settings.ELASTICSEARCH_URL)
    port = parts.port or (443 if parts.scheme == "https" else 9200)
    found: dict[str, Any] = {"hosts": [urlunsplit((parts.scheme, f"{parts.hostname}:{port}", parts.path, "", ""))]}
    if settings.ELASTICSEARCH_API_KEY:
        found["api_key"] = settings.ELASTICSEARCH_API_KEY
    elif parts.username:
        found["basic_auth"] = (unquote(parts.username), unquote(parts.password or ""))
    if settings.ELASTICSEARCH_CA:
        found["ca_certs"] = settings.ELASTICSEARCH_CA
    return found


@contextmanager
def raising_unavailable() -> Iterator[None]:
    """Turn every failure that means "not now" into Unavailable. An error in the request itself is raised unchanged."""
    try:
        yield
    except TransportError as error:
        raise Unavailable(f"{type(error).__name__}: {error}") from error
    except ApiError as error:
        if means_not_now(error.status_code, error.error):
            raise Unavailable(f"{error.status_code}: {error.message}") from error
        raise


def means_not_now(status: int, error: str) -> bool:
    """Whether the same request could succeed later."""
    return status in (401, 403, 408, 429, 500, 502, 503, 504) or error == "index_closed_exception"


def can_answer(index: str) -> bool:
    """Whether the index can be searched right now, checked with the smallest possible search. Never raises."""
    try:
        found = with_timeout(0.5).search(index=index, size=0, track_total_hits=False, timeout="300ms")
    except (ApiError, TransportError):
        return False
    return not found["timed_out"] and not found["_shards"]["failed"]
