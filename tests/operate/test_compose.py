"""docker-compose.yml is valid by the Compose specification, and safe by default."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import ROOT

FILES = ["docker-compose.yml", "scripts/backing/compose.yml"]
ONE_SHOT = {"prepare"}
SECRET = re.compile(r"SECRET|PASSWORD|TOKEN|AUTH|_URL$")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return found


def test_both_files_follow_the_compose_specification() -> None:
    tool = str(Path(sys.executable).with_name("check-jsonschema"))
    done = subprocess.run(
        [tool, "--builtin-schema", "vendor.compose-spec", *FILES], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_runs_everything_that_the_full_mode_needs(services: dict[str, Any]) -> None:
    assert set(services) == {"web", "worker", "beat", "prepare", "postgresql", "redis", "elasticsearch"}


def test_every_long_running_service_has_a_health_check_and_restarts(services: dict[str, Any]) -> None:
    for name in set(services) - ONE_SHOT:
        assert services[name]["healthcheck"]["test"], name
        assert services[name]["restart"] == "unless-stopped", name
        assert services[name]["mem_limit"], name


def test_no_service_runs_as_root(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert str(service["user"]).split(":")[0] not in ("", "0", "root"), name
        assert "no-new-privileges:true" in service["security_opt"], name


def test_data_is_kept_in_named_volumes(services: dict[str, Any]) -> None:
    named = set(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["volumes"])
    used = {volume.split(":")[0] for service in services.values() for volume in service["volumes"]}
    assert used == named


def test_the_application_starts_only_on_a_prepared_database(services: dict[str, Any]) -> None:
    for name in ("web", "worker", "beat"):
        assert services[name]["depends_on"]["prepare"] == {"condition": "service_completed_successfully"}
    for name in ("postgresql", "redis", "elasticsearch"):
        assert services["prepare"]["depends_on"][name] == {"condition": "service_healthy"}


def test_only_the_loopback_address_is_published(services: dict[str, Any]) -> None:
    services_of_developers = yaml.safe_load((ROOT / FILES[1]).read_text())["services"]
    ports = [
        port for service in (*services.values(), *services_of_developers.values()) for port in service.get("ports", [])
    ]
    assert len(ports) == 4
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_file_contains_no_secret(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for key, value in service.get("environment", {}).items():
            if SECRET.search(key):
                left = re.sub(r"\$\{[^}]*\}", "", str(value))
                assert re.fullmatch(r"|\w+://\w*:?@?[\w.]+:\d+(/\w*)?|\w+://\w*:@[\w.]+:\d+(/\w*)?", left), (
                    name,
                    key,
                )


def test_the_example_environment_names_every_variable_that_is_read() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    example = (ROOT / ".env.example").read_text()
    required = set(re.findall(r"\$\{(\w+):\?", compose))
    optional = set(re.findall(r"\$\{(\w+):-", compose)) - {"PRECEDENT_VERSION"}
    assert required == set(re.findall(r"^(\w+)=$", example, re.MULTILINE))
    assert optional == set(re.findall(r"^#(\w+)=", example, re.MULTILINE))


# Set by the image or the file itself: locations, and that its own Elasticsearch uses a password.
SETTLED = {"PORT", "HOST", "VAR_DIR", "STATIC_ROOT", "DEBUG", "ELASTICSEARCH_API_KEY", "ELASTICSEARCH_CA"}


def test_everything_that_can_be_configured_reaches_the_containers(services: dict[str, Any]) -> None:
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE))
    for name in ("prepare", "web", "worker", "beat"):
        assert documented - SETTLED <= set(services[name]["environment"]), name


def test_third_party_images_have_a_pinned_version(services: dict[str, Any]) -> None:
    for name in ("postgresql", "redis", "elasticsearch"):
        assert re.search(r":\d", services[name]["image"]), name


def test_containers_and_native_services_use_the_same_elasticsearch_version(services: dict[str, Any]) -> None:
    native = re.search(r'^VERSION = "(.+)"', (ROOT / "scripts/backing/elasticsearch.py").read_text(), re.M)
    assert native is not None
    assert services["elasticsearch"]["image"] == f"elasticsearch:{native[1]}"
