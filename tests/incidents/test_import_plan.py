"""The plan for a candidate, for every state in which its incident can be here."""

from __future__ import annotations

import uuid as uuids
from dataclasses import replace

import pytest

from incidents.actions.imports import Mark
from incidents.importing.candidates import Candidate, Rejected
from incidents.importing.planning import KnownIncident, Outcome, Snapshot, plan

UUID, OTHER = uuids.UUID(int=1), uuids.UUID(int=2)
PAGE = "kettle.example/post"
CANDIDATE = Candidate(
    name="a.md", identity=f"postmortems.app:{UUID}", facts={"title": "Cold tea"}, organization={"name": "Kettle"},
    sections={}, rows={}, template={}, pages=(PAGE,),
)  # fmt: skip
DRAFT = replace(CANDIDATE, visibility="team", was_unpublished=True)
BY_PAGE = replace(CANDIDATE, name="b.md", identity="postmortems.app:url-1", by_page=True)
IMPORTED = KnownIncident(7, OTHER, "imported", CANDIDATE.identity, "internal", mark=Mark(1, CANDIDATE.digest))
OLDER = replace(IMPORTED, mark=Mark(1, "another"))
FAMOUS = KnownIncident(9, uuids.UUID(int=3), "famous", "2020-kettle-tea", "public")
OWN = KnownIncident(8, UUID, "own")


def snapshot(*known, page=()):
    return Snapshot(
        by_identity={k.external_id: k for k in known if k.is_imported},
        by_uuid={k.uuid: k for k in known},
        by_page={PAGE: list(page)},
    )


def one(candidate, state, **options):
    (planned,) = plan([candidate], state, **options)
    return planned


@pytest.mark.parametrize(
    ("state", "options", "outcome"),
    [
        (snapshot(), {}, Outcome.CREATE),
        (snapshot(IMPORTED), {}, Outcome.UNCHANGED),
        (snapshot(IMPORTED), {"visibility": "internal"}, Outcome.UNCHANGED),
        (snapshot(IMPORTED), {"visibility": "public"}, Outcome.UPDATE),
        (snapshot(IMPORTED), {"overwrite": True}, Outcome.UNCHANGED),
        (snapshot(OLDER), {}, Outcome.UPDATE),
        (snapshot(replace(OLDER, is_changed=True)), {}, Outcome.KEPT),
        (snapshot(replace(OLDER, is_changed=True)), {"overwrite": True}, Outcome.UPDATE),
        (snapshot(replace(IMPORTED, is_changed=True)), {}, Outcome.KEPT),
        (snapshot(replace(IMPORTED, is_changed=True)), {"overwrite": True}, Outcome.UPDATE),
        (snapshot(replace(IMPORTED, is_changed=True)), {"visibility": "public"}, Outcome.KEPT),
        (snapshot(replace(IMPORTED, mark=None)), {}, Outcome.KEPT),
        (snapshot(replace(OLDER, is_deleted=True)), {"overwrite": True}, Outcome.KEPT),
        (snapshot(page=[FAMOUS]), {}, Outcome.DUPLICATE),
        (snapshot(page=[OWN]), {"overwrite": True}, Outcome.DUPLICATE),
        (snapshot(page=[replace(FAMOUS, is_deleted=True)]), {}, Outcome.CREATE),
        (snapshot(page=[replace(OLDER, external_id="postmortems.app:x")]), {}, Outcome.CREATE),
        (snapshot(IMPORTED, page=[FAMOUS]), {}, Outcome.UNCHANGED),
    ],
)
def test_the_outcome_follows_from_what_is_here(state, options, outcome):
    assert one(CANDIDATE, state, **options).outcome == outcome


def test_an_incident_of_another_origin_is_never_changed():
    for other in (OWN, FAMOUS):
        planned = one(replace(CANDIDATE, uuid=other.uuid), snapshot(other, page=[other]), overwrite=True)
        assert (planned.outcome, planned.known, planned.same_event) == (Outcome.DUPLICATE, None, (other,))


def test_an_incident_imported_and_exported_here_is_recognized_by_its_uuid():
    planned = one(replace(CANDIDATE, uuid=OTHER, identity=f"precedent:{OTHER}"), snapshot(OLDER))
    assert (planned.outcome, planned.known) == (Outcome.UPDATE, OLDER)


def test_without_a_uuid_the_url_finds_the_incident_imported_before():
    assert one(BY_PAGE, snapshot(page=[OLDER])).known == OLDER
    assert one(BY_PAGE, snapshot(page=[replace(OLDER, external_id=f"precedent:{OTHER}")])).outcome == Outcome.CREATE
    several = snapshot(page=[OLDER, replace(OLDER, incident_id=70)])
    assert one(BY_PAGE, several).outcome == Outcome.REJECTED


def test_the_same_incident_twice_in_one_import_is_imported_once():
    outcomes = [p.outcome for p in plan([CANDIDATE, replace(CANDIDATE, name="c.md"), BY_PAGE], snapshot())]
    assert outcomes == [Outcome.CREATE, Outcome.REJECTED, Outcome.REJECTED]


def test_of_two_candidates_the_one_with_a_uuid_wins_whichever_comes_first():
    first, second = plan([BY_PAGE, CANDIDATE], snapshot())
    assert (first.outcome, second.outcome) == (Outcome.REJECTED, Outcome.CREATE)
    assert "a.md" in first.reason


@pytest.mark.parametrize(
    ("state", "asked", "says", "becomes"),
    [
        (snapshot(), None, None, "internal"),
        (snapshot(), None, "public", "public"),
        (snapshot(), "internal", "public", "internal"),
        (snapshot(replace(OLDER, visibility="public")), None, None, "public"),
        (snapshot(replace(OLDER, visibility="public")), None, "team", "team"),
        (snapshot(replace(OLDER, visibility="public")), "internal", None, "internal"),
    ],
)
def test_visibility_is_the_requested_one_else_that_of_the_file_else_the_current_one(state, asked, says, becomes):
    assert one(replace(CANDIDATE, visibility=says), state, visibility=asked).visibility == becomes


def test_running_again_without_a_visibility_keeps_the_one_requested_before():
    candidate = replace(CANDIDATE, visibility="internal")
    known = replace(IMPORTED, visibility="public", mark=Mark(1, candidate.digest))
    planned = one(candidate, snapshot(known))
    assert (planned.outcome, planned.visibility) == (Outcome.UNCHANGED, "public")


@pytest.mark.parametrize(
    ("state", "becomes"),
    [
        (snapshot(), "team"),
        (snapshot(replace(OLDER, visibility="public")), "team"),
        # A person here made this same text visible to more people.
        (snapshot(replace(OLDER, visibility="public", mark=Mark(1, DRAFT.digest))), "public"),
    ],
)
def test_a_requested_visibility_does_not_apply_to_a_draft(state, becomes):
    for asked in (None, "internal", "public"):
        assert one(DRAFT, state, visibility=asked, overwrite=True).visibility == becomes


def test_a_rejected_file_stays_rejected_and_in_its_place():
    first, second = plan([Rejected("x.md", "It is broken."), CANDIDATE], snapshot())
    assert (first.outcome, first.reason) == (Outcome.REJECTED, "It is broken.")
    assert second.outcome == Outcome.CREATE
