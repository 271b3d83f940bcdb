"""Rows of records: unchanged values, limits, time zones, and putting rows back."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from incidents.actions.compose import create_with_content, write_incident
from incidents.actions.imports import Content, RowText, SectionText, write_published
from incidents.actions.incidents import change_incident
from incidents.actions.lifecycle import reopen
from incidents.actions.people import set_account_access
from incidents.actions.rows import add_rows, put_back_row
from incidents.actions.sections import add_row, change_row, change_section, remove_row
from incidents.document import build, read, with_all_parts
from incidents.errors import Invalid, Stale
from incidents.export import markdown
from incidents.models import ActionItem, Incident, Lesson, Revision, TimelineEvent, User
from incidents.records import TEXT_CHARACTERS
from incidents.scopes import Viewer
from incidents.text import INCIDENT_BYTES


def content(incident, kind):
    return build(with_all_parts(Incident.objects).get(pk=incident.pk))[kind]


@pytest.fixture
def action(cast, draft):
    values = {"kind": "prevent", "text": "Add backoff", "owner": "reader@acme.example"}
    return add_row(actor=cast.viewer("author"), incident_id=draft().pk, kind="actions", values=values)


def test_an_action_can_be_saved_after_its_owner_was_deactivated(cast, action):
    set_account_access(actor=cast.viewer("admin"), user_id=cast.reader.pk, is_active=False)
    (row,) = content(action.incident, "actions")
    write_incident(
        actor=cast.viewer("author"),
        incident_id=action.incident_id,
        body={"actions": [{**row, "text": "Add backoff and jitter"}]},
    )
    (row,) = content(action.incident, "actions")
    assert (row["text"], row["owner"]) == ("Add backoff and jitter", "reader@acme.example")
    with pytest.raises(Invalid):
        add_row(
            actor=cast.viewer("author"),
            incident_id=action.incident_id,
            kind="actions",
            values={"kind": "prevent", "text": "New", "owner": "reader@acme.example"},
        )


def test_an_action_is_done_now_unless_a_time_is_given(cast, action):
    def change(**values):
        change_row(
            actor=cast.viewer("author"),
            incident_id=action.incident_id,
            kind="actions",
            row_id=action.uuid,
            values=values,
        )
        return ActionItem.objects.get(pk=action.pk).done_at

    now = change(state="done")
    assert now is not None
    assert change(text="Other words") == now
    assert change(done_at="2026-05-01T10:00Z").isoformat() == "2026-05-01T10:00:00+00:00"
    assert content(action.incident, "actions")[0]["done_at"] == "2026-05-01T10:00:00+00:00"
    with pytest.raises(Invalid):
        change(done_at=None)
    assert change(state="open") is None
    assert change(state="done", done_at="2026-05-02").isoformat() == "2026-05-02T00:00:00+00:00"


def test_a_full_list_of_rows_can_be_replaced_by_another_full_list(cast, draft, monkeypatch):
    monkeypatch.setattr("incidents.actions.sections.ROWS_PER_KIND", 3)
    incident, author = draft(), cast.viewer("author")
    for texts in (["a", "b", "c"], ["d", "e", "f"]):
        body = {"lessons": [{"text": text} for text in texts]}
        write_incident(actor=author, incident_id=incident.pk, body=body)
        assert [row["text"] for row in content(incident, "lessons")] == texts
    with pytest.raises(Invalid):
        write_incident(actor=author, incident_id=incident.pk, body={"lessons": [{"text": "x"}] * 4})


def queries(act):
    with CaptureQueriesContext(connection) as captured:
        act()
    return len(captured)


def owned(number, text="Add backoff"):
    """This many actions of three owners in turn, with addresses in mixed case."""
    owners = ("reader@acme.example", "Lead@ACME.example", "outsider@acme.example")
    return [{"kind": "prevent", "text": f"{text} {place}", "owner": owners[place % 3]} for place in range(number)]


def test_writing_many_owned_actions_takes_no_more_queries_than_few(cast, draft):
    author = cast.viewer("author")

    def written(number):
        incident = draft()
        added = queries(lambda: write_incident(actor=author, incident_id=incident.pk, body={"actions": owned(number)}))
        stands = {"actions": content(incident, "actions")}
        assert [row["owner"] for row in stands["actions"]] == [row["owner"].lower() for row in owned(number)]
        kept = queries(lambda: write_incident(actor=author, incident_id=incident.pk, body=stands))
        incident.refresh_from_db()
        # The second write changed nothing.
        assert incident.version == 2
        return added, kept

    written(1)
    assert written(2) == written(20)


def test_adding_many_owned_actions_takes_no_more_queries_than_few(cast, draft):
    author = cast.viewer("author")

    def added(number):
        incident = draft()
        return queries(lambda: add_rows(actor=author, incident_id=incident.pk, kind="actions", rows=owned(number)))

    added(1)
    assert added(2) == added(20)


def test_importing_many_owned_actions_takes_no_more_queries_than_few(cast, draft):
    def written(number):
        incident, ids = draft(), [uuid.uuid4() for _ in range(number)]
        needed = {
            **{key: SectionText(body="x") for key in ("summary", "impact")},
            **{key: SectionText(none_reason="x") for key in ("timeline", "causes", "lessons")},
        }
        rows = [RowText(row_id, values) for row_id, values in zip(ids, owned(number), strict=True)]

        def write():
            whole = Content(facts={}, sections=needed, rows={"actions": rows})
            write_published(
                actor=Viewer.system(),
                content=whole,
                mark="incident.imported",
                digest="x",
                incident_id=incident.pk,
                template=incident.template,
            )

        return queries(write), queries(write)

    written(1)
    assert written(2) == written(20)


def test_every_text_counts_toward_the_size_of_an_incident(cast, draft):
    incident, author = draft(), cast.viewer("author")
    sources = [
        {"url": f"https://acme.example/{number}", "title": "Page", "supports": ["customer_message"] * 200}
        for number in range(400)
    ]
    with pytest.raises(Invalid) as refused:
        add_rows(actor=author, incident_id=incident.pk, kind="sources", rows=sources)
    assert set(refused.value.fields) == {"incident"}


LONG = "x" * TEXT_CHARACTERS
NEW = uuid.UUID("6f1f7b1e-3b0c-4d39-9b7a-0d6c8f6f5a11")


def write_section(author, incident):
    change_section(actor=author, incident_id=incident.pk, key="summary", body=LONG)


def add_one(author, incident):
    add_row(actor=author, incident_id=incident.pk, kind="lessons", values={"text": LONG})


def add_several(author, incident):
    add_rows(actor=author, incident_id=incident.pk, kind="lessons", rows=[{"text": LONG}])


def lengthen(author, incident):
    short = incident.lessons.get(text="short")
    change_row(actor=author, incident_id=incident.pk, kind="lessons", row_id=short.uuid, values={"text": LONG})


def put_back(author, incident):
    values = {"text": LONG}
    put_back_row(actor=author, incident_id=incident.pk, kind="lessons", row_id=NEW, position=0, values=values)


def write_all(author, incident):
    write_incident(actor=author, incident_id=incident.pk, body={"sections": {"summary": {"body": LONG}}})


def create_with_all(author, incident):
    rows = [{"text": lesson.text} for lesson in incident.lessons.all()]
    create_with_content(actor=author, body={"title": "Too long", "lessons": [*rows, {"text": LONG}]})


def import_whole(incident, rows, **more):
    too_long = Content({"title": "Brought"}, rows={"lessons": [*rows, RowText(NEW, {"text": LONG})]})
    template = incident.template
    write_published(actor=Viewer.system(), content=too_long, mark="test.marked", digest="0", template=template, **more)


def import_new(author, incident):
    import_whole(incident, [RowText(uuid.uuid4(), {"text": lesson.text}) for lesson in incident.lessons.all()])


def import_again(author, incident):
    rows = [RowText(lesson.uuid, {"text": lesson.text}) for lesson in incident.lessons.all()]
    import_whole(incident, rows, incident_id=incident.pk)


@pytest.mark.parametrize(
    "write",
    [
        write_section,
        add_one,
        add_several,
        lengthen,
        put_back,
        write_all,
        create_with_all,
        import_new,
        import_again,
    ],
)
def test_no_kind_of_write_exceeds_the_size_limit_of_an_incident(cast, draft, write):
    incident, author = draft(), cast.viewer("author")
    full = INCIDENT_BYTES // len(LONG)
    texts = [*[LONG] * full, "short"]
    Lesson.objects.bulk_create(Lesson(incident=incident, position=place, text=text) for place, text in enumerate(texts))
    before = content(incident, "lessons")
    with pytest.raises(Invalid) as refused:
        write(author, incident)
    assert set(refused.value.fields) == {"incident"}
    assert Incident.objects.get() == incident
    assert content(incident, "lessons") == before
    assert not incident.sections.exclude(body="").exists()


def test_a_number_with_more_digits_than_documents_carry_is_refused(cast, draft):
    figure = {"label": "Lost", "unit": "EUR"}
    incident, author = draft(), cast.viewer("author")
    for value in ("1234567890123456789", "123456789012.1234"):
        with pytest.raises(Invalid):
            add_row(actor=author, incident_id=incident.pk, kind="impact_figures", values={**figure, "value": value})
    for value in ("1234567890123450000", "12345678901.1234"):
        add_row(actor=author, incident_id=incident.pk, kind="impact_figures", values={**figure, "value": value})
    assert [str(row["value"]) for row in content(incident, "impact_figures")] == [
        "1234567890123450000",
        "12345678901.1234",
    ]


def test_events_that_a_new_zone_moves_get_new_versions(cast, draft):
    incident, author = draft(), cast.viewer("author")
    add_row(actor=author, incident_id=incident.pk, kind="timeline", values={"at": "2026-03-03", "text": "That day"})
    add_row(actor=author, incident_id=incident.pk, kind="timeline", values={"at": "2026-03-03T14:03Z", "text": "Then"})
    change_incident(actor=author, incident_id=incident.pk, facts={"time_zone": "Europe/Madrid"})
    versions = dict(TimelineEvent.objects.values_list("text", "version"))
    assert versions["That day"] == 2


def test_an_hour_stays_a_full_hour_in_a_zone_that_is_half_an_hour_off(cast, draft):
    author, ten = cast.viewer("author"), {"at": "2026-03-03T10:00", "precision": "hour"}
    incident = draft(time_zone="Asia/Kolkata", started=ten)
    add_row(actor=author, incident_id=incident.pk, kind="timeline", values={**ten, "text": "Then"})
    change_incident(actor=author, incident_id=incident.pk, facts={"time_zone": "UTC"})
    incident.refresh_from_db()
    (event,) = content(incident, "timeline")
    assert event["at"] == "2026-03-03T04:00+00:00"
    read = {"at": event["at"], "precision": "hour"}
    # What was read can be sent back.
    change_incident(actor=author, incident_id=incident.pk, facts={"started": read})
    before, incident = incident.version, Incident.objects.get(pk=incident.pk)
    assert (incident.version, incident.started_at) == (before, TimelineEvent.objects.get().at)


def test_a_revision_without_done_at_can_still_be_read(cast, published):
    incident = published()
    revision = incident.published_revision
    document = {**revision.document, "actions": [dict(row) for row in revision.document["actions"]]}
    for row in document["actions"]:
        del row["done_at"]
    Revision.objects.filter(pk=revision.pk).update(document=document)
    reopen(actor=cast.viewer("author"), incident_id=incident.pk)
    action = incident.actionitems.get()
    remove_row(actor=cast.viewer("author"), incident_id=incident.pk, kind="actions", row_id=action.uuid)
    shown = read(with_all_parts(Incident.objects).get(pk=incident.pk), cast.viewer("outsider"))
    assert "Add backoff to clients" in markdown(shown)


@pytest.mark.parametrize("asked", ["ÜNAL@acme.example", "Author@Acme.example"])
def test_an_owner_is_found_by_the_stored_address_or_in_any_case(cast, action, asked):
    User.objects.create(email="ÜNAL@acme.example", name="Ünal")
    change_row(
        actor=cast.viewer("author"),
        incident_id=action.incident_id,
        kind="actions",
        row_id=action.uuid,
        values={"owner": asked},
    )
    action.refresh_from_db()
    assert action.owner.email.lower() == asked.lower()


def test_a_row_that_is_put_back_gets_an_unused_version(cast, draft):
    incident, author = draft(), cast.viewer("author")
    row = add_row(actor=author, incident_id=incident.pk, kind="lessons", values={"text": "One"})
    at = {"actor": author, "incident_id": incident.pk, "kind": "lessons", "row_id": row.uuid}
    seen = {row.version}
    for text in ("Two", "Three"):
        seen.add(change_row(**at, values={"text": text}).version)
        remove_row(**at)
        back = put_back_row(**at, position=0, values={"text": text})
        assert back.version not in seen
        for version in seen:
            with pytest.raises(Stale):
                change_row(**at, values={"text": "Written over unseen words"}, expected_version=version)
        seen.add(back.version)


def test_an_action_is_put_back_as_it_was_even_if_its_owner_was_deactivated(cast, action):
    author, admin = cast.viewer("author"), cast.viewer("admin")
    at = {"actor": author, "incident_id": action.incident_id, "kind": "actions", "row_id": action.uuid}
    (was,) = content(action.incident, "actions")
    remove_row(**at)
    set_account_access(actor=admin, user_id=cast.reader.pk, is_active=False)
    values = {name: value for name, value in was.items() if name != "id"}
    put_back_row(**at, position=0, values=values)
    assert content(action.incident, "actions") == [was]
    remove_row(**at)
    with pytest.raises(Invalid):
        put_back_row(**at, position=0, values={**values, "owner": "nobody@acme.example"})


def test_a_source_supports_facts_sections_and_rows_of_its_own_incident_only(cast, draft):
    incident, other, author = draft(), draft("Other"), cast.viewer("author")
    cause, theirs = (
        add_row(actor=author, incident_id=one.pk, kind="causes", values={"kind": "root", "text": "x"})
        for one in (incident, other)
    )
    at = {"actor": author, "incident_id": incident.pk, "kind": "sources"}
    page = {"url": "https://acme.example", "title": "Page"}
    good = ["started", "impact_figures", "summary", str(cause.uuid)]
    source = add_row(**at, values={**page, "supports": good})
    for bad in ("beginning", "row-17", str(theirs.uuid), str(NEW)):
        for refuse in (
            lambda bad=bad: add_row(**at, values={**page, "supports": ["started", bad]}),
            lambda bad=bad: change_row(**at, row_id=source.uuid, values={"supports": ["started", bad]}),
        ):
            with pytest.raises(Invalid) as refused:
                refuse()
            assert set(refused.value.fields) == {"supports.1"}
            assert "mitigations, impact_figures, summary, " in refused.value.message
    # What it named before can be gone.
    remove_row(**{**at, "kind": "causes"}, row_id=cause.uuid)
    change_row(**at, row_id=source.uuid, values={"supports": [*good, "resolved"]})
    (was,) = content(incident, "sources")
    remove_row(**at, row_id=source.uuid)
    put_back_row(**at, row_id=source.uuid, position=0, values={name: was[name] for name in was if name != "id"})
    assert content(incident, "sources") == [was]


def test_a_precision_alone_applies_to_the_current_time_of_the_row(cast, draft):
    incident, author = draft(time_zone="Asia/Kolkata"), cast.viewer("author")
    values = {"at": "2026-03-31T14:05:09", "text": "An alert"}
    row = add_row(actor=author, incident_id=incident.pk, kind="timeline", values=values)
    at = {"actor": author, "incident_id": incident.pk, "kind": "timeline", "row_id": row.uuid}
    for precision, told in (
        ("minute", "2026-03-31T14:05+05:30"),
        ("hour", "2026-03-31T14:00+05:30"),
        ("day", "2026-03-31"),
        ("month", "2026-03"),
        ("year", "2026"),
    ):
        change_row(**at, values={"precision": precision})
        (event,) = content(incident, "timeline")
        assert (event["at"], event["precision"]) == (told, precision)
    with pytest.raises(Invalid) as refused:
        change_row(**at, values={"precision": "minute"})
    assert set(refused.value.fields) == {"at"}


def test_only_an_action_that_is_done_can_have_a_completion_time(cast, action):
    author, done_at = cast.viewer("author"), "2026-05-01T10:00:00+00:00"
    at = {"actor": author, "incident_id": action.incident_id, "kind": "actions"}
    for write in (
        lambda: change_row(**at, row_id=action.uuid, values={"done_at": done_at}),
        lambda: change_row(**at, row_id=action.uuid, values={"done_at": done_at, "state": "dropped"}),
        lambda: add_row(**at, values={"kind": "prevent", "text": "New", "done_at": done_at}),
    ):
        with pytest.raises(Invalid) as refused:
            write()
        assert set(refused.value.fields) == {"done_at"}
    body = {"actions": [{"kind": "prevent", "text": "New", "done_at": done_at}]}
    with pytest.raises(Invalid) as refused:
        write_incident(actor=author, incident_id=action.incident_id, body=body)
    assert set(refused.value.fields) == {"actions.0.done_at"}
    # A client that reopens the action sends back the time that it read.
    change_row(**at, row_id=action.uuid, values={"state": "done", "done_at": done_at})
    change_row(**at, row_id=action.uuid, values={"state": "open", "done_at": done_at})
    assert content(action.incident, "actions")[0]["done_at"] is None


def test_a_new_zone_can_be_sent_with_the_timeline_as_it_was_read(cast, draft):
    incident, author = draft(), cast.viewer("author")
    for at in ("2026-03-03", "2026-03-03T14:03Z"):
        add_row(actor=author, incident_id=incident.pk, kind="timeline", values={"at": at, "text": at})
    read_rows = [{**row, "version": 1} for row in content(incident, "timeline")]

    def write(zone, rows):
        write_incident(actor=author, incident_id=incident.pk, body={"time_zone": zone, "timeline": rows})

    write("Europe/Madrid", read_rows)
    assert [row["at"] for row in content(incident, "timeline")] == ["2026-03-03", "2026-03-03T15:03+01:00"]
    with pytest.raises(Stale):
        write("Asia/Tokyo", read_rows)


@pytest.mark.parametrize("text", ["20260331", "2026-W14-2", "0001-01-01", "9999-12-31", "2026-02-31", "٢٠٢٦-03-31"])
def test_a_date_has_one_format_and_must_exist(cast, draft, text):
    incident, author = draft(), cast.viewer("author")
    action = {"kind": "prevent", "text": "Add backoff", "due": text}
    source = {"url": "https://acme.example/", "title": "Page", "published": text}
    for kind, values, field in (("actions", action, "due"), ("sources", source, "published")):
        with pytest.raises(Invalid) as refused:
            add_row(actor=author, incident_id=incident.pk, kind=kind, values=values)
        assert set(refused.value.fields) == {field}
