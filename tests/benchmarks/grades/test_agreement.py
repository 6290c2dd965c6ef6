"""Kappa and area under the curve, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from benchmarks.grades.agreement import area_under_curve, quadratic_kappa, retinopathy_score
from tp_drseg.anatomy import Anatomy, Disc, Point, measure, read_signs


def test_kappa_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    first = random.integers(0, 3, 60)
    second = np.clip(first + random.integers(-1, 2, 60), 0, 2)
    found = quadratic_kappa(first.tolist(), second.tolist(), 3)
    assert found == pytest.approx(cohen_kappa_score(first, second, weights="quadratic"))
    assert quadratic_kappa([0, 1, 2], [0, 1, 2], 3) == 1


def test_area_under_the_curve_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    positive = random.random(50) < 0.4
    scores = np.round(random.random(50) + 0.3 * positive, 1)  # with ties
    assert area_under_curve(scores.tolist(), positive.tolist()) == pytest.approx(
        roc_auc_score(positive, scores)
    )
    with pytest.raises(ValueError, match="Both groups"):
        area_under_curve([1.0], [True])


def test_the_score_rises_with_each_sign() -> None:
    anatomy = Anatomy(Disc(350, 200, diameter=60), Point(200, 200), eye="right")

    def score(**marked: tuple[int, int]) -> float:
        names = ("microaneurysm", "haemorrhage", "hard exudate", "soft exudate")
        masks = {name: np.zeros((400, 400), bool) for name in names}
        for name, (x, y) in marked.items():
            masks[name.replace("_", " ")][y, x] = True
        return retinopathy_score(read_signs(measure(masks, anatomy)))

    nothing = score()
    assert nothing == 0
    assert score(microaneurysm=(9, 9)) > nothing
    assert score(haemorrhage=(9, 9)) > nothing
    assert score(hard_exudate=(210, 200)) > score(hard_exudate=(9, 9)) > nothing
    assert score(soft_exudate=(9, 9)) == 2
