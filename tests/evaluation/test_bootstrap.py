from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tp_drseg.evaluation import bootstrap
from tp_drseg.evaluation.bootstrap import draw_weights, pack, percentile_interval, pooled_areas
from tp_drseg.evaluation.metrics import PixelCurve

DRAWS = 20


def curve(seed: int, positives: int, pixels: int = 3000, zeros: int = 100) -> PixelCurve:
    rng = np.random.default_rng(seed)
    truth = np.arange(pixels) < positives
    logits = rng.normal(size=pixels) * 3 - 4 + 2 * truth
    probability = (1 / (1 + np.exp(-logits))).astype(np.float32)
    probability[rng.integers(0, pixels, zeros)] = 0
    result = PixelCurve()
    result.add(probability, truth)
    return result


def direct(curves: list[PixelCurve], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The areas of the curves summed as often as they are drawn."""
    areas = []
    for row in weights:
        total = PixelCurve()
        for times, one in zip(row, curves, strict=True):
            for _ in range(int(times)):
                total.merge(one)
        areas.append((total.average_precision(), total.roc_auc()))
    return np.array(areas).T


@pytest.mark.parametrize("block", [None, 64, 1])
def test_areas_of_draws_are_those_of_summed_curves(
    block: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if block:
        monkeypatch.setattr(bootstrap, "_ENTRIES", block * DRAWS)
    curves = [curve(seed, positives) for seed, positives in enumerate((30, 0, 200, 5, 0, 60))]
    weights = draw_weights(len(curves), DRAWS, seed=3)
    found = pooled_areas([pack(one.histogram) for one in curves], weights)
    np.testing.assert_allclose(found, direct(curves, weights), rtol=0, atol=1e-12)
    assert len(np.unique(found[0])) > DRAWS / 2


def test_what_no_curve_gives_no_draw_gives() -> None:
    curves = [curve(0, 10), curve(1, 0), curve(2, 3000)]
    weights = np.array([[0, 3, 0], [0, 0, 3], [3, 0, 0], [1, 1, 1.0]])
    found = pooled_areas([pack(one.histogram) for one in curves], weights)
    expected = direct(curves, weights)
    assert np.isnan(expected[:, 0]).all() and expected[0, 1] == 1 and np.isnan(expected[1, 1])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert np.isnan(pooled_areas([pack(curves[1].histogram)], np.ones((1, 1)))).all()


def test_draws_are_seeded_and_as_large_as_the_set() -> None:
    weights = draw_weights(7, 500, seed=1)
    assert weights.shape == (500, 7) and (weights.sum(axis=1) == 7).all()
    assert (weights == draw_weights(7, 500, seed=1)).all()
    assert (weights != draw_weights(7, 500, seed=2)).any()
    assert abs(weights.mean(axis=0) - 1).max() < 0.2


def test_interval() -> None:
    values = np.arange(1001.0)
    expected = pytest.approx((25, 975))
    assert percentile_interval(np.random.default_rng(0).permutation(values)) == expected
    assert percentile_interval(np.append(values, [np.nan] * 50)) == expected
    assert np.isnan(percentile_interval(np.full(3, np.nan))).all()


def test_the_interval_covers_the_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    weights = draw_weights(40, 400, seed=0)
    hits = 0
    for _ in range(300):
        low, high = percentile_interval(weights @ rng.normal(size=40) / 40)
        hits += low <= 0 <= high
    assert 0.9 <= hits / 300 <= 0.98
