"""scripts/services: the command line."""

import argparse
import fcntl
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from . import places
from .container import Container
from .service import Service, all_services, elasticsearch_authority
from .trouble import Trouble

HELP = """\
commands:
  up, start     start services and wait until they are healthy; leaves healthy ones alone
  stop, down    stop only what was started here; the data stays
  kill          end services with SIGKILL, as in a crash; `start` brings them back
  status        print one line per service; exit code 1 unless all are healthy
  logs          print the end of the log (-n LINES, -f to follow)
  env           print lines for: eval "$(scripts/services env)"

A service is the server that its variable points to (DATABASE_URL, CELERY_BROKER_URL, ELASTICSEARCH_URL),
otherwise a container if a Docker engine answers, otherwise a native process.

environment:
  PRECEDENT_SERVICES                native or docker overrides that choice
  PRECEDENT_CACHE                   the folder for programs and data
  PRECEDENT_POSTGRESQL_PORT         the port; likewise PRECEDENT_REDIS_PORT, PRECEDENT_ELASTICSEARCH_PORT
  PRECEDENT_ELASTICSEARCH_PASSWORD  starts a native Elasticsearch with TLS and a user
  PRECEDENT_ELASTICSEARCH_HEAP      the heap of a native Elasticsearch; 1g by default
  ES_JAVA_OPTS                      options for its JVM; the default starts faster but answers more slowly
"""


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        options = _parse(arguments)
        services = all_services()
        unknown = [name for name in options.names if name not in services]
        if unknown:
            raise Trouble(f"Unknown service {unknown[0]!r}. The services are {', '.join(services)}.")
        chosen = [services[name] for name in options.names or services]
        return COMMANDS[options.command](chosen, options)
    except Trouble as trouble:
        _print_error(trouble)
        return 1
    except KeyboardInterrupt:
        return 130


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/services",
        description="PostgreSQL, Redis and Elasticsearch for development and tests.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=sorted(COMMANDS), metavar="command")
    parser.add_argument(
        "names", nargs="*", metavar="name", help="postgresql, redis or elasticsearch; default: all of them"
    )
    parser.add_argument("-n", "--lines", type=int, default=50, help=argparse.SUPPRESS)
    parser.add_argument("-f", "--follow", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def up(services: Sequence[Service], options: argparse.Namespace) -> int:
    def one(service: Service) -> str:
        start = time.monotonic()
        if service.source.running() and not service.trouble():
            return f"{_line(service)}"
        service.source.up()
        return f"{_line(service)} after {time.monotonic() - start:.1f} s"

    with _exclusive_lock():
        return _run_concurrently(services, one)


def stop(services: Sequence[Service], options: argparse.Namespace) -> int:
    return _end(services, lambda service: service.source.stop(), "stopped")


def kill(services: Sequence[Service], options: argparse.Namespace) -> int:
    return _end(services, lambda service: service.source.kill(), "killed")


def down(services: Sequence[Service], options: argparse.Namespace) -> int:
    ours = [service for service in services if service.kind != "given"]
    return _end(ours, lambda s: s.source.down() if isinstance(s.source, Container) else s.source.stop(), "stopped")


def status(services: Sequence[Service], options: argparse.Namespace) -> int:
    for service in services:
        print(_line(service))
    return 1 if any(service.trouble() for service in services) else 0


def logs(services: Sequence[Service], options: argparse.Namespace) -> int:
    if options.follow and len(services) != 1:
        raise Trouble("Only one log can be followed at a time: scripts/services logs -f NAME")
    for service in services:
        if len(services) > 1:
            print(f"==> {service.name}")
        service.source.logs(options.lines, options.follow)
    return 0


def env(services: Sequence[Service], options: argparse.Namespace) -> int:
    for service in services:
        print(f"export {service.variable}={shlex.quote(service.url)}")
    if "elasticsearch" in (service.name for service in services) and (authority := elasticsearch_authority()):
        print(f"export ELASTICSEARCH_CA={shlex.quote(authority)}")
    return 0


COMMANDS: dict[str, Callable[[Sequence[Service], argparse.Namespace], int]] = {
    "up": up,
    "start": up,
    "stop": stop,
    "down": down,
    "kill": kill,
    "status": status,
    "logs": logs,
    "env": env,
}


def _end(services: Sequence[Service], action: Callable[[Service], bool], word: str) -> int:
    with _exclusive_lock():
        return _run_concurrently(services, lambda s: f"{s.name:<14} {word if action(s) else 'was not running'}")


def _line(service: Service) -> str:
    trouble = service.trouble()
    health = f"not healthy: {trouble}" if trouble else "healthy"
    return f"{service.name:<14} {service.kind:<7} {service.address:<22} {health}"


def _run_concurrently(services: Sequence[Service], action: Callable[[Service], str]) -> int:
    """Run the action on all services concurrently, because each mostly waits. One failure does not stop the others."""
    failed = False
    with ThreadPoolExecutor(max(len(services), 1)) as pool:
        for future in [pool.submit(action, service) for service in services]:
            try:
                print(future.result(), flush=True)
            except Trouble as trouble:
                failed = True
                _print_error(trouble)
    return 1 if failed else 0


def _print_error(trouble: Trouble) -> None:
    if trouble.details:
        print(trouble.details, file=sys.stderr)
    print(f"services: {trouble}", file=sys.stderr)


@contextmanager
def _exclusive_lock() -> Iterator[None]:
    """A lock: several checkouts may share the services, and only one at a time starts or stops them."""
    folder = places.cache() / "services"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a")
    except OSError as error:
        raise Trouble(
            f"{folder} is not writable ({error.strerror}); set PRECEDENT_CACHE to a writable folder."
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("services: waiting for another start or stop to finish …", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
