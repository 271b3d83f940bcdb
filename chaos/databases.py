"""Operations on whole databases: create, copy, drop, dump, and restore underneath running processes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from chaos.services import Services, Trouble


def copy(services: Services, template: str, name: str) -> None:
    """Create a database as a copy of another, to which there must be no connections."""
    with _administration(services) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))


def create(services: Services, name: str) -> None:
    with _administration(services) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def drop(services: Services, name: str) -> None:
    with _administration(services) as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def exists(services: Services, name: str) -> bool:
    return name in names(services)


def names(services: Services) -> list[str]:
    with _administration(services) as admin:
        return [name for (name,) in admin.execute("SELECT datname FROM pg_database").fetchall()]


def dump(services: Services, name: str, to: Path) -> None:
    _run("pg_dump", "--format=custom", f"--file={to}", services.database_url(name))


def restore(services: Services, name: str, dumped: Path) -> None:
    """Replace the database by its dumped state, as an operator would who wants to keep downtime short.

    The dump is restored into a second database, which then takes the name of the first. Open connections are cut.
    """
    restored, before = f"{name}_restored", f"{name}_before"
    create(services, restored)
    _run("pg_restore", "--exit-on-error", f"--dbname={services.database_url(restored)}", str(dumped))
    identifiers = {key: sql.Identifier(value) for key, value in (("n", name), ("r", restored), ("b", before))}
    with _administration(services) as admin:
        admin.execute(sql.SQL("ALTER DATABASE {n} ALLOW_CONNECTIONS false").format(**identifiers))
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        while admin.execute("SELECT 1 FROM pg_stat_activity WHERE datname = %s", [name]).fetchone():
            pass
        admin.execute(sql.SQL("ALTER DATABASE {n} RENAME TO {b}").format(**identifiers))
        admin.execute(sql.SQL("ALTER DATABASE {r} RENAME TO {n}").format(**identifiers))
        admin.execute(sql.SQL("DROP DATABASE {b}").format(**identifiers))


def _administration(services: Services) -> psycopg.Connection:
    return psycopg.connect(services.database_url("postgres"), autocommit=True)


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [_path(program), *arguments], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
    )
    if done.returncode:
        raise Trouble(f"{program}: {done.stderr}")


def _path(program: str) -> str:
    """The newest installed version. Debian keeps one folder per major version, and its wrappers require a cluster."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), key=lambda path: int(path.parts[-3]))
    return str(found[-1]) if found else shutil.which(program) or program
