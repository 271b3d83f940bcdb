"""Which engines this installation has, and which one answers a search now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import structlog
from django.conf import settings

from kb.search import in_step
from kb.search.breaker import Breaker
from kb.search.database import engine as database
from kb.search.elastic import client, generations
from kb.search.elastic import engine as elastic
from kb.search.engine import Engine, Refused, Unavailable

Answered = TypeVar("Answered")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Consumer:
    """An engine and the name under which the outbox knows it."""

    name: str
    engine: Engine


def consumers() -> list[Consumer]:
    """Every engine that this installation keeps true."""
    found = [Consumer(database.CONSUMER, database.DatabaseEngine())]
    if settings.ELASTICSEARCH_URL:
        found.append(Consumer(elastic.CONSUMER, elastic.ElasticEngine()))
    return found


@cache
def breaker() -> Breaker:
    return Breaker(lambda: client.answers(generations.read_alias()))


def answering(ask: Callable[[Engine], Answered]) -> tuple[Engine, bool, Answered]:
    """The engine that answered, whether it was only standing in, and its answer."""
    standing_in = bool(settings.ELASTICSEARCH_URL)
    if standing_in and in_step.includes(elastic.CONSUMER) and breaker().allows():
        engine = elastic.ElasticEngine()
        try:
            answer = ask(engine)
        except Unavailable as error:
            breaker().failed(str(error))
        except Refused as error:
            # One query's matter: an engine that says no is well, and everybody else is still answered by it.
            breaker().succeeded()
            log.error("search.refused", engine=engine.name, error=str(error))
        else:
            breaker().succeeded()
            return engine, False, answer
    return database.DatabaseEngine(), standing_in, ask(database.DatabaseEngine())
