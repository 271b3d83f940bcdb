"""Input that the API refuses. It names the field, and never ignores the input or answers with HTML or a 500."""

from __future__ import annotations

import json
import time

import pytest
from django.core.exceptions import RequestDataTooBig
from django.db import OperationalError
from django.test import RequestFactory

from incidents.models import Incident
from kb.api.problems import MEDIA_TYPE, handle
from kb.api.views.incidents import Incidents
from tests.api.conftest import codes, fields, validator


@pytest.mark.parametrize(
    ("path", "name", "hint"),
    [
        ("incidents?severty=sev1", "severty", "Did you mean severity?"),
        ("incidents?page=2", "page", "page_size"),
        ("incidents?format=json", "format", "Unknown parameter."),
        ("search?organisation=Acme", "organisation", "Did you mean organization?"),
        ("search?offset=20", "offset", "Unknown parameter."),
        ("organizations?q=x", "q", "Known ones are cursor, page_size."),
        ("me?x=1", "x", "Unknown parameter."),
        ("schema?version=2", "version", "Unknown parameter."),
    ],
)
def test_an_unknown_parameter_is_named(api, path, name, hint):
    refused = api("author").get(path)
    assert codes(refused) == (400, "unknown_parameter")
    assert refused["Content-Type"] == MEDIA_TYPE
    (error,) = refused.json()["errors"]
    assert error["field"] == name
    assert hint in error["message"]


def test_an_unknown_parameter_on_one_incident_is_named_too(api, draft):
    incident = draft()
    for path in ("", "/sections", "/causes", "/links", "/audit", "/revisions", "/export"):
        assert codes(api("author").get(f"incidents/{incident.pk}{path}?fields=title")) == (400, "unknown_parameter")
    refused = api("author").post(f"incidents/{incident.pk}/causes?notify=1", {"kind": "root", "text": "x"})
    assert codes(refused) == (400, "unknown_parameter")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"titel": "x"}, {"titel": "Did you mean title?"}),
        ({"title": "x", "causes": [{"kind": "root", "txt": "x"}]}, {"causes.0.txt": "Did you mean text?"}),
        (
            {"title": "x", "started": {"at": "2026", "precison": "year"}},
            {"started.precison": "Did you mean precision?"},
        ),
        ({"title": "x", "sections": {"summary": {"text": "x"}}}, {"sections.summary.text": "Unknown field."}),
        ({"title": "x", "sections": [{"key": "summary", "bdy": "x"}]}, {"sections.0.bdy": "Did you mean body?"}),
        ({"title": "x", "sections": {"summary": {"version": 1}}}, {"sections.summary.version": "Unknown field."}),
        ({"title": "x", "lessons": [{"text": "x", "version": 1}]}, {"lessons.0.version": "Unknown field."}),
        ({"title": "x", "organization": {"name": "X", "sektor": "x"}}, {"organization.sektor": "Did you mean sector?"}),
        ({"title": "x", "team": {"slug": "checkout", "nmae": 1}}, {"team.nmae": "Did you mean name?"}),
    ],
)
def test_an_unknown_field_is_named_with_its_path(api, body, expected):
    refused = api("author").post("incidents", body)
    assert codes(refused) == (400, "unknown_field")
    messages = {error["field"]: error["message"] for error in refused.json()["errors"]}
    assert set(messages) == set(expected)
    assert all(hint in messages[name] for name, hint in expected.items())


@pytest.mark.parametrize(
    ("field", "value", "remedy"),
    [
        ("status", "published", "POST to /submit, /withdraw, /publish, /reopen, /archive or /restore"),
        ("published_at", "2026-03-31T14:05Z", "POST to /publish"),
        ("revision", 2, "POST to /publish"),
        ("patterns", ["retry-storm"], "POST to /patterns"),
        ("suggested_patterns", [], "/confirm or /reject"),
        ("links", [], "POST to /links"),
        ("duration", None, "`stated_duration`"),
        ("template", "short", "when the incident is created"),
        ("version", 3, "If-Match"),
        ("ref", "INC-7", "This can only be read."),
    ],
)
def test_a_field_that_can_only_be_read_is_named_with_what_to_do_instead(api, draft, field, value, remedy):
    incident = draft()
    refused = api("author").patch(f"incidents/{incident.ref}", {"title": "Changed", field: value})
    assert codes(refused) == (400, "invalid")
    (error,) = refused.json()["errors"]
    assert error["field"] == field
    assert remedy in error["message"]
    incident.refresh_from_db()
    assert incident.title != "Changed"


