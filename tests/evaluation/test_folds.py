"""Models of one recipe, each scored on its own photographs, pooled."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from tp_drseg.config import OperatingPoint, TPDRSegConfig
from tp_drseg.errors import DataError
from tp_drseg.evaluation.evaluate import Fold, evaluate, evaluate_folds
from tp_drseg.evaluation.predictions import Descriptions, Prediction
from tp_drseg.evaluation.tables import operating_points_text, tables
from tp_drseg.lesions import LesionCatalog

Make = Callable[..., Prediction]
OWN = Descriptions.OWN


class FakeModel(SimpleNamespace):
    """What of a model is asked for when its predictions are given."""


def fold_model(config: TPDRSegConfig, threshold: float, chosen_on: str) -> Any:
    point = OperatingPoint(threshold=threshold, chosen_on=chosen_on)
    changed = config.replace(inference={"operating_points": {"haemorrhage": point}})
    return FakeModel(config=changed, catalog=changed.lesions)


def test_pixels_of_all_folds_are_pooled(
    given: Any, make_prediction: Make, small_config: TPDRSegConfig
) -> None:
    """Each photograph is marked at its own model's operating point."""
    seen = [[make_prediction(f"{fold}{n}", 10 * fold + n) for n in range(3)] for fold in range(2)]
    clean = [make_prediction(f"clean {fold}", 90 + fold, share=0) for fold in range(2)]
    thresholds = (0.25, 0.75)
    folds = [
        Fold(fold_model(small_config, t, f"fold {n}"), given(*own), given(free))
        for n, (t, own, free) in enumerate(zip(thresholds, seen, clean, strict=True))
    ]
    found = evaluate_folds(folds, bootstrap=20)[OWN]
    score = found["haemorrhage"]
    every = [p for own in seen for p in own]
    truth = np.concatenate([p.truth[p.scored] for p in every])
    probability = np.concatenate([p.probability[p.scored] for p in every])
    mask = np.concatenate(
        [p.probability[p.scored] >= t for own, t in zip(seen, thresholds, strict=True) for p in own]
    )
    assert score.average_precision == pytest.approx(
        average_precision_score(truth, probability), abs=2e-4
    )
    assert score.pooled_dice == pytest.approx(f1_score(truth, mask))
    assert score.thresholds == thresholds and score.chosen_on == ("fold 0", "fold 1")
    assert found.photographs == ("00", "01", "02", "10", "11", "12")
    assert found.lesion_free == ("clean 0", "clean 1")
    assert score.lesion_free is not None
    marked = [p.marked(t).sum() / p.scored.sum() for p, t in zip(clean, thresholds, strict=True)]
    assert score.lesion_free.marked_mean == pytest.approx(np.mean(marked))
    row = next(row for row in tables(found)[0].rows if row[0].figure == "haemorrhage")
    assert row[-1].figure == "0.250-0.750"
    assert "chosen on fold 0; fold 1." in operating_points_text(found)


def test_one_fold_is_an_evaluation(given: Any, fake_model: Any, make_prediction: Make) -> None:
    samples = given(make_prediction("a", 1), make_prediction("b", 2))
    alone = evaluate(fake_model, samples, bootstrap=10)
    assert str(alone) == str(evaluate_folds([Fold(fake_model, samples)], bootstrap=10)[OWN])


def test_no_model_is_kept(given: Any, make_prediction: Make, small_config: TPDRSegConfig) -> None:
    """Models may be larger than what is left of memory: one is there at a time."""
    alive: list[weakref.ref[FakeModel]] = []

    def folds() -> Iterator[Fold]:
        for name in ("a", "b", "c"):
            gc.collect()
            assert not any(ref() is not None for ref in alive)
            model = fold_model(small_config, 0.5, "")
            alive.append(weakref.ref(model))
            samples = given(make_prediction(name, 1))
            fold = Fold(model, samples)
            del model
            yield fold
            del fold

    evaluate_folds(folds(), bootstrap=0)
    assert len(alive) == 3


def test_a_photograph_counts_once(given: Any, fake_model: Any, make_prediction: Make) -> None:
    samples, free = given(make_prediction("a", 1)), given(make_prediction("x", 2, share=0))
    with pytest.raises(DataError, match="photograph a is there twice"):
        evaluate_folds([Fold(fake_model, samples), Fold(fake_model, samples)])
    with pytest.raises(DataError, match="photograph x is there twice"):
        evaluate(fake_model, samples, lesion_free=[*free, *free])


def test_models_of_one_recipe_have_the_same_lesions(
    given: Any, fake_model: Any, make_prediction: Make
) -> None:
    other: Any = FakeModel(
        catalog=LesionCatalog((replace(fake_model.catalog.lesions[0], name="drusen"),)),
        config=fake_model.config,
    )
    folds = [Fold(fake_model, given(make_prediction("a", 1))), Fold(other, [])]
    with pytest.raises(DataError, match=r"different lesions: .*haemorrhage.* and drusen"):
        evaluate_folds(folds)
    with pytest.raises(DataError, match="no fold"):
        evaluate_folds([])
