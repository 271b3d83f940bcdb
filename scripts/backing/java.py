"""Finds a Java runtime that can run Elasticsearch, or installs one if apt offers it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from . import debian
from .places import Account
from .trouble import Trouble

MIN_VERSION = 21
# Modules that the server needs beyond the usual; many "JRE" packages leave them out.
MODULES = {"jdk.attach", "jdk.jdi", "jdk.jlink", "jdk.incubator.vector"}
PACKAGES = ("openjdk-25-jdk-headless", "openjdk-21-jdk-headless", "temurin-25-jdk", "temurin-21-jdk")


def find_or_install(account: Account) -> Path:
    """The path of a suitable `java`, installed if need be. Debian 12 itself stops at version 17. Raises Trouble."""
    if (found := find(account)) is None and (package := debian.first_available(*PACKAGES)):
        debian.install(package)
        found = find(account)
    if found is None:
        raise Trouble(
            f"Elasticsearch needs a complete JDK, version {MIN_VERSION} or newer, and apt offers none here; "
            "install one (Temurin, for example) or set JAVA_HOME."
        )
    return found


def find(account: Account) -> Path | None:
    """The newest complete runtime that the account can run, as the path of its `java`."""
    homes = [Path(home) for home in (os.environ.get("JAVA_HOME"), os.environ.get("ES_JAVA_HOME")) if home]
    homes += sorted(Path("/usr/lib/jvm").glob("*"))
    if on_path := shutil.which("java"):
        homes.append(Path(on_path).resolve().parents[1])
    found = {java: _version(java) for home in homes if (java := (home / "bin" / "java").resolve()).exists()}
    usable = [java for java, version in found.items() if version >= MIN_VERSION and _complete(java, account)]
    return max(usable, key=lambda java: found[java], default=None)


def _version(java: Path) -> int:
    release = java.parents[1] / "release"
    match = re.search(r'^JAVA_VERSION="(\d+)', release.read_text(), re.MULTILINE) if release.exists() else None
    return int(match[1]) if match else 0


def _complete(java: Path, account: Account) -> bool:
    command = [str(java), "--list-modules"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", **account.switch())
    except PermissionError:
        return False
    offered = {line.partition("@")[0] for line in done.stdout.splitlines()}
    return offered.issuperset(MODULES)
