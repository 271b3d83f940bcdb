"""The engines that this installation has, and the choice of the one that answers a search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import structlog
from django.conf import settings

from kb.search import engines_in_step
from kb.search.breaker import Breaker
from kb.search.database import engine as database
from kb.search.elastic import client, generations
from kb.search.elastic import engine as elastic
from kb.search.engine import Engine, Refused, Unavailable

AnswerT = TypeVar("AnswerT")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Consumer:
    """An engine, with its name as a consumer of the outbox."""

    name: str
    engine: Engine


def consumers() -> list[Consumer]:
    """Every engine that this installation keeps in step with the record."""
    found = [Consumer(database.CONSUMER, database.DatabaseEngine())]
    if settings.ELASTICSEARCH_URL:
        found.append(Consumer(elastic.CONSUMER, elastic.ElasticEngine()))
    return found


@cache
def breaker() -> Breaker:
    return Breaker(lambda: client.can_answer(generations.read_alias()))


def answer_with_fallback(run: Callable[[Engine], AnswerT]) -> tuple[Engine, bool, AnswerT]:
    """The engine that answered, whether it was only the fallback, and its answer."""
    has_elasticsearch = bool(settings.ELASTICSEARCH_URL)
    if has_elasticsearch and engines_in_step.includes(elastic.CONSUMER) and breaker().allows():
        engine = elastic.ElasticEngine()
        try:
            answer = run(engine)
        except Unavailable as error:
            breaker().failed(str(error))
        except Refused as error:
            # This concerns one query only: an engine that rejects it is healthy and goes on answering the others.
            breaker().succeeded()
            log.error("search.refused", engine=engine.name, error=str(error))
        else:
            breaker().succeeded()
            return engine, False, answer
    # The database is a fallback only if Elasticsearch is configured.
    return database.DatabaseEngine(), has_elasticsearch, run(database.DatabaseEngine())
