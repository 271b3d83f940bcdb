"""The rules for famous outage files, broken one at a time."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from incidents.outages import cross_checks, files, rules
from kb.patterns import vocabulary
from tests.incidents.curated import OUTAGE, SUMMARY, other_outage, outage, write


def problems(*definitions, name=None):
    read = [files.OutageFile(name or definition["id"], definition) for definition in definitions]
    for file in read:
        rules.check(file, patterns={"limit-reached", "code-deploy"})
    cross_checks.check(read)
    return [problem for file in read for problem in file.problems]


def test_a_file_that_keeps_every_rule_has_no_problems():
    assert problems(outage(), other_outage()) == []


def test_every_curated_file_is_valid():
    out = StringIO()
    call_command("check_outages", stdout=out)
    count = len(list(files.FOLDER.glob("*.yaml")))
    assert count >= 12
    assert out.getvalue() == f"{count} files checked, no problems found.\n"


@pytest.mark.parametrize(
    ("changes", "begins"),
    [
        ({"id": "2021-harbour-another"}, "id: "),
        ({"severity": "sev9"}, "severity: "),
        ({"unheard_of": 1}, "file: "),
        ({"time_zone": "Mars/Olympus"}, "time_zone: "),
        ({"sections": {**OUTAGE["sections"], "summary": SUMMARY[:300]}}, "sections.summary: "),
        ({"started": {"at": "2020-04-12T07:30", "precision": "minute"}}, "id: "),
        ({"resolved": {"at": "2021-04-12T07:00", "precision": "minute"}}, "resolved: "),
        ({"resolved": {"at": "2021-04-12T08:50", "precision": "minute"}}, "resolved: "),
        ({"detected": {"at": "2021-04-12", "precision": "minute"}}, "detected: "),
        ({"detected": {"at": "2021-02-30", "precision": "day"}}, "detected: "),
        ({"mitigated": {"at": "2021-04-12T07:20", "precision": "minute"}}, "mitigated: "),
        ({"timeline": OUTAGE["timeline"][::-1]}, "timeline.1: "),
        ({"timeline": [{**OUTAGE["timeline"][0], "sources": ["nobody"]}]}, "timeline.0.sources: "),
        ({"stated_duration": {"seconds": 9000, "text": "long", "sources": ["report"]}}, "stated_duration: "),
        ({"stated_duration": {"seconds": 600, "text": "short", "sources": ["report"]}}, "stated_duration: "),
        ({"detected_by": None}, "detected_by: A source supports it"),
        (
            {"sections": {**OUTAGE["sections"], "lucky": "It was not the first day of the holidays."}},
            "sections.lucky: ",
        ),
        ({"sources": [OUTAGE["sources"][0], {**OUTAGE["sources"][1], "key": "report"}]}, "sources: The key report"),
        (
            {"sources": [OUTAGE["sources"][0], {**OUTAGE["sources"][1], "url": "http://www.harbour.example/report/"}]},
            "sources: report and press are the same page",
        ),
        (
            {"patterns": [{"slug": "no-such-thing", "sentence": OUTAGE["causes"][1]["text"]}]},
            "patterns.0: The vocabulary",
        ),
        ({"patterns": OUTAGE["patterns"] * 2}, "patterns.1: limit-reached appears twice"),
        (
            {"patterns": [{"slug": "limit-reached", "sentence": "The queue was much too small."}]},
            "patterns.0: The sentence",
        ),
        (
            {"patterns": [{"slug": "limit-reached", "sentence": "The queue refused messages"}]},
            "patterns.0: The sentence",
        ),
    ],
)
def test_each_broken_rule_is_named_with_its_place(changes, begins):
    found = problems(outage(**changes), name=OUTAGE["id"])
    assert found[0].startswith(begins), found


def test_a_time_that_the_clocks_showed_twice_needs_its_offset():
    zone = {"time_zone": "America/Los_Angeles"}

    def at(text):
        return outage(**zone, timeline=[{**OUTAGE["timeline"][0], "at": text, "precision": "minute"}])

    (problem,) = problems(at("2021-11-07T01:30"))
    assert problem.startswith("timeline.0.at: 2021-11-07T01:30 happens twice in America/Los_Angeles.")
    assert problems(at("2021-11-07T01:30-08:00")) == []


def test_a_stated_duration_can_differ_from_the_times_if_the_disagreement_is_recorded():
    stated = {"seconds": 9000, "text": "two and a half hours", "sources": ["press"]}
    differs = [
        {"about": "stated_duration", "text": "The press counts until the last queue was gone.", "sources": ["press"]}
    ]
    assert problems(outage(stated_duration=stated, disagreements=differs)) == []


def test_coarse_times_allow_any_duration_that_fits_into_them():
    coarse = {"resolved": {"at": "2021-04-13", "precision": "day"}, "mitigated": None}
    supports = [name for name in OUTAGE["sources"][0]["supports"] if name != "mitigated"]
    sources = [{**OUTAGE["sources"][0], "supports": supports}, OUTAGE["sources"][1]]
    stated = {"text": "as they say", "sources": ["report"]}
    assert problems(outage(**coarse, sources=sources, stated_duration={**stated, "seconds": 100_000})) == []
    found = problems(outage(**coarse, sources=sources, stated_duration={**stated, "seconds": 400_000}))
    assert [problem[:16] for problem in found] == ["stated_duration:"]


def test_a_sentence_that_shows_a_pattern_can_be_inside_a_paragraph():
    sentence = "Kiosks and the web shop showed an error page, and staff sold paper tickets at the piers."
    assert problems(outage(patterns=[{"slug": "code-deploy", "sentence": sentence}])) == []


def test_two_files_can_share_twelve_consecutive_words_but_not_thirteen():
    words = [
        "The",
        "harbour",
        "master",
        "kept",
        "one",
        "spare",
        "engine",
        "on",
        "the",
        "second",
        "pier",
        "all",
        "winter",
    ]
    assert len(words) == 13
    first = outage(lessons=[" ".join(words) + "."])
    assert problems(first, other_outage(lessons=[" ".join(words[:12]) + " nothing."])) == []
    found = problems(first, other_outage(lessons=["It is said that " + " ".join(words).lower() + ", and more."]))
    assert len(found) == 1
    assert "also appear in 2021-harbour-seat-map: " in found[0]


def test_the_same_organization_on_the_same_day_is_the_same_incident():
    twin = other_outage(
        organization=OUTAGE["organization"], started={"at": "2021-04-12", "precision": "day"}, id="2021-harbour-twin"
    )
    assert [p.split(":")[0] for p in problems(outage(), twin)] == ["started"]
    later = {**twin, "started": {"at": "2021-04-13", "precision": "day"}}
    assert problems(outage(), later) == []


def test_incidents_that_share_an_account_must_have_begun_on_different_days():
    source = {**other_outage()["sources"][0], "url": "http://www.harbour.example/report/"}
    assert problems(outage(), other_outage(sources=[source])) == []
    unknown = other_outage(sources=[{**source, "supports": ["organization", "summary", "impact"]}], started=None)
    assert [p.split(":")[0] for p in problems(outage(), unknown)] == ["sources"]


def test_an_organization_is_spelled_the_same_in_every_file():
    found = problems(outage(), other_outage(organization={**OUTAGE["organization"], "name": "Harbour lines"}))
    assert found == ["organization.name: Another file spells it Harbour Lines."]


def test_links_must_name_an_existing_file():
    assert problems(outage(links=[{"kind": "related", "to": "2022-lantern-clock"}]), other_outage()) == []
    found = problems(outage(links=[{"kind": "related", "to": "1999-nowhere-at-all"}]))
    assert found == ["links.0: There is no file 1999-nowhere-at-all."]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"id: [", "This is not YAML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"- 1\n", "a mapping"),
        (b"", "a mapping"),
        (b"id: x\n", "required"),
    ],
)
def test_a_file_that_cannot_be_read_is_reported_and_the_others_are_not(tmp_path, content, says):
    write(tmp_path, outage())
    (tmp_path / "2020-broken-file.yaml").write_bytes(content)
    out = StringIO()
    with pytest.raises(CommandError) as stopped:
        call_command("check_outages", tmp_path, stdout=out)
    assert stopped.value.returncode == 1
    lines = out.getvalue().splitlines()
    assert all(line.startswith("2020-broken-file: ") for line in lines)
    assert says in lines[0]


def test_one_file_is_checked_against_its_neighbours(tmp_path):
    write(tmp_path, outage(), other_outage(lessons=OUTAGE["lessons"]))
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("check_outages", tmp_path / "2022-lantern-clock.yaml", stdout=out)
    assert "also appear in 2021-harbour-seat-map: " in out.getvalue()
    call_command("check_outages", tmp_path / "2021-harbour-seat-map.yaml", stdout=StringIO())


def test_a_single_file_is_read_whatever_its_name(tmp_path):
    write(tmp_path, outage())
    (tmp_path / "2022-lantern-clock.yml").write_text("id: [")
    (tmp_path / "passwd").write_text("root:x:0:0")
    for name in ("2022-lantern-clock.yml", "passwd"):
        for command in ("check_outages", "corpus_report"):
            with pytest.raises(CommandError) as stopped:
                call_command(command, tmp_path / name, stdout=StringIO())
            assert stopped.value.returncode == 1


@pytest.mark.parametrize("command", ["check_outages", "load_outages", "corpus_report", "check_patterns"])
def test_a_path_with_nothing_to_read_is_bad_usage(tmp_path, command):
    for path in (tmp_path / "empty", tmp_path / "gone", tmp_path / ("n" * 300)):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(CommandError) as stopped:
            call_command(command, path, stdout=StringIO())
        assert stopped.value.returncode == (1 if command == "check_patterns" and path.name == "empty" else 2)


def test_the_patterns_of_these_tests_are_in_the_vocabulary():
    assert {"limit-reached", "code-deploy"} <= vocabulary.slugs()
