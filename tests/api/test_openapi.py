"""The OpenAPI document is complete, valid and true: generated requests get only the responses that it promises."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from io import StringIO
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks as openapi_checks

from incidents import template
from incidents.actions.lifecycle import submit
from incidents.actions.links import add_link
from incidents.actions.organizations import save_template
from incidents.actions.people import create_first_admin
from incidents.actions.sections import add_row
from incidents.records import KINDS
from incidents.scopes import Viewer
from kb.api import problems, tokens
from kb.api.shapes import COMPONENTS
from kb.api.views import meta
from kb.api.views.meta import openapi
from kb.wsgi import application
from tests.api.conftest import Caller, caller, codes, fields, validator
from tests.api.test_permissions import ROWS
from tests.conftest import fill
from tests.curl import commands


def test_the_document_is_valid_and_generated_without_warnings():
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", "/dev/null", stderr=StringIO())


def test_the_document_is_served_as_openapi_3_1(api):
    document = api("anonymous").get("schema").json()
    assert document["openapi"].startswith("3.1")
    assert document == json.loads(json.dumps(openapi()))


def test_concurrent_first_requests_share_one_generated_document(monkeypatch):
    """The generator's global tables break when two threads fill them at once."""
    made = []

    class Slow:
        def get_schema(self, **how: Any) -> dict[str, Any]:
            made.append(how)
            time.sleep(0.1)
            return {"openapi": "3.1.0"}

    monkeypatch.setattr("drf_spectacular.generators.SchemaGenerator", Slow)
    monkeypatch.setattr(meta, "_generated", cache(meta._generated.__wrapped__))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: openapi(), range(4)))
    assert (len(made), answers) == (1, [{"openapi": "3.1.0"}] * 4)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_reference_resolves_and_every_shape_is_used():
    document = openapi()
    used = set(references(document))
    for reference in used:
        where: Any = document
        for part in reference.removeprefix("#/").split("/"):
            where = where[part]
    assert {f"#/components/schemas/{name}" for name in COMPONENTS} == {r for r in used if "/schemas/" in r}


def test_every_operation_declares_its_errors_idempotency_key_and_precondition():
    for path, methods in openapi()["paths"].items():
        for method, operation in methods.items():
            headers = {p["$ref"].rsplit("/", 1)[1] for p in operation.get("parameters", []) if "$ref" in p}
            assert {"400", "401", "429"} <= set(operation["responses"]), path
            # A review needs If-Match as well: it covers exactly the text that was read.
            conditional = method in ("patch", "put", "delete") or path.endswith("/review")
            assert ("IfMatch" in headers) == conditional, path
            assert ("IdempotencyKey" in headers) == (method == "post" and path != "/api/v1/tokens"), path
            if "IfMatch" in headers:
                assert {"412", "428"} <= set(operation["responses"]), path


def test_every_kind_of_record_has_row_operations_in_the_document():
    for kind in KINDS:
        methods = openapi()["paths"][f"/api/v1/incidents/{{ref}}/{kind}/{{row_id}}"]
        assert set(methods) == {"get", "patch", "delete"}


def test_the_document_lists_every_problem_code():
    assert COMPONENTS["Problem"]["properties"]["code"]["enum"] == list(problems.CODES)
    for code, (status, _) in problems.CODES.items():
        assert f"`{code}`" in openapi()["components"]["responses"][str(status)]["description"]


@pytest.mark.parametrize(
    ("shape", "field", "may_be"),
    [
        ("TimelineEvent", "kind", False),
        ("ActionItem", "state", False),
        ("ImpactFigure", "qualifier", False),
        ("Cause", "family", True),
        ("ActionItem", "due", True),
    ],
)
def test_fields_are_nullable_only_where_responses_can_be_null(shape, field, may_be):
    shape = validator(json.dumps({"$ref": f"#/components/schemas/{shape}"}))
    wrong = [error for error in shape.iter_errors({field: None}) if error.instance_path == [field]]
    assert bool(wrong) is not may_be


def test_a_generated_client_gets_one_named_type_for_each_enumeration_and_nullable_object():
    """Generators name what has no name of its own after its place, such as IncidentSeverityType2Type1."""
    seen = []

    def walk(place, schema):
        match schema:
            case {"enum": values}:
                assert None not in values, place
                seen.append(tuple(values))
            case {"type": [*_, "null"]}:
                assert not {"properties", "enum"} & set(schema), place
            case {"anyOf": branches}:
                assert not any({"properties", "enum"} & set(branch) for branch in branches), place
        for name, inner in schema.items() if isinstance(schema, dict) else enumerate(schema):
            if isinstance(inner, dict | list):
                walk(f"{place}/{name}", inner)

    walk("", openapi()["components"]["schemas"])
    assert len(seen) == len(set(seen))


def search_parameter(name):
    listed = openapi()["paths"]["/api/v1/search"]["get"]["parameters"]
    return next(parameter["schema"] for parameter in listed if parameter.get("name") == name)


