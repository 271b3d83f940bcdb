"""Who can see and change what: predicate and queryset agree for every viewer and in every state."""

from __future__ import annotations

import itertools

import pytest
from django.utils import timezone

from incidents import scopes
from incidents.models import Incident, PostmortemTemplate, ReviewRequest, Revision
from incidents.scopes import Viewer
from incidents.vocabulary import Origin, Status, Visibility
from tests.conftest import Cast


@pytest.fixture
def every_state(cast: Cast) -> list[Incident]:
    """An incident in every combination of status, visibility, owner, origin, published or not, deleted or not."""
    combinations = itertools.product(
        Status,
        Visibility,
        (cast.checkout, None),
        (Origin.OWN, Origin.FAMOUS),
        (True, False),
        (True, False),
        (True, False),
    )
    template = PostmortemTemplate.objects.get(is_current=True)
    made, asked = [], []
    for status, visibility, team, origin, is_published, is_deleted, is_asked in combinations:
        incident = Incident(
            title="One of many",
            organization=cast.home,
            template=template,
            created_by=cast.author,
            status=status,
            visibility=visibility,
            team=team,
            origin=origin,
            deleted_at=timezone.now() if is_deleted else None,
        )
        made.append((incident, is_published))
        if is_asked:
            asked.append(incident)
    Incident.objects.bulk_create(incident for incident, _ in made)
    published = [incident for incident, is_published in made if is_published]
    for incident, revision in zip(
        published,
        Revision.objects.bulk_create(
            Revision(incident=incident, number=1, document={}, published_by=cast.admin) for incident in published
        ),
        strict=True,
    ):
        incident.published_revision = revision
    Incident.objects.bulk_update(published, ["published_revision"])
    ReviewRequest.objects.bulk_create(
        ReviewRequest(incident=incident, reviewer=cast.reviewer, asked_by=cast.author) for incident in asked
    )
    return [incident for incident, _ in made]


def test_predicate_and_queryset_are_one_rule(cast, every_state):
    for name in Cast.NAMES:
        viewer = cast.viewer(name)
        visible = set(scopes.visible_incidents(viewer).values_list("pk", flat=True))
        assert visible == {i.pk for i in every_state if scopes.may_see(viewer, i)}, name
        working = set(scopes.incidents_with_visible_working_copy(viewer).values_list("pk", flat=True))
        assert working == {i.pk for i in every_state if scopes.sees_working_copy(viewer, i)}, name


def test_a_viewer_who_sees_an_incident_can_read_a_version_of_it(cast, every_state):
    for viewer, incident in itertools.product(map(cast.viewer, Cast.NAMES), every_state):
        if scopes.may_see(viewer, incident):
            assert scopes.sees_working_copy(viewer, incident) or incident.published_revision_id is not None


def test_no_viewer_sees_a_deleted_incident(cast, every_state):
    for name in Cast.NAMES:
        assert not scopes.visible_incidents(cast.viewer(name)).filter(deleted_at__isnull=False).exists()


def test_anonymous_viewers_see_published_public_incidents_and_nothing_else(cast, every_state):
    seen = scopes.visible_incidents(cast.viewer("anonymous"))
    assert seen.exists()
    assert not seen.exclude(visibility=Visibility.PUBLIC).exists()
    assert not seen.filter(published_revision__isnull=True).exists()
    assert not scopes.incidents_with_visible_working_copy(cast.viewer("anonymous")).exists()


def test_another_team_never_sees_drafts_or_team_incidents(cast, every_state):
    seen = scopes.visible_incidents(cast.viewer("outsider"))
    assert not seen.filter(published_revision__isnull=True).exists()
    assert not seen.filter(visibility=Visibility.TEAM).exists()


def test_a_reviewer_sees_what_they_were_asked_about_only_until_it_is_published(cast, every_state):
    viewer = cast.viewer("reviewer")
    asked = Incident.objects.filter(
        pk__in=viewer.asked_to_review, deleted_at=None, visibility="team", team=cast.checkout
    )
    seen = scopes.visible_incidents(viewer)
    assert set(asked.filter(status__in=["draft", "in_review"])) == set(seen & asked)


def test_only_writers_of_the_team_and_admins_can_edit_and_no_user_can_edit_famous_outages(cast, every_state):
    expected = {"author", "lead", "admin"}
    viewers = {name: cast.viewer(name) for name in Cast.NAMES}
    for incident in every_state:
        editors = {name for name, viewer in viewers.items() if scopes.may_edit(viewer, incident)}
        if incident.deleted_at or incident.origin == Origin.FAMOUS:
            assert editors == set()
        else:
            assert editors == (expected if incident.team_id else {"admin"})


def test_without_a_viewer_there_are_no_rows(cast, every_state):
    assert not scopes.visible_incidents(None).exists()
    assert not scopes.visible_teams(None).exists()
    assert not scopes.visible_people(None).exists()


def test_an_inactive_user_is_an_anonymous_viewer(cast):
    cast.author.is_active = False
    cast.author.save()
    assert Viewer.of(cast.author) == scopes.ANONYMOUS


@pytest.mark.sqlite_only
@pytest.mark.parametrize("name", ["anonymous", "author", "admin"])
def test_no_query_for_each_organization_decides_whether_it_is_visible(cast, name):
    assert "CORRELATED" not in scopes.visible_organizations(cast.viewer(name)).explain()