def test_read_only_fields_are_named_in_every_kind_of_body(api, cast):
    incident = api("author").post("incidents", {"title": "x"}).json()["ref"]
    for refused, named in (
        (api("author").post("incidents", {"title": "x", "status": "published"}), {"status"}),
        (api("lead").patch(f"teams/{cast.checkout.slug}", {"slug": "x", "your_role": "lead"}), {"slug", "your_role"}),
        (api("author").post(f"incidents/{incident}/causes", {"kind": "root", "text": "x", "version": 1}), {"version"}),
    ):
        assert codes(refused) == (400, "invalid")
        assert fields(refused) == named


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, {"title"}),
        ({"title": None}, {"title"}),
        ({"title": 5}, {"title"}),
        ({"title": "x" * 10_000}, {"title"}),
        ({"title": "x", "severity": "SEV1"}, {"severity"}),
        ({"title": "x", "services": "api"}, {"services"}),
        ({"title": "x", "mitigations": ["prayer"]}, {"mitigations.0"}),
        ({"title": "x", "planned_change": "yes"}, {"planned_change"}),
        ({"title": "x", "stated_duration": {"seconds": -1}}, {"stated_duration.seconds"}),
        ({"title": "x", "stated_duration": {"seconds": True}}, {"stated_duration.seconds"}),
        ({"title": "x", "causes": {"0": {}}}, {"causes"}),
        ({"title": "x", "causes": ["text"]}, {"causes.0"}),
        ({"title": "\u200b\u2060 \ufe0f"}, {"title"}),
        ({"title": "x", "services": ["Cache", "\u3164"]}, {"services.1"}),
        ({"title": "x", "lessons": [{"text": "\u00ad"}]}, {"lessons.0.text"}),
        ({"title": "x", "sections": "text"}, {"sections"}),
        ({"title": "x", "sections": {f"s{number}": {} for number in range(41)}}, {"sections"}),
        ({"title": "x", "sections": [{"key": f"s{number}"} for number in range(41)]}, {"sections"}),
        ({"title": "x", "mitigations": ["rollback"] * 11}, {"mitigations"}),
        (
            {"title": "x", "sources": [{"url": "https://a.example", "title": "x", "supports": ["x"] * 201}]},
            {"sources.0.supports"},
        ),
        (
            {"title": "x", "sources": [{"url": "https://a.example", "title": "x", "supports": ["started", "begin"]}]},
            {"sources.0.supports.1"},
        ),
        ({"title": "x", "organization": 5}, {"organization"}),
        ({"title": "x", "sections": [{"key": "summary", "id": "zz"}]}, {"sections.0.id"}),
        ({"title": "x", "started": {"at": None, "precision": None}}, {"started.at"}),
        ({"title": "x", "timeline": [{"at": "2026", "kind": None, "text": "x"}]}, {"timeline.0.kind"}),
        ({"title": "x", "organization": {"slug": "acme"}}, {"organization.name"}),
        ({"title": "x", "team": "nowhere"}, {"team"}),
        ({"title": "x", "template": "nowhere"}, {"template"}),
        ({"title": "x", "started": "2026-03-03T14:00Z", "resolved": "2026-03-03T13:00Z"}, {"resolved"}),
        ({"title": "x", "started": "0001-01-01T00:00+14:00"}, {"started"}),
        ({"title": "x", "started": "2026-03-29T02:30", "time_zone": "Europe/Madrid"}, {"started"}),
        (
            {"title": "x", "time_zone": "Europe/Madrid", "timeline": [{"at": "2026-10-25T02:30", "text": "x"}]},
            {"timeline.0.at"},
        ),
        ({"title": "x", "started": "1900-01-01T00:00Z", "time_zone": "America/New_York"}, {"started"}),
        ({"title": "x", "timeline": [{"at": "2100-12-31T23:59-12:00", "text": "x"}]}, {"timeline.0.at"}),
        (
            {"title": "x", "actions": [{"kind": "prevent", "text": "x", "done_at": "2100-12-31T23:59-12:00"}]},
            {"actions.0.done_at"},
        ),
        ({"title": "x", "sections": {"summary": {"body": "x" * (256 * 1024 + 1)}}}, {"sections.summary.body"}),
        ({"title": "x", "impact_figures": [{"label": "a", "value": "1e999", "unit": "b"}]}, {"impact_figures.0.value"}),
        ({"title": "x", "impact_figures": [{"label": "a", "value": "4,211", "unit": "b"}]}, {"impact_figures.0.value"}),
        *(
            (
                {"title": "x", "impact_figures": [{"label": "a", "value": value, "unit": "b"}]},
                {"impact_figures.0.value"},
            )
            for value in (
                "1e9999999",
                "1e" + "9" * 30,
                "0.00001",
                18.123456,
                "1_000",
                "\u0661\u0662",
                "1e-9999999",
                "nan",
                "",
            )
        ),
        ({"title": "x", "sources": [{"url": "javascript:alert(1)", "title": "b"}]}, {"sources.0.url"}),
        ([], {"body"}),
        ("text", {"body"}),
    ],
)
def test_an_invalid_value_is_named(api, body, named):
    refused = api("author").post("incidents", body)
    assert codes(refused) == (400, "invalid")
    assert fields(refused) == named
    assert not Incident.objects.exists()


