"""Configuration checks, so that a bad setting fails at startup with a clear message, not at three in the morning.

A failed check `kb.E0xx` stops every management command, and every web, worker or beat process as it starts.
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email

from incidents.text import NAME_CHARACTERS
from kb.environment import is_address, is_mail, is_postgresql, is_sqlite, is_web
from kb.logs import LEVELS

# Characters that Elasticsearch allows at the start of an index name.
_INDEX = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
LOCAL_NAMES = {"localhost", "127.0.0.1", "[::1]", "::1", "testserver"}


def refuse_unsafe_settings() -> None:
    """Exit with one line per problem. For processes that are not started through a management command."""
    found = production_is_safe(None)
    if found:
        sys.exit("\n".join(f"{problem.id}: {problem.msg} {problem.hint}" for problem in found))


def _is_local(host: str) -> bool:
    if host in LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@register()
def production_is_safe(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Refuse what must never be exposed to a network, such as debug pages, a guessable key, a wildcard host or plain
    HTTP, and values that could not be used."""
    found: list[CheckMessage] = []

    def refuse(number: int, message: str, hint: str) -> None:
        found.append(Error(message, hint=hint, id=f"kb.E{number:03}"))

    public = [host for host in settings.ALLOWED_HOSTS if not _is_local(host)]
    base = urlsplit(settings.BASE_URL if is_web(settings.BASE_URL) else "")
    if not base.hostname:
        refuse(
            1,
            f"BASE_URL is not a web address: {settings.BASE_URL}.",
            "Set BASE_URL to the address people open, such as https://precedent.example.",
        )
    elif base.username is not None or f"{base.scheme}://{base.netloc}".lower() != settings.BASE_URL.lower():
        refuse(
            23,
            "BASE_URL has more than a scheme and a host, but Precedent is only served from the root of a host.",
            "Give Precedent a host name of its own and set BASE_URL to an address such as https://precedent.example.",
        )
    try:
        secret_key = settings.SECRET_KEY
    except ImproperlyConfigured:
        secret_key = ""
    if not secret_key:
        refuse(
            2,
            "SECRET_KEY is not set.",
            "Set SECRET_KEY to at least 50 random characters; only the embedded mode generates its own.",
        )
    elif len(secret_key) < 32 or len(set(secret_key)) < 8:
        refuse(
            3,
            "SECRET_KEY is too short or too repetitive to be secure.",
            "Set SECRET_KEY to at least 50 random characters.",
        )
    if "*" in settings.ALLOWED_HOSTS:
        refuse(4, "ALLOWED_HOSTS allows every host name.", "List the host names people use, separated by commas.")
    if settings.DEBUG and public:
        refuse(
            5, f"DEBUG is on while {public[0]} is served.", "Turn DEBUG off, or list only local names in ALLOWED_HOSTS."
        )
    elif settings.DEBUG and not _is_local(settings.HOST):
        refuse(5, f"DEBUG is on while HOST is {settings.HOST}.", "Turn DEBUG off, or listen on 127.0.0.1.")
    if base.scheme == "http" and base.hostname and not _is_local(base.hostname):
        refuse(
            6,
            "BASE_URL uses plain HTTP on a host that others can reach.",
            "Serve HTTPS and set BASE_URL to https://...",
        )
    elif public and base.scheme == "http":
        refuse(
            7,
            f"{public[0]} is served while BASE_URL uses plain HTTP.",
            "Set BASE_URL to the https:// address people open.",
        )
    if (
        base.hostname
        and not _is_local(base.hostname)
        and not any(
            base.hostname == host or (host.startswith(".") and base.hostname.endswith(host))
            for host in settings.ALLOWED_HOSTS
        )
    ):
        refuse(8, f"The host of BASE_URL, {base.hostname}, is not in ALLOWED_HOSTS.", "Add it to ALLOWED_HOSTS.")
    if settings.LOG_FORMAT not in ("json", "console"):
        refuse(9, f"LOG_FORMAT is {settings.LOG_FORMAT}.", "Set LOG_FORMAT to json or console.")
    if settings.LOG_LEVEL not in LEVELS:
        refuse(11, f"LOG_LEVEL is {settings.LOG_LEVEL}.", f"Set LOG_LEVEL to {', '.join(LEVELS[:-1])} or {LEVELS[-1]}.")
    for text in settings.TRUSTED_PROXIES:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            refuse(
                10,
                f"TRUSTED_PROXIES contains {text}, which is not an address or network.",
                "List the addresses of your proxies, such as 10.0.0.2, separated by commas.",
            )
    if endpoint := settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        if not is_web(endpoint):
            refuse(
                12,
                "OTEL_EXPORTER_OTLP_ENDPOINT is not a web address.",
                "Set it to the collector's address for OTLP over HTTP, such as http://127.0.0.1:4318.",
            )
        try:
            import kb.tracing  # noqa: F401  (only to see whether it can be imported)
        except ImportError as error:
            refuse(
                13,
                f"OTEL_EXPORTER_OTLP_ENDPOINT is set, but the tracing packages are not installed ({error}).",
                "Install them with: scripts/environment tracing",
            )
    for name, taken in settings.UNUSABLE_VARIABLES.items():
        refuse(14, f"{name} is not {taken}.", f"Set {name} to {taken}, or leave it unset.")
    for name, number in (
        ("SIGN_IN_FAILURES", settings.AXES_FAILURE_LIMIT),
        ("DATABASE_POOL_SIZE", settings.DATABASE_POOL_SIZE),
    ):
        if number < 1:
            refuse(15, f"{name} is {number}, which would lock everyone out.", f"Set {name} to 1 or more.")
    try:
        validate_email(settings.ADMIN_EMAIL)
    except ValidationError:
        refuse(
            24,
            f"ADMIN_EMAIL is not an e-mail address: {settings.ADMIN_EMAIL}.",
            "Set ADMIN_EMAIL to the address of the first admin, such as ada@acme.example, or leave it unset.",
        )
    if not 0 < len(settings.ORGANIZATION_NAME.strip()) <= NAME_CHARACTERS:
        refuse(
            25,
            f"ORGANIZATION_NAME has to have 1 to {NAME_CHARACTERS} characters.",
            "Set ORGANIZATION_NAME to the name of your organization, or leave it unset.",
        )
    return [*found, *_services()]


