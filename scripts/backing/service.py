"""The three services, and where each of them comes from on this machine."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from urllib.parse import quote, urlsplit

from . import container, places, probes, securing
from .container import Container
from .elasticsearch import Elasticsearch
from .native import Native
from .postgresql import DATABASE, PASSWORD, USER, PostgreSQL
from .redis import Redis
from .trouble import Trouble


@dataclass(frozen=True)
class Given:
    """Somebody else's server. It is used and asked how it is, never started or stopped."""

    name: str
    variable: str
    trouble: Callable[[], str]

    def up(self) -> None:
        """There is nothing to start, so that it works or does not."""
        if trouble := self.trouble():
            raise Trouble(f"{self.name} is what {self.variable} points to, and it is not healthy: {trouble}")

    def stop(self) -> bool:
        raise Trouble(f"{self.name} is what {self.variable} points to; it is not ours to stop.")

    kill = stop

    def running(self) -> bool:
        return True

    def logs(self, lines: int, follow: bool) -> None:
        raise Trouble(f"{self.name} is what {self.variable} points to; its logs are not here.")


@dataclass(frozen=True)
class Service:
    name: str
    variable: str
    own_url: str
    probe: Callable[[str], str]
    native: type[Native]

    @property
    def url(self) -> str:
        return self._given() or self.own_url

    @property
    def address(self) -> str:
        """Without the credentials."""
        return urlsplit(self.url).netloc.rpartition("@")[2] or self.url

    def trouble(self) -> str:
        """ "" when healthy, else the reason."""
        return self.probe(self.url)

    @cached_property
    def source(self) -> Given | Container | Native:
        """A native process that runs already wins over a Docker engine that has come up since."""
        if self._given():
            return Given(self.name, self.variable, self.trouble)
        port = urlsplit(self.own_url).port or 0
        choice = os.environ.get("PRECEDENT_SERVICES", "")
        if choice not in ("", "native", "docker"):
            raise Trouble(f"PRECEDENT_SERVICES is {choice!r}; it must be native or docker.")
        if choice == "docker" or (not choice and not self._runs_natively() and container.engine_answers()):
            return Container(self.name, port)
        return self.native(port, self.trouble)

    @property
    def kind(self) -> str:
        return {Given: "given", Container: "docker"}.get(type(self.source), "native")

    def _given(self) -> str:
        """The variable's value, unless that is our own server, as after `eval "$(scripts/services env)"`."""
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
    return f"{securing.USER}:{quote(securing.PASSWORD, safe='')}@" if securing.PASSWORD else ""


def elasticsearch_authority() -> str:
    """Path of the authority that signed the node's certificate; "" for those that the machine trusts anyway."""
    return os.environ.get("ELASTICSEARCH_CA") or (str(securing.authority()) if securing.PASSWORD else "")


def known() -> dict[str, Service]:
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
            _own("https" if securing.PASSWORD else "http", "elasticsearch", 19200, _elasticsearch_user()),
            partial(probes.elasticsearch, authority=elasticsearch_authority()),
            Elasticsearch,
        ),
    ]
    return {service.name: service for service in services}
