"""The vocabulary as a file and as rows."""

from __future__ import annotations

import pytest

from incidents.errors import Invalid, NotAllowed
from incidents.models import AuditEntry, OutboxEntry
from incidents.scopes import Viewer
from kb.patterns import vocabulary
from kb.patterns.models import Pattern, Tag

TWO = """
version: 1
patterns:
  - slug: retry-storm
    name: Retry storm
    family: load
    counts: Retries made it worse.
    not: A single retry.
  - slug: old-storm
    name: Old storm
    family: load
    counts: What it was called before.
"""


def load(path, text):
    path.write_text(text, encoding="utf-8")
    return vocabulary.load(actor=Viewer.system(), path=path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "patterns.yaml"


def test_the_projects_own_file_loads_whole_and_loading_it_again_writes_nothing(db):
    system = Viewer.system()
    assert vocabulary.load(actor=system) == len(vocabulary.read()) > 30
    assert set(Pattern.objects.values_list("slug", flat=True)) == vocabulary.slugs()
    entries = AuditEntry.objects.count()
    assert vocabulary.load(actor=system) == 0
    assert AuditEntry.objects.count() == entries


def test_a_pattern_has_what_counts_and_what_does_not(db, path):
    load(path, TWO)
    pattern = Pattern.objects.get(slug="retry-storm")
    assert (pattern.name, pattern.family, pattern.counts, pattern.does_not_count) == (
        "Retry storm", "load", "Retries made it worse.", "A single retry.",
    )  # fmt: skip


def test_a_changed_definition_raises_the_version_of_that_pattern_alone(db, path):
    load(path, TWO)
    assert load(path, TWO.replace("made it worse", "made everything worse")) == 1
    assert dict(Pattern.objects.values_list("slug", "version")) == {"retry-storm": 2, "old-storm": 1}


def test_a_pattern_that_left_the_file_stays(db, path):
    load(path, TWO)
    assert load(path, TWO[: TWO.index("  - slug: old-storm")]) == 0
    assert Pattern.objects.filter(slug="old-storm", status="active").exists()


def test_a_pattern_can_be_merged_into_another_and_back(db, path):
    load(path, TWO)
    merged = TWO.replace(
        "counts: What it was called before.", "counts: What it was called before.\n    merged_into: retry-storm"
    )
    assert load(path, merged) == 1
    old = Pattern.objects.select_related("merged_into").get(slug="old-storm")
    assert (old.status, old.merged_into.slug) == ("merged", "retry-storm")
    assert load(path, merged) == 0
    load(path, TWO)
    old.refresh_from_db()
    assert (old.status, old.merged_into) == ("active", None)


def test_incidents_that_carry_a_changed_pattern_are_indexed_again(db, path, published):
    load(path, TWO)
    incident, other = published(), published("Another")
    Tag.objects.create(
        incident=incident, pattern=Pattern.objects.get(slug="retry-storm"), source="rule", state="automatic"
    )
    OutboxEntry.objects.all().delete()
    version = incident.index_version
    load(path, TWO.replace("family: load\n    counts: Retries", "family: dependency\n    counts: Retries"))
    incident.refresh_from_db()
    assert incident.index_version == version + 1
    assert set(OutboxEntry.objects.values_list("incident_id", flat=True)) == {incident.pk}
    assert other.pk != incident.pk


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("slug: old-storm", "slug: retry-storm"),
        ("family: load", "family: weather"),
        ("    counts: What it was called before.\n", ""),
        ("name: Old storm", "name: Old storm\n    merged_into: no-such-pattern"),
        ("name: Old storm", "name: Old storm\n    status: forgotten"),
    ],
)
def test_a_wrong_vocabulary_is_refused_as_a_whole(db, path, was, becomes):
    assert was in TWO
    with pytest.raises(Invalid):
        load(path, TWO.replace(was, becomes))
    assert not Pattern.objects.exists()


def test_only_admins_load_it(cast):
    with pytest.raises(NotAllowed):
        vocabulary.load(actor=cast.viewer("lead"))
