"""The three services, and where each comes from on this machine."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from urllib.parse import quote, urlsplit

from . import container, places, probes, security
from .container import Container
from .elasticsearch import Elasticsearch
from .native import Native
from .postgresql import DATABASE, PASSWORD, USER, PostgreSQL
from .redis import Redis
from .trouble import Trouble


@dataclass(frozen=True)
class ExternalServer:
    """A server that a variable points to. It is used and probed, never started or stopped."""

    name: str
    variable: str
    trouble: Callable[[], str]

    def up(self) -> None:
        """Nothing to start, only to check. Raises Trouble if the server is not healthy."""
        if trouble := self.trouble():
            raise Trouble(f"{self.name} (set in {self.variable}) is not healthy: {trouble}")

    def stop(self) -> bool:
        raise Trouble(f"{self.name} (set in {self.variable}) was not started here, so it is not stopped here.")

    kill = stop

    def running(self) -> bool:
        return True

    def logs(self, lines: int, follow: bool) -> None:
        raise Trouble(f"{self.name} (set in {self.variable}) was not started here, so its logs are not here.")


@dataclass(frozen=True)
class Service:
    name: str
    variable: str
    own_url: str
    probe: Callable[[str], str]
    native: type[Native]

    @property
    def url(self) -> str:
        return self._external_url() or self.own_url

    @property
    def address(self) -> str:
        """Host and port, without credentials."""
        return urlsplit(self.url).netloc.rpartition("@")[2] or self.url

    def trouble(self) -> str:
        """The reason why it is not healthy; "" if it is."""
        return self.probe(self.url)

    @cached_property
    def source(self) -> ExternalServer | Container | Native:
        """A native process that is already running is preferred to a Docker engine that came up later."""
        if self._external_url():
            return ExternalServer(self.name, self.variable, self.trouble)
        port = urlsplit(self.own_url).port or 0
        choice = os.environ.get("PRECEDENT_SERVICES", "")
        if choice not in ("", "native", "docker"):
            raise Trouble(f"PRECEDENT_SERVICES is {choice!r}; it must be native or docker.")
        if choice == "docker" or (not choice and not self._runs_natively() and container.engine_answers()):
            return Container(self.name, port)
        return self.native(port, self.trouble)

    @property
    def kind(self) -> str:
        return {ExternalServer: "given", Container: "docker"}.get(type(self.source), "native")

    def _external_url(self) -> str:
        """The variable's value, unless it is our own server, as after `eval "$(scripts/services env)"`."""
        value = os.environ.get(self.variable, "")
        ours, theirs = urlsplit(self.own_url), urlsplit(value)
        same = theirs.hostname in ("localhost", "127.0.0.1", "::1") and theirs.port == ours.port
        return "" if same else value

    def _runs_natively(self) -> bool:
        folder = places.cache() / "services" / self.name
        return folder.exists() and self.native(0, self.trouble).running()


def _own(scheme: str, service: str, default: int, credentials: str = "", path: str = "") -> str:
    return f"{scheme}://{credentials}127.0.0.1:{places.port(service, default)}{path}"


def _elasticsearch_user() -> str:
    return f"{security.USER}:{quote(security.PASSWORD, safe='')}@" if security.PASSWORD else ""


def elasticsearch_authority() -> str:
    """Path of the CA certificate for the node's own; "" if the machine trusts that CA already."""
    return os.environ.get("ELASTICSEARCH_CA") or (str(security.authority()) if security.PASSWORD else "")


def all_services() -> dict[str, Service]:
    services = [
        Service(
            "postgresql",
            "DATABASE_URL",
            _own("postgresql", "postgresql", 54329, f"{USER}:{PASSWORD}@", f"/{DATABASE}"),
            probes.postgresql,
            PostgreSQL,
        ),
        Service("redis", "CELERY_BROKER_URL", _own("redis", "redis", 63799, path="/0"), probes.redis, Redis),
        Service(
            "elasticsearch",
            "ELASTICSEARCH_URL",
            _own("https" if security.PASSWORD else "http", "elasticsearch", 19200, _elasticsearch_user()),
            partial(probes.elasticsearch, authority=elasticsearch_authority()),
            Elasticsearch,
        ),
    ]
    return {service.name: service for service in services}