def _services() -> Iterator[CheckMessage]:
    """Addresses that would otherwise fail only when they are used. They are not quoted: they may hold a password."""
    database, mail = settings.DATABASE_URL, settings.EMAIL_URL
    if database and not is_sqlite(database) and not is_postgresql(database):
        yield Error(
            "DATABASE_URL is not a database address.",
            hint="Set it to postgresql://user:password@host:5432/name or sqlite:////path/of/a/file, "
            "or leave it unset to use a file under VAR_DIR.",
            id="kb.E016",
        )
    if settings.ELASTICSEARCH_URL and not is_web(settings.ELASTICSEARCH_URL):
        yield Error(
            "ELASTICSEARCH_URL is not a web address.",
            hint="Set it to http(s)://[user:password@]host:9200, or leave it unset to search with the database.",
            id="kb.E017",
        )
    if not _INDEX.fullmatch(settings.ELASTICSEARCH_INDEX):
        yield Error(
            f"ELASTICSEARCH_INDEX is {settings.ELASTICSEARCH_INDEX}, which is not a valid index name.",
            hint="Use lower-case letters, digits, - and _, and start with a letter or digit.",
            id="kb.E018",
        )
    if settings.ELASTICSEARCH_CA and not os.access(settings.ELASTICSEARCH_CA, os.R_OK):
        yield Error(
            f"ELASTICSEARCH_CA points to {settings.ELASTICSEARCH_CA}, which cannot be read.",
            hint="Set it to the path of the certificate authority's certificate.",
            id="kb.E019",
        )
    if not is_address(settings.CELERY_BROKER_URL, "redis", "rediss", "filesystem"):
        yield Error(
            "CELERY_BROKER_URL is not a Redis address.",
            hint="Set it to redis://host:6379/0, or leave it unset to use a folder under VAR_DIR.",
            id="kb.E022",
        )
    if mail and not is_mail(mail):
        yield Error(
            "EMAIL_URL is not the address of a mail server.",
            hint="Set it to smtp://user:password@host:587 (smtp+tls, smtp+ssl), or leave it unset.",
            id="kb.E021",
        )