def test_an_incident_that_grows_too_large_is_refused(api, draft):
    incident = draft()
    sections = {
        key: {"body": "x" * (250 * 1024)} for key in ("summary", "impact", "detection", "trigger", "mitigation")
    }
    refused = api("author").patch(f"incidents/{incident.pk}", {"sections": sections})
    assert fields(refused) == {"incident"}
    assert api("author").get(f"incidents/{incident.pk}/sections/summary").json()["body"] == ""


NUL_PLACES = [
    ({"title": "a\x00b"}, "title"),
    ({"title": "x", "sections": {"summary": {"body": "\x00"}}}, "sections.summary.body"),
    ({"title": "x", "causes": [{"kind": "ro\x00ot", "text": "x"}]}, "causes.0.kind"),
    ({"title": "x", "services": ["ok", "\x00"]}, "services.1"),
    ({"title": "x", "ti\x00tle": "x"}, "ti\\x00tle"),
    ({"title": "x", "organization": {"name": "\ud800"}}, "organization.name"),
]


@pytest.mark.parametrize(("body", "named"), NUL_PLACES, ids=[named for _, named in NUL_PLACES])
def test_a_nul_or_lone_surrogate_anywhere_is_refused(api, body, named):
    refused = api("author").post("incidents", json.dumps(body).encode())
    assert codes(refused) == (400, "invalid")
    assert fields(refused) == {named}


@pytest.mark.parametrize(
    "path", ["incidents?organization=%00", "search?q=a%00b", "search?pattern=%00", "services?team=%00"]
)
def test_a_nul_in_a_parameter_is_refused(api, path):
    assert codes(api("author").get(path)) == (400, "invalid")


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (b"{", "line 1"),
        (b'{"title": "x",}', "line 1"),
        (b'{"title": "a", "title": "b"}', "appears twice"),
        (b'{"title": "x", "causes": [{"kind": "root", "kind": "root"}]}', "appears twice"),
        (b'{"title": NaN}', "NaN"),
        (b'{"title": -Infinity}', "-Infinity"),
        (b'{"title": 1e999}', "too large"),
        (b'{"title": ' + b"9" * 5_000 + b"}", "too long"),
        (b'{"title": "\xff"}', "UTF-8"),
        (b'{"a": ' * 40 + b"1" + b"}" * 40, "nested"),
        (b"[" * 100_000, "nested"),
        (b'{"a":' * 100_000, "nested"),
        (b"'", "line 1"),
    ],
)
def test_malformed_json_is_refused_with_its_position_or_cause(api, raw, detail):
    refused = api("author").post("incidents", raw)
    assert codes(refused) == (400, "malformed_json")
    assert detail in refused.json()["detail"]


@pytest.mark.parametrize(
    "raw",
    [
        b"{" + b",".join(b'"key%d": 1' % number for number in range(200_000)) + b', "key199999": 1}',
        b"{" + b",".join(b'"key%d": 1' % number for number in range(200_000)) + b"}",
        b'{"title": "x", "lessons": [' + b",".join([b"1"] * 1_500_000) + b"]}",
        b'{"title": "x", "timeline": [' + b",".join([b"{}"] * 1_200_000) + b"]}",
        b'{"title": "x", "sections": {' + b",".join(b'"%d": {}' % number for number in range(200_000)) + b"}}",
        b'{"title": "x", "sections": {' + b",".join(b'"%d": 0' % number for number in range(200_000)) + b"}}",
        b'{"title": "x", "services": [' + b",".join([b'"\\u0000"'] * 300_000) + b"]}",
        b'{"' + b"x" * 3_000_000 + b'": 1}',
    ],
    ids=[
        "a key twice",
        "unknown keys",
        "wrong rows",
        "empty rows",
        "sections",
        "wrong sections",
        "many NULs",
        "a long key",
    ],
)
def test_a_large_invalid_body_is_refused_quickly_with_a_short_response(api, raw):
    author = api("author")
    began = time.process_time()
    refused = author.post("incidents", raw)
    assert refused.status_code == 400
    assert time.process_time() - began < 10
    assert len(refused.content) < 20_000


