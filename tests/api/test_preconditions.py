"""ETag and If-Match: concurrent edits never overwrite each other, in incidents and everything around them."""

from __future__ import annotations

import pytest

from incidents.actions.lifecycle import publish, reopen
from incidents.actions.sections import change_section
from incidents.models import Organization
from tests.api.conftest import codes, fields


@pytest.fixture
def address(draft) -> str:
    return f"incidents/{draft().pk}"


def test_a_change_without_if_match_is_refused(api, address):
    author = api("author")
    lesson = author.post(f"{address}/lessons", {"text": "One"})["Location"]
    for refused in (
        author.patch(address, {"severity": "sev1"}, if_match=None),
        author.patch(f"{address}/sections/summary", {"body": "x"}, if_match=None),
        author.patch(lesson, {"text": "x"}, if_match=None),
        author.delete(lesson, if_match=None),
        api("lead").delete(address, if_match=None),
        api("admin").put("templates/standard", {"name": "Mine", "sections": []}, if_match=None),
    ):
        assert codes(refused) == (428, "precondition_required")
    assert author.get(lesson).status_code == 200


def test_a_stale_etag_is_refused_with_the_current_version(api, address):
    author = api("author")
    before = author.get(address)
    after = author.patch(address, {"severity": "sev1"}, if_match=before["ETag"])
    assert after["ETag"] == f'"{after.json()["version"]}"' != before["ETag"]
    refused = author.patch(address, {"severity": "sev2"}, if_match=before["ETag"])
    assert codes(refused) == (412, "stale")
    assert refused.json()["current_version"] == after.json()["version"]
    assert author.get(address).json()["severity"] == "sev1"


def test_sections_and_rows_have_versions_of_their_own(api, address):
    """Edits of different parts never conflict; edits of the same part do."""
    author, lead = api("author"), api("lead")
    summary, impact = (author.get(f"{address}/sections/{key}") for key in ("summary", "impact"))
    row = author.post(f"{address}/causes", {"kind": "root", "text": "No limit"})
    assert author.patch(f"{address}/sections/summary", {"body": "Mine"}, if_match=summary["ETag"]).status_code == 200
    assert lead.patch(f"{address}/sections/impact", {"body": "Theirs"}, if_match=impact["ETag"]).status_code == 200
    assert lead.patch(row["Location"], {"text": "Better"}, if_match=row["ETag"]).status_code == 200
    for refused in (
        lead.patch(f"{address}/sections/summary", {"body": "Late"}, if_match=summary["ETag"]),
        author.patch(row["Location"], {"text": "Late"}, if_match=row["ETag"]),
        author.delete(row["Location"], if_match=row["ETag"]),
    ):
        assert codes(refused) == (412, "stale")
    assert author.get(f"{address}/sections/summary").json()["body"] == "Mine"
    assert author.get(row["Location"]).json()["text"] == "Better"


def test_a_stale_version_in_a_body_is_named(api, address):
    author = api("author")
    author.post(f"{address}/lessons", {"text": "One"})
    author.patch(f"{address}/sections/summary", {"body": "Text"})
    (lesson,) = author.get(address).json()["lessons"]
    for body, field in (
        ({"severity": "sev1", "sections": {"summary": {"body": "c", "version": 1}}}, "sections.summary.version"),
        ({"lessons": [{**lesson, "version": 7}]}, "lessons.0.version"),
    ):
        refused = author.patch(address, body, if_match=author.get(address)["ETag"])
        assert (codes(refused), fields(refused)) == ((412, "stale"), {field})
        assert refused.json()["current_version"] == (2 if "sections" in body else 1)


def test_the_versions_inside_the_document_are_the_etags_of_its_parts(api, address):
    author = api("author")
    author.post(f"{address}/lessons", {"text": "One"})
    author.patch(f"{address}/sections/summary", {"body": "Text"})
    document = author.get(address).json()
    summary = next(section for section in document["sections"] if section["key"] == "summary")
    lesson = document["lessons"][0]
    assert author.get(f"{address}/sections/summary")["ETag"] == f'"{summary["version"]}"'
    assert author.get(f"{address}/lessons/{lesson['id']}")["ETag"] == f'"{lesson["version"]}"'


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("*", 200),
        ('"{v}"', 200),
        ('"99", "{v}"', 200),
        ('"99" ,"98"', 412),
        ('W/"{v}"', 412),
        ('W/"{v}", "{v}"', 200),
        ('"0"', 412),
        ('"r-0123"', 412),
        ("{v}", 400),
        ('"{v}', 400),
        ('"1" "2"', 400),
        (", ,", 400),
        ("", 400),
    ],
)
def test_if_match_is_parsed_as_http_specifies(api, address, header, status):
    author = api("author")
    version = author.get(address).json()["version"]
    answer = author.patch(address, {"severity": "sev1"}, if_match=header.format(v=version))
    assert answer.status_code == status
    if status == 400:
        assert fields(answer) == {"If-Match"}
    if header == 'W/"{v}"':
        assert "without W/" in answer.json()["detail"]


def test_a_step_honors_if_match_when_it_is_sent(api, cast, published):
    incident = published()
    address = f"incidents/{incident.pk}"
    assert codes(api("author").post(f"{address}/reopen", if_match='"1"')) == (412, "stale")
    assert api("author").post(f"{address}/reopen", if_match=api("author").get(address)["ETag"]).status_code == 200
    assert api("lead").post(f"{address}/publish").status_code == 200


def test_the_etag_that_readers_get_does_not_reveal_edits_of_the_draft(api, cast, published):
    incident = published()
    address = f"incidents/{incident.pk}"
    reader = api("outsider")
    before = {path: reader.get(f"{address}{path}")["ETag"] for path in ("", "/sections/summary", "/export?format=json")}
    reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    change_section(actor=cast.viewer("author"), incident_id=incident.pk, key="summary", body="Unfinished")
    assert {path: reader.get(f"{address}{path}")["ETag"] for path in before} == before
    publish(actor=cast.viewer("lead"), incident_id=incident.pk)
    after = {path: reader.get(f"{address}{path}")["ETag"] for path in before}
    assert all(after[path] != before[path] for path in before)


def test_organizations_memberships_and_templates_are_guarded_too(api, cast):
    admin = api("admin")
    made = admin.post("organizations", {"name": "Initech", "website": "https://initech.example"})
    assert admin.patch(made["Location"], {"sector": "software"}, if_match=made["ETag"]).json()["version"] == 2
    assert codes(admin.patch(made["Location"], {"sector": "retail"}, if_match=made["ETag"])) == (412, "stale")
    assert codes(admin.delete(made["Location"], if_match=made["ETag"])) == (412, "stale")
    assert Organization.objects.get(slug="initech").sector == "software"

    member = f"teams/checkout/members/{cast.reader.pk}"
    assert admin.get(member)["ETag"] == '"reader"'
    assert admin.patch(member, {"role": "author"}, if_match='"reader"').json()["role"] == "author"
    assert codes(admin.patch(member, {"role": "lead"}, if_match='"reader"')) == (412, "stale")

    template = admin.get("templates/standard")
    body = {"name": "Standard, shorter", "sections": [s for s in template.json()["sections"] if s.get("required")]}
    assert admin.put("templates/standard", body, if_match=template["ETag"]).json()["number"] == 2
    assert codes(admin.put("templates/standard", {**body, "name": "Other"}, if_match=template["ETag"])) == (
        412,
        "stale",
    )
    assert admin.get("templates/standard/1").json()["name"] == template.json()["name"]
