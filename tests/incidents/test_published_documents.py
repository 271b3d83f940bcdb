"""What readers see of an incident, read one at a time, in bulk, and part by part. All of them must be equal."""

from __future__ import annotations

from incidents.actions import lifecycle
from incidents.actions.incidents import change_incident
from incidents.actions.links import add_link
from incidents.actions.organizations import change_organization, create_service
from incidents.actions.sections import add_row, change_row, change_section, remove_row
from incidents.document import published as one_published
from incidents.document import published_many, read, read_part, with_all_parts
from incidents.models import Incident
from incidents.records import KINDS
from incidents.scopes import visible_incidents
from tests.conftest import Cast


def both(*incidents):
    chosen = Incident.objects.filter(pk__in=[incident.pk for incident in incidents])
    one_by_one = {
        incident.pk: one_published(incident)
        for incident in with_all_parts(chosen.filter(published_revision__isnull=False))
    }
    return published_many(chosen), one_by_one


def test_documents_read_in_bulk_equal_those_read_one_by_one(cast, published, draft):
    admin = cast.viewer("admin")
    for name in ("Web", "Api"):
        create_service(actor=admin, name=name, organization=cast.home, team=cast.checkout)
    plain = published("Plain", visibility="public")
    rich = published("Rich", services=["Web", "Api"], severity="sev1", started={"at": "2026-03-03T14:03"})
    archived = published("Archived")
    lifecycle.archive(actor=cast.viewer("lead"), incident_id=archived.pk)
    many, each = both(plain, rich, archived, draft("Never published"))
    assert many == each
    assert set(many) == {plain.pk, rich.pk, archived.pk}
    assert many[rich.pk]["services"] == ["Api", "Web"]
    assert many[archived.pk]["status"] == "archived"


def test_live_fields_show_their_current_values_in_both(cast, published):
    incident = published("Living on")
    action = incident.actionitems.get()
    values = {"state": "done", "owner": "lead@acme.example", "due": "2026-05-01", "tracker_url": "https://t.example/2"}
    change_row(actor=cast.viewer("author"), incident_id=incident.pk, kind="actions", row_id=action.uuid, values=values)
    change_organization(actor=cast.viewer("admin"), organization_id=cast.home.pk, values={"name": "Zenith"})
    many, each = both(incident)
    assert many == each
    assert many[incident.pk]["actions"][0]["owner"] == "lead@acme.example"
    assert many[incident.pk]["organization"]["name"] == "Zenith"


def test_a_reopened_draft_appears_in_neither(cast, published):
    incident = published("Once")
    lifecycle.reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    change_incident(actor=cast.viewer("author"), incident_id=incident.pk, facts={"title": "Twice"})
    row_id = incident.actionitems.get().uuid
    remove_row(actor=cast.viewer("author"), incident_id=incident.pk, kind="actions", row_id=row_id)
    many, each = both(incident)
    assert many == each
    assert (many[incident.pk]["title"], many[incident.pk]["status"]) == ("Once", "published")
    assert len(many[incident.pk]["actions"]) == 1


def test_a_part_read_alone_equals_that_part_of_the_document_for_every_viewer(cast, published, draft):
    author = cast.viewer("author")
    reopened = published("Reopened", visibility="public")
    for other in (published("Other", visibility="team"), draft("Hidden")):
        add_link(actor=author, incident_id=reopened.pk, kind="related", to=other.ref)
    lifecycle.reopen(actor=author, incident_id=reopened.pk)
    change_section(actor=author, incident_id=reopened.pk, key="summary", body="Written anew.")
    add_row(actor=author, incident_id=reopened.pk, kind="lessons", values={"text": "Later"})
    action = reopened.actionitems.get()
    change_row(
        actor=author, incident_id=reopened.pk, kind="actions", row_id=action.uuid, values={"owner": "lead@acme.example"}
    )
    add_row(
        actor=author, incident_id=reopened.pk, kind="sources", values={"url": "https://acme.example", "title": "Wiki"}
    )
    seen = set()
    for name in Cast.NAMES:
        viewer = cast.viewer(name)
        visible = visible_incidents(viewer).filter(pk=reopened.pk)
        whole = read(with_all_parts(visible).get(), viewer).document
        seen.add((len(whole["lessons"]), len(whole["links"]), whole["actions"][0]["owner"]))
        for kind in ("sections", "links", *KINDS):
            assert read_part(visible.get(), viewer, kind) == whole[kind], (name, kind)
    # Anonymous viewers, other users and the team see different documents.
    assert len(seen) > 2