def test_only_the_first_of_thousands_of_errors_are_named(api):
    rows = [{"kind": "root", "text": "\u200b"}] * 1_000
    refused = api("author").post("incidents", {"title": "x", "team": "checkout", "causes": rows})
    assert fields(refused) == {f"causes.{place}.text" for place in range(50)}
    assert len(refused.content) < 20_000


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
    ],
)
def test_only_json_in_utf8_is_accepted(api, content_type):
    refused = api("author").post("incidents", b'{"title": "x"}', Content_Type=content_type)
    assert codes(refused) == (415, "unsupported_media_type")


def test_a_compressed_body_is_refused(api):
    body = b'{"title": "x", "team": "checkout"}'
    for encoding, status in (("gzip", 415), ("identity", 201)):
        assert api("author").post("incidents", body, Content_Encoding=encoding).status_code == status


def test_a_body_over_four_mebibytes_is_refused(api):
    refused = api("author").post("incidents", b'{"title": "' + b"x" * (4 * 1024 * 1024) + b'"}')
    assert codes(refused) == (413, "too_large")


def test_the_size_limit_in_the_message_is_the_configured_one(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
    assert "at most 2 MiB" in handle(RequestDataTooBig(), {}).data["detail"]


def test_a_chunked_body_is_refused_instead_of_being_read_as_empty(db):
    """As a WSGI server passes it on: with the header, and without a length."""
    request = RequestFactory().post("/api/v1/incidents", headers={"Transfer-Encoding": "chunked"})
    del request.META["CONTENT_LENGTH"]
    response = Incidents.as_view(permission_classes=[])(request).render()
    assert (response.status_code, response.data["code"]) == (411, "length_required")


def test_a_value_of_the_wrong_type_is_one_error(api):
    refused = api("author").post("incidents", {"title": "x", "severity": 5, "causes": [{"kind": [], "text": "x"}]})
    assert [error["message"] for error in refused.json()["errors"]] == ["This must be text."] * 2


@pytest.mark.parametrize(
    ("shape", "field", "is_taken"),
    [
        ("TimelineEventCreate", "at", False),
        ("TimelineEventChange", "kind", False),
        ("ActionItemCreate", "state", False),
        ("ImpactFigureNested", "qualifier", False),
        ("CauseCreate", "family", True),
        ("IncidentChange", "organization", False),
        ("IncidentCreate", "organization", True),
        ("IncidentChange", "team", True),
    ],
)
def test_request_fields_are_nullable_only_where_null_is_accepted(shape, field, is_taken):
    shape = validator(json.dumps({"$ref": f"#/components/schemas/{shape}"}))
    wrong = [error for error in shape.iter_errors({field: None}) if error.instance_path == [field]]
    assert bool(wrong) is not is_taken


def test_an_unknown_host_gets_a_problem_under_the_api_and_a_page_elsewhere(client, db):
    refused = client.get("/api/v1/incidents", headers={"Host": "elsewhere.example"})
    assert codes(refused) == (400, "invalid")
    assert refused["Content-Type"] == MEDIA_TYPE
    assert client.get("/incidents", headers={"Host": "elsewhere.example"})["Content-Type"].startswith("text/html")


def test_uuids_match_in_either_case(api, draft):
    author, address = api("author"), f"incidents/{draft().ref}"
    lesson = author.post(f"{address}/lessons", {"text": "One"}).json()
    capitals = lesson["id"].upper()
    assert author.get(f"{address}/lessons/{capitals}").json() == lesson
    kept = author.patch(address, {"lessons": [{**lesson, "id": capitals, "text": "Two"}]}).json()["lessons"]
    assert [(row["id"], row["text"]) for row in kept] == [(lesson["id"], "Two")]
    twice = author.patch(address, {"lessons": [{"id": capitals}, {"id": lesson["id"]}]})
    assert fields(twice) == {"lessons.1.id"}


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/png"])
def test_an_unavailable_media_type_is_refused_in_json(api, accept):
    refused = api("author").get("incidents", Accept=accept)
    assert codes(refused) == (406, "not_acceptable")
    assert refused["Content-Type"] == MEDIA_TYPE


def test_the_format_of_an_export_follows_the_parameter_or_the_accept_header(api, draft):
    incident = draft()
    address = f"incidents/{incident.pk}/export"
    kinds = {
        api("author").get(path, Accept=accept)["Content-Type"].split(";")[0]: (path, accept)
        for path, accept in ((address, "*/*"), (f"{address}?format=markdown", "*/*"))
    }
    assert set(kinds) == {"application/json", "text/markdown"}
    named = [
        api("author").get(*asked)["Content-Disposition"] for asked in ((address,), (f"{address}?format=markdown",))
    ]
    reference = f"INC-{incident.pk}"
    assert named == [f'attachment; filename="{reference}.json"', f'attachment; filename="{reference}.md"']
    for accept in ("text/markdown", "text/markdown, application/json;q=0.1", "application/json;q=0, text/markdown"):
        assert api("author").get(address, Accept=accept)["Content-Type"] == "text/markdown; charset=utf-8"
    for accept in ("application/json", "text/markdown;q=0.1, application/json", "*/*"):
        assert api("author").get(address, Accept=accept)["Content-Type"] == "application/json"
    assert fields(api("author").get(f"{address}?format=pdf")) == {"format"}


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "incidents/99999/export", 404), ("POST", None, 405)])
def test_an_error_of_an_export_is_a_problem_whatever_the_accept_header(api, draft, method, path, status):
    refused = api("author")(method, path or f"incidents/{draft().pk}/export", Accept="text/markdown")
    assert refused.status_code == status
    assert refused["Content-Type"] == MEDIA_TYPE


