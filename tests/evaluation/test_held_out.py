"""A score is called held out only where it is known to be."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from tp_drseg.config import LearnedPhotograph, Provenance, TPDRSegConfig
from tp_drseg.data import Sample
from tp_drseg.errors import DataError
from tp_drseg.evaluation.evaluate import Fold, evaluate, evaluate_folds
from tp_drseg.evaluation.held_out import HeldOut, divide
from tp_drseg.evaluation.predictions import Descriptions, Prediction
from tp_drseg.evaluation.tables import as_table, headlines, reported_scores, tables

Make = Callable[..., Prediction]


def learned(*samples: Sample, name: str | None = None) -> tuple[LearnedPhotograph, ...]:
    return tuple(
        LearnedPhotograph(
            name=name or sample.name, sha256=hashlib.sha256(sample.image.read_bytes()).hexdigest()
        )
        for sample in samples
    )


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    found = []
    for number, name in enumerate(("a", "b", "c", "d")):
        path = tmp_path / f"{name}.png"
        Image.new("RGB", (32, 32), (number, 0, 0)).save(path)
        found.append(Sample(name, path, {}))
    return found


def names(found: list[Sample]) -> list[str]:
    return [sample.name for sample in found]


def test_what_was_learned_from_is_left_out(samples: list[Sample]) -> None:
    provenance = Provenance(photographs=learned(samples[0], samples[2]))
    kept, split = divide(provenance, samples)
    assert names(kept) == ["b", "d"] and split.left_out == ("a", "c")
    assert split.held_out is HeldOut.YES and split.mark == ""
    assert "Left out, as the model has learned from them: 2 (a, c)." in split.sentences()


def test_another_name_does_not_hide_a_photograph(samples: list[Sample]) -> None:
    kept, split = divide(Provenance(photographs=learned(samples[0], name="x")), samples)
    assert names(kept) == ["b", "c", "d"] and split.left_out == ("a",)
    assert split.held_out is HeldOut.YES


def test_learned_ones_may_be_scored_but_are_told(samples: list[Sample]) -> None:
    provenance = Provenance(photographs=learned(samples[0]))
    kept, split = divide(provenance, samples, include_learned=True)
    assert kept == samples and split.learned == ("a",) and split.left_out == ()
    assert split.held_out is HeldOut.NO and split.mark == " (not held out)"
    assert any("scored all the same: 1 (a)" in text for text in split.sentences())
    kept, split = divide(provenance, samples[1:], include_learned=True)
    assert split.held_out is HeldOut.YES  # none of these was learned from


def test_a_model_that_does_not_say(samples: list[Sample]) -> None:
    kept, split = divide(Provenance(), samples)
    assert kept == samples and split.held_out is HeldOut.UNKNOWN
    assert split.mark == " (unknown whether held out)"
    assert "The model does not say which photographs it learned from." in split.sentences()


def test_a_copy_that_was_saved_anew_is_suspected(samples: list[Sample]) -> None:
    """Its bytes differ, so only the name tells: no longer is it called held out."""
    provenance = Provenance(photographs=learned(samples[0]))
    with Image.open(samples[0].image) as image:
        image.save(samples[0].image, compress_level=0)
    kept, split = divide(provenance, samples)
    assert kept == samples and split.namesakes == ("a",)
    assert split.held_out is HeldOut.UNKNOWN
    assert any("saved anew" in text and "(a)" in text for text in split.sentences())


def test_what_chose_the_operating_points_is_told(samples: list[Sample]) -> None:
    provenance = Provenance(photographs=learned(samples[0]), selected_on=learned(*samples[1:3]))
    _, split = divide(provenance, samples)
    assert split.selected == ("b", "c") and split.held_out is HeldOut.YES
    assert any("chosen on 2 of them (b, c)" in text for text in split.sentences())


def test_a_photograph_that_cannot_be_read(samples: list[Sample]) -> None:
    provenance = Provenance(photographs=learned(samples[0]))
    samples[1].image.unlink()
    with pytest.raises(DataError, match=r"b\.png.* does not exist"):
        divide(provenance, samples)


def model_of(config: TPDRSegConfig, photographs: tuple[LearnedPhotograph, ...]) -> Any:
    changed = config.replace(provenance=Provenance(photographs=photographs))
    return SimpleNamespace(config=changed, catalog=changed.lesions)


def test_an_evaluation_leaves_out_what_was_learned_from(
    given: Any, make_prediction: Make, small_config: TPDRSegConfig
) -> None:
    seen = [make_prediction(f"eye {n}", n) for n in range(4)]
    clean = [make_prediction(f"clean {n}", 10 + n, share=0) for n in range(2)]
    eyes, free = given(*seen), given(*clean)
    model = model_of(small_config, learned(eyes[0], eyes[3], free[1]))
    found = evaluate(model, eyes, lesion_free=free, bootstrap=0)
    assert found.photographs == ("eye 1", "eye 2") and found.lesion_free == ("clean 0",)
    assert found.split.left_out == ("eye 0", "eye 3", "clean 1")
    assert found.split.held_out is HeldOut.YES
    other = model_of(small_config, learned(eyes[0]))
    alone = evaluate(other, eyes[1:3], lesion_free=free[:1], bootstrap=0)
    assert str(alone.lesions) == str(found.lesions)  # the figures are those of the others alone
    with pytest.raises(DataError, match=r"learned from 2 of the photographs"):
        evaluate(model, [eyes[0], eyes[3]])


def test_progress_counts_what_is_scored(
    given: Any, make_prediction: Make, small_config: TPDRSegConfig
) -> None:
    eyes = given(*(make_prediction(f"eye {n}", n) for n in range(3)))
    free = given(make_prediction("clean", 9, share=0))
    told: list[tuple[int, int]] = []
    model = model_of(small_config, learned(eyes[0]))
    evaluate(
        model, eyes, lesion_free=free, bootstrap=0, progress=lambda *counts: told.append(counts)
    )
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_the_mark_stands_wherever_figures_do(
    given: Any, make_prediction: Make, small_config: TPDRSegConfig
) -> None:
    eyes = given(make_prediction("a", 1), make_prediction("b", 2))
    model = model_of(small_config, learned(eyes[0]))
    found = evaluate(model, eyes, include_learned=True, bootstrap=0)
    assert found.photographs == ("a", "b") and found.split.held_out is HeldOut.NO
    assert all(table.title.endswith(" (not held out)") for table in tables(found))
    assert all(line.title.endswith(" (not held out)") for line in headlines(found))
    assert "AUC-PR (not held out)" in as_table(found)["haemorrhage"]
    assert all("(not held out)" in s.metric_name for s in reported_scores(found, "Eyes", "eyes"))
    split = found.to_dict()["split"]
    assert isinstance(split, dict)
    assert split["held_out"] == "not held out" and split["learned"] == ["a"]
    good = evaluate(model, eyes, bootstrap=0)
    shown = [*(t.title for t in tables(good)), *as_table(good)["haemorrhage"]]
    assert not any("held out" in text for text in shown)


def test_folds_are_held_out_each_from_its_own_model(
    given: Any, make_prediction: Make, small_config: TPDRSegConfig
) -> None:
    """What one model learned from is what the other is scored on: that is what folds are."""
    first = given(make_prediction("a", 1), make_prediction("b", 2))
    second = given(make_prediction("c", 3), make_prediction("d", 4))
    good = [
        Fold(model_of(small_config, learned(*second)), first),
        Fold(model_of(small_config, learned(*first)), second),
    ]
    found = evaluate_folds(good, bootstrap=0)[Descriptions.OWN]
    assert found.photographs == ("a", "b", "c", "d") and found.split.held_out is HeldOut.YES
    mixed = [good[0], Fold(model_of(small_config, ()), second)]
    found = evaluate_folds(mixed, bootstrap=0)[Descriptions.OWN]
    assert found.split.held_out is HeldOut.UNKNOWN


def test_figures_for_a_model_card(
    given: Any, make_prediction: Make, small_config: TPDRSegConfig
) -> None:
    eyes = given(make_prediction("a", 1), make_prediction("b", 2))
    found = evaluate(model_of(small_config, learned(*given(make_prediction("z", 9)))), eyes)
    scores = reported_scores(found, "My eyes", "folder")
    assert [(s.metric_name.split()[0], s.lesion) for s in scores[:2]] == [
        ("AUC-PR,", "haemorrhage"),
        ("Dice,", "haemorrhage"),
    ]
    assert {(s.dataset, s.dataset_type) for s in scores} == {("My eyes", "folder")}
    assert not any(s.lesion == "soft exudate" for s in scores)  # no photograph has one
    assert scores[0].value == pytest.approx(found["haemorrhage"].average_precision, abs=1e-6)
    assert scores[-1].lesion == "mean"
    assert scores[-1].value == pytest.approx(found.mean.dice_per_image, abs=1e-6)
    few = reported_scores(found, "My eyes", "folder", ["hard exudate"])
    assert {s.lesion for s in few} <= {"hard exudate", "mean"}