@pytest.mark.parametrize("facet", ["severity", "status", "family", "origin", "detected_by", "mitigation", "duration"])
def test_the_document_lists_exactly_the_values_that_each_closed_facet_accepts(api, facet):
    items = search_parameter(facet)["items"]
    values = (COMPONENTS[items["$ref"].rsplit("/", 1)[1]] if "$ref" in items else items)["enum"]
    assert len(values) > 2
    assert api("author").get("search?" + "&".join(f"{facet}={value}" for value in values)).status_code == 200
    refused = api("author").get(f"search?{facet}=foo")
    assert (codes(refused), fields(refused)) == ((400, "invalid"), {facet})
    assert refused.json()["errors"][0]["message"] == f"Choose one of {', '.join(values)}."


@pytest.mark.parametrize(
    ("year", "is_taken"),
    [("2026", True), ("unknown", True), ("abc", False), ("26", False), ("20261", False), ("", False), ("٢٠٢٦", False)],
)
def test_a_year_is_four_digits_or_unknown(api, year, is_taken):
    answer = api("anonymous").get(f"search?year={quote(year)}")
    assert bool(re.search(search_parameter("year")["items"]["pattern"], year)) is is_taken
    if is_taken:
        assert answer.status_code == 200
    else:
        assert (codes(answer), fields(answer)) == ((400, "invalid"), {"year"})


CHECKS = [
    schemathesis.checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.unsupported_method,
]
EXAMPLES = {GenerationMode.POSITIVE: 4, GenerationMode.NEGATIVE: 2}


@pytest.mark.slow
@pytest.mark.postgres_only  # the stricter of the two databases
@pytest.mark.django_db(transaction=True)
def test_generated_requests_meet_no_server_error_and_nothing_undocumented(cast, draft):
    """Sends a few hundred valid and invalid requests, generated from the document with a fixed seed, as an author."""
    incident = draft()
    fill(cast, incident)
    author = cast.viewer("author")
    for kind in ("impact_figures", "sources", "disagreements"):
        add_row(actor=author, incident_id=incident.pk, kind=kind, values=ROWS[kind])
    link, _ = add_link(actor=author, incident_id=incident.pk, kind="related", to=draft().ref)
    submit(actor=author, incident_id=incident.pk, reviewers=["reviewer@acme.example"])
    token = caller(cast, "author").secret
    statuses: Counter[int] = Counter()
    schema = schemathesis.openapi.from_wsgi("/api/v1/schema", application)
    for result in schema.get_all_operations():
        operation = result.ok()
        there = {"ref": incident.ref, "link_id": str(link.uuid), "user_id": str(cast.reader.pk), "number": "1"}
        there["slug"] = "checkout" if "/teams" in operation.path else "acme"
        there["key"] = "standard" if "/templates" in operation.path else "summary"
        if "{row_id}" in operation.path:
            kind = KINDS[operation.path.split("/")[5]]
            there["row_id"] = str(kind.model._default_manager.filter(incident=incident).latest("pk").uuid)
        for mode, examples in EXAMPLES.items():
            _try(operation, mode, examples, there, token, statuses)
    # Enough of them got a real response, so that the checks had something to look at.
    assert sum(statuses.values()) > 400
    assert statuses[200] + statuses[201] + statuses[204] > 100
    assert statuses[400] > 100
    assert {403, 404, 409} <= set(statuses)


def _try(
    operation: Any, mode: GenerationMode, examples: int, there: dict[str, str], token: str, statuses: Counter[int]
) -> None:
    """Send some requests to one operation, most of them to the existing objects in `there`."""

    @seed(20260303)
    @hypothesis_settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), pick=st.integers(0, 4))
    def send(case: Any, pick: int) -> None:
        if pick:
            case.path_parameters.update({name: value for name, value in there.items() if name in case.path_parameters})
            if "If-Match" in case.headers and mode is GenerationMode.POSITIVE:
                case.headers["If-Match"] = "*"
        headers = {"Authorization": f"Bearer {token}"}
        response = case.call(headers=headers)
        statuses[response.status_code] += 1
        case.validate_response(response, checks=CHECKS, headers=headers)

    with contextlib.suppress(Unsatisfiable):
        # Some operations take no input that could be invalid.
        send()


def test_the_guide_lists_every_problem_code():
    guide = (settings.BASE_DIR / "docs" / "api.md").read_text()
    assert [code for code in problems.CODES if f"`{code}`" not in guide] == []


def test_the_commands_of_the_guide_work_in_order_on_a_new_installation(db):
    for definition in template.shipped_definitions():
        save_template(actor=Viewer.system(), definition=definition)
    admin = create_first_admin(
        organization="My organization", team="Engineering", email="admin@acme.example", password="a long pass phrase"
    )
    _, secret = tokens.create_token(actor=Viewer.of(admin), name="Guide", scope="write")
    send = Caller(Client(), secret)
    ref = ""
    for command in commands((settings.BASE_DIR / "docs" / "api.md").read_text(), PRECEDENT="/api/v1", TOKEN=secret):
        address = command.address.replace("$ref", ref)
        answer = send(command.method, address, command.body, **command.headers)
        assert answer.status_code in (200, 201), (address, answer.content)
        ref = ref or answer.json().get("ref", "")
    incident = send.get(f"incidents/{ref}").json()
    assert (incident["status"], incident["revision"], incident["severity"]) == ("draft", 1, "sev1")
