"""What the corpus of famous outages promises to cover, and the totals in the README."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from incidents.outages import files
from kb.management.commands.corpus_report import coverage

README = Path(__file__).resolve().parents[2] / "README.md"


@pytest.fixture(scope="module")
def covered():
    return coverage([files.read(path).definition for path in files.paths(files.FOLDER)])


def test_the_corpus_is_as_wide_as_promised(covered):
    assert covered.incidents >= 150
    assert covered.organizations >= 70
    assert covered.beyond_web >= 20
    assert covered.by_period["before 2012"] >= 25
    assert covered.by_period["from 2023 on"] >= 25


@pytest.mark.parametrize(
    ("organization", "started"),
    [
        ("Netflix", "2008-08-11"),
        ("Knight Capital", "2012-08-01"),
        ("Heroku", "2016-10-21"),
        ("GitLab", "2017-01-31"),
        ("Amazon Web Services", "2017-02-28"),
        ("GitHub", "2018-10-21"),
        ("Cloudflare", "2019-07-02"),
        ("Slack", "2021-01-04"),
        ("Fastly", "2021-06-08"),
        ("Facebook", "2021-10-04"),
        ("Cloudflare", "2022-06-21"),
        ("CrowdStrike", "2024-07-19"),
    ],
)
def test_the_best_known_outages_are_there_under_the_names_of_their_time(organization, started):
    outages = [files.read(path).definition for path in files.paths(files.FOLDER) if path.stem.startswith(started[:4])]
    days = {(one["organization"]["name"], str((one["started"] or {}).get("at"))[:10]) for one in outages}
    assert (organization, started) in days


def test_every_pattern_of_the_vocabulary_has_at_least_three_incidents(covered):
    assert len(covered.by_pattern) == 35
    assert {slug: n for slug, n in covered.by_pattern.items() if n < 3} == {}


def test_every_incident_has_a_source_that_was_looked_up(covered):
    for path in files.paths(files.FOLDER):
        sources = files.read(path).definition["sources"]
        assert sources, path.stem
        assert all(source["looked_up"] for source in sources), path.stem


def test_the_readme_states_the_totals_of_the_report(covered):
    text = README.read_text()
    told = re.search(r"(\d+) famous outages of (\d+) organizations, with (\d+) sources", text)
    assert told, "the README states the totals"
    assert tuple(map(int, told.groups())) == (covered.incidents, covered.organizations, covered.sources)


def test_the_report_prints_every_pattern(covered):
    out = StringIO()
    call_command("corpus_report", stdout=out)
    for slug in covered.by_pattern:
        assert slug in out.getvalue()
