"""Precision, recall and F1 against labels."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from incidents.errors import Invalid
from incidents.models import Incident
from incidents.outages import files
from kb.patterns import evaluation
from kb.patterns.evaluation import Counts, Labelled, evaluate, labelled_outages, read_labels
from kb.patterns.matcher import match, shipped_rules
from kb.patterns.reading import documents, facts, fields
from tests.incidents.curated import outage, write
from tests.patterns.conftest import STORM


def labelled(**patterns):
    return [Labelled(name, {}, frozenset(slugs.split())) for name, slugs in patterns.items()]


def test_right_wrong_and_missed_patterns_are_counted():
    found = evaluate(labelled(a="dns expiry", b="dns", c=""), {"a": ["dns"], "b": ["dns", "attack"], "c": ["attack"]})
    assert found.by_pattern == {"attack": Counts(0, 2, 0), "dns": Counts(2, 0, 0), "expiry": Counts(0, 0, 1)}
    assert found.micro == Counts(right=2, wrong=2, missed=1)
    assert (found.micro.precision, found.micro.recall, found.micro.f1) == (1 / 2, 2 / 3, pytest.approx(4 / 7))
    # The mean over the labelled patterns: dns 1, expiry 0. Attack is not labelled.
    assert found.estimates["macro F1"].value == 0.5
    assert found.estimates["micro F1"].value == pytest.approx(4 / 7)


def test_an_undefined_figure_is_none():
    assert (Counts().precision, Counts().recall, Counts().f1) == (None, None, None)
    assert (Counts(wrong=1).recall, Counts(missed=1).precision, Counts(missed=1).f1) == (None, None, 0)


def test_intervals_contain_the_figure_narrow_with_more_incidents_and_are_reproducible():
    def widths(count):
        some = labelled(**{f"n{n}": "dns" if n % 3 else "dns expiry" for n in range(count)})
        predicted = {one.id: ["dns"] if n % 2 else ["expiry"] for n, one in enumerate(some)}
        first, second = (evaluate(some, predicted, resamples=200).estimates for _ in range(2))
        assert first == second
        assert all(one.low <= one.value <= one.high for one in first.values())
        return first["micro F1"].high - first["micro F1"].low

    assert 0 < widths(300) < widths(12)


def test_about_half_of_the_outages_are_held_out():
    outages = labelled_outages()
    assert len(outages) == len(files.paths(files.FOLDER))
    held_out = {one.id for one in outages if one.is_held_out}
    assert 0.4 < len(held_out) / len(outages) < 0.6
    assert "1962-nasa-mariner-1" in {one.id for one in outages}


def test_rules_read_a_file_exactly_like_the_incident_loaded_from_it(cast, tmp_path):
    folder = write(tmp_path / "outages", outage())
    call_command("load_outages", folder, stdout=StringIO())
    (from_file,) = labelled_outages(folder)
    (loaded,) = documents(Incident.objects.values_list("pk", flat=True)).values()

    def read(document):
        texts = sorted((field.partition("/")[0], text) for field, text in fields(document).items())
        return texts, facts(document) | {"planned_change": None}

    assert read(from_file.document) == read(loaded)


def test_labels_of_curators_do_not_count_as_predictions():
    outages = labelled_outages()[:5]
    found = evaluation.predictions(shipped_rules(), outages)
    assert found == {
        one.id: {m.slug: m.state for m in match(shipped_rules(), fields(one.document), facts(one.document))}
        for one in outages
    }


def test_precision_and_recall_on_held_out_outages_are_above_one_half():
    held_out = [one for one in labelled_outages() if one.is_held_out]
    found = evaluate(held_out, evaluation.predictions(shipped_rules(), held_out), resamples=1)
    assert found.micro.recall > 0.5
    assert found.micro.precision > 0.5


def test_a_label_file_can_name_famous_outages_and_own_incidents(cast, published, tmp_path):
    incident = published(text=STORM)
    path = tmp_path / "labels.yaml"
    path.write_text(f"1962-nasa-mariner-1: [latent-bug]\n{incident.ref}: [retry-storm]\n", encoding="utf-8")
    some = read_labels(path)
    assert [(one.id, set(one.patterns)) for one in some] == [
        ("1962-nasa-mariner-1", {"latent-bug"}),
        (incident.ref, {"retry-storm"}),
    ]
    assert "retry-storm" in evaluation.predictions(shipped_rules(), some)[incident.ref]


@pytest.mark.parametrize(
    ("text", "named"),
    [("no-such-outage: [dns]", "no-such-outage"), ("1962-nasa-mariner-1: dns", "1962-nasa-mariner-1"),
     ("1962-nasa-mariner-1: [latent-bug, latent-bgu]", "1962-nasa-mariner-1: There is no pattern latent-bgu"),
     ("- a list", "labels.yaml"), ("a: [", "labels.yaml")],
)  # fmt: skip
def test_an_invalid_label_file_is_refused(db, tmp_path, text, named):
    path = tmp_path / "labels.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Invalid) as refused:
        read_labels(path)
    assert list(refused.value.fields) == [named.partition(":")[0]]
    with pytest.raises(CommandError, match=named):
        call_command("evaluate_tagger", labels=path, stdout=StringIO())


def test_an_incident_can_be_labelled_only_once_however_its_reference_is_written(cast, published, tmp_path):
    incident = published(text=STORM)
    path = tmp_path / "labels.yaml"
    path.write_text(f"{incident.ref.lower()}: [retry-storm]\n", encoding="utf-8")
    assert [one.id for one in read_labels(path)] == [incident.ref]
    path.write_text(f"{incident.ref}: [retry-storm]\n{incident.ref.lower()}: [dns]\n", encoding="utf-8")
    with pytest.raises(Invalid, match=f"{incident.ref.lower()}: {incident.ref} is already listed"):
        read_labels(path)


def test_the_command_prints_both_halves_and_every_pattern():
    out = StringIO()
    call_command("evaluate_tagger", stdout=out)
    text = out.getvalue()
    assert "held out" in text
    assert "development" in text
    assert "micro F1" in text
    assert all(slug in text for slug in ("retry-storm", "single-point-of-failure"))