@pytest.mark.parametrize(
    "path",
    [
        "incidents/",
        "nowhere",
        "",
        "incidents/INC-",
        "incidents/abc",
        "incidents/1/causes/1",
        "incidents/%00",
        "teams/a%00b",
        "incidents/99999999999999999999",
        "patterns/" + "x" * 500,
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_url_is_a_problem_and_not_a_page(api, path, method):
    refused = api("anonymous")(method, f"/api/v1/{path}")
    assert codes(refused) == (404, "not_found")
    assert refused["Content-Type"] == MEDIA_TYPE


def test_a_method_that_is_not_allowed_lists_those_that_are(api, draft):
    refused = api("author")("PUT", f"incidents/{draft().pk}")
    assert codes(refused) == (405, "method_not_allowed")
    assert {"GET", "PATCH", "DELETE"} <= set(refused["Allow"].split(", "))
    options = api("author")("OPTIONS", "incidents")
    assert (options.status_code, options.content) == (204, b"")


def test_an_internal_error_is_a_problem_that_reveals_no_details(api, draft, monkeypatch):
    incident = draft()

    def fail(*args: object) -> None:
        raise RuntimeError("the secret of the cellar")

    monkeypatch.setattr("kb.api.documents.tags_of", fail)
    response = api("author").client.get(
        f"/api/v1/incidents/{incident.pk}", headers={"Authorization": f"Bearer {api('author').secret}"}
    )
    assert codes(response) == (500, "internal")
    assert b"cellar" not in response.content


def test_an_unavailable_database_is_503_with_retry_after(api, monkeypatch):
    def fail(*args: object) -> None:
        raise OperationalError("no route to host db1.internal")

    monkeypatch.setattr("kb.api.views.incidents.VisibleIncidents.of", fail)
    response = api("author").get("incidents")
    assert codes(response) == (503, "unavailable")
    assert response["Retry-After"] == "5"
    assert b"db1" not in response.content


@pytest.mark.parametrize("query", ["started_after=", "started_before=%20", "sort="])
def test_an_empty_filter_of_a_list_is_refused_by_name(api, query):
    assert fields(api("author").get(f"incidents?{query}")) == {query.partition("=")[0]}


def test_only_a_body_can_have_an_encoding_that_is_refused(api):
    assert api("author").get("incidents", **{"Content-Encoding": "gzip"}).status_code == 200
    assert api("author").post("incidents", {"title": "x"}, **{"Content-Encoding": "gzip"}).status_code == 415
