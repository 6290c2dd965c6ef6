from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import (
    auc,
    average_precision_score,
    f1_score,
    jaccard_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from tp_drseg.errors import DataError
from tp_drseg.evaluation.metrics import PixelCurve, dice, iou

PIXELS = 50_000
Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]


def _sigmoid(logits: Floats) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float32)


def _sample(prevalence: float = 0.02) -> tuple[Floats, Bools]:
    rng = np.random.default_rng(0)
    truth = rng.random(PIXELS) < prevalence
    return rng.normal(size=PIXELS) + 2 * truth, truth


def _curve(probability: Floats, truth: Bools) -> PixelCurve:
    curve = PixelCurve()
    curve.add(probability, truth)
    return curve


LOGITS, TRUTH = _sample()
PROBABILITIES = {
    "well spread": _sigmoid(LOGITS),
    "crowded near 0": _sigmoid(4 * LOGITS - 20),
    "hardly above 0": np.exp(3 * LOGITS - 38).clip(0, 1).astype(np.float32),
    "crowded near 1": _sigmoid(2 * LOGITS + 10),
    "at both ends": np.where(np.arange(PIXELS) % 2, _sigmoid(LOGITS - 12), _sigmoid(LOGITS + 9)),
    "no information": np.random.default_rng(1).random(PIXELS, dtype=np.float32),
    "ties": np.round(_sigmoid(LOGITS), 2),
    "half precision": _sigmoid(LOGITS).astype(np.float16),
    "only 0 and 1": (LOGITS > 1.5).astype(np.float32),
    "constant": np.full(PIXELS, 0.3, dtype=np.float32),
}


@pytest.mark.parametrize("name", PROBABILITIES)
def test_areas_agree_with_sklearn(name: str) -> None:
    probability = PROBABILITIES[name]
    curve = _curve(probability, TRUTH)
    expected = average_precision_score(TRUTH, probability)
    assert curve.average_precision() == pytest.approx(expected, abs=1e-4)
    assert curve.roc_auc() == pytest.approx(roc_auc_score(TRUTH, probability), abs=1e-4)


@pytest.mark.parametrize("name", PROBABILITIES)
def test_the_exact_average_precision_lies_in_its_bounds(name: str) -> None:
    probability = PROBABILITIES[name]
    curve = _curve(probability, TRUTH)
    low, high = curve.average_precision_bounds()
    assert low - 1e-9 <= average_precision_score(TRUTH, probability) <= high + 1e-9
    assert low - 1e-9 <= curve.average_precision() <= high + 1e-9


def test_bounds_hold_for_any_order_within_a_bin() -> None:
    """Both are reached: by other pixels first, and by lesion pixels first as ties."""
    below, above = (np.float32(x) for x in (0.3, 0.3 * (1 + 2**-13)))
    truth = np.array([1, 1, 0, 0, 0], dtype=bool)
    best = np.where(truth, above, below)
    low, high = _curve(best, truth).average_precision_bounds()
    assert average_precision_score(truth, best) == pytest.approx(high) == 1
    worst = np.array([below, np.nextafter(below, np.float32(0)), above, above, above])
    assert _curve(worst, truth).average_precision_bounds() == (low, high)
    assert average_precision_score(truth, worst) == pytest.approx(low)
    assert low == pytest.approx((1 / 4 + 2 / 5) / 2)


def test_bounds_are_narrow_where_probabilities_are_spread() -> None:
    rng = np.random.default_rng(3)
    truth = rng.random(400_000) < 0.01
    curve = _curve(_sigmoid(2 * rng.normal(size=truth.size) + 4 * truth - 4), truth)
    low, high = curve.average_precision_bounds()
    assert 0 < high - low < 2e-3


def eleven_thresholds(truth: Bools, probability: Floats) -> float:
    """The plain way: eleven masks, and the area by trapezoids."""
    recall, precision = [], []
    for threshold in np.linspace(0, 1, 11):
        mask = probability > threshold
        hits = (mask & truth).sum()
        recall.append(hits / truth.sum())
        precision.append(hits / mask.sum() if mask.any() else 1)
    return float(auc(recall, precision))


@pytest.mark.parametrize("name", PROBABILITIES)
def test_area_of_eleven_thresholds(name: str) -> None:
    probability = PROBABILITIES[name]
    if name in ("ties", "half precision"):  # these have values that are thresholds, but for float32
        probability = (probability * 0.999).astype(np.float32)
    curve = _curve(probability, TRUTH)
    expected = eleven_thresholds(TRUTH, probability)
    assert curve.average_precision_at_eleven_thresholds() == pytest.approx(expected, abs=1e-3)


def test_eleven_thresholds_are_not_the_exact_area() -> None:
    curve = _curve(PROBABILITIES["crowded near 0"], TRUTH)
    exact = curve.average_precision()
    assert abs(curve.average_precision_at_eleven_thresholds() - exact) > 0.05


def test_few_distinct_values_are_exact() -> None:
    probability = np.array([0, 1e-6, 0.25, 0.5, 0.5, 0.75, 1 - 2**-20, 1], dtype=np.float32)
    truth = np.array([0, 0, 1, 0, 1, 0, 1, 0], dtype=bool)
    curve = _curve(probability, truth)
    assert curve.average_precision() == pytest.approx(
        average_precision_score(truth, probability), abs=1e-12
    )
    # By hand, from the top: 1 (0 of 1), 1 - 2^-20 (1 of 2), 0.75 (1 of 3), 0.5 (2 of 5), 0.25 (3
    # of 6), ...
    precision, recall, thresholds = curve.precision_recall()
    np.testing.assert_allclose(precision, [0, 1 / 2, 1 / 3, 2 / 5, 3 / 6, 3 / 7, 3 / 8])
    np.testing.assert_allclose(recall, [0, 1 / 3, 1 / 3, 2 / 3, 1, 1, 1])
    assert thresholds[[0, 3, 4, 6]].tolist() == [1, 0.5, 0.25, 0]


def test_precision_and_recall_agree_with_the_average_precision() -> None:
    curve = _curve(PROBABILITIES["well spread"], TRUTH)
    precision, recall, thresholds = curve.precision_recall()
    assert (np.diff(thresholds) < 0).all() and (np.diff(recall) >= 0).all()
    area = np.sum(np.diff(recall, prepend=0) * precision)
    assert curve.average_precision() == pytest.approx(area, abs=1e-12)


@pytest.mark.parametrize("threshold", [0, 0.25, 0.5, 0.75, 0.9375, 1])
def test_scores_at_a_threshold(threshold: float) -> None:
    probability = PROBABILITIES["ties"].copy()
    probability[:100] = threshold  # a probability equal to the threshold is predicted
    predicted = probability >= threshold
    curve = _curve(probability, TRUTH)
    assert curve.dice_at(threshold) == pytest.approx(f1_score(TRUTH, predicted))
    assert curve.precision_at(threshold) == pytest.approx(precision_score(TRUTH, predicted))
    assert curve.recall_at(threshold) == pytest.approx(recall_score(TRUTH, predicted))


def test_threshold_just_above_a_half() -> None:
    probability = np.array([0.5, np.nextafter(np.float32(0.5), np.float32(0))], dtype=np.float32)
    curve = _curve(probability, np.array([True, False]))
    assert curve.precision_at(0.5) == 1


@pytest.mark.parametrize("name", PROBABILITIES)
def test_best_dice_holds_for_the_mask_at_its_threshold(name: str) -> None:
    probability = PROBABILITIES[name]
    curve = _curve(probability, TRUTH)
    threshold, best = curve.best_dice()
    assert best == curve.dice_at(threshold)
    assert best == pytest.approx(dice(probability >= threshold, TRUTH), abs=1e-12)
    others = [dice(probability >= t, TRUTH) for t in np.quantile(probability, np.arange(0, 1, 0.1))]
    assert best >= max(others) - 1e-3


def test_images_are_pooled() -> None:
    probability, parts = PROBABILITIES["well spread"], np.array_split(np.arange(PIXELS), 3)
    whole = _curve(probability, TRUTH)
    curves = [_curve(probability[part], TRUTH[part]) for part in parts]
    summed = sum(curves, PixelCurve())
    merged = PixelCurve()
    for curve in curves:
        merged.merge(curve)
    for pooled in (summed, merged):
        assert pooled.pixels == PIXELS and pooled.positives == TRUTH.sum()
        assert pooled.average_precision() == whole.average_precision()
    assert curves[0].pixels == len(parts[0])  # summing changed no part


def test_only_pixels_of_where_are_scored() -> None:
    probability = PROBABILITIES["well spread"].reshape(100, -1)
    truth, where = TRUTH.reshape(100, -1), np.zeros((100, PIXELS // 100), dtype=bool)
    where[20:70, 100:] = True
    outside = probability.copy()
    outside[~where] = np.nan
    curve = PixelCurve()
    curve.add(outside, truth, where)
    assert curve.pixels == where.sum()
    expected = average_precision_score(truth[where], probability[where])
    assert curve.average_precision() == pytest.approx(expected, abs=1e-4)


def test_more_pixels_than_one_chunk() -> None:
    probability = np.tile(PROBABILITIES["well spread"], 23)
    assert probability.size > 1 << 20
    curve, once = (
        _curve(probability, np.tile(TRUTH, 23)),
        _curve(PROBABILITIES["well spread"], TRUTH),
    )
    assert curve.pixels == probability.size
    assert curve.average_precision() == pytest.approx(once.average_precision(), abs=1e-12)


def test_without_positives_there_is_no_area() -> None:
    curve = _curve(np.array([0.1, 0.2], dtype=np.float32), np.array([False, False]))
    assert np.isnan(curve.average_precision())
    assert np.isnan(curve.roc_auc())
    assert np.isnan(curve.best_dice()).all()
    assert np.isnan(curve.average_precision_bounds()).all()
    assert np.isnan(curve.average_precision_at_eleven_thresholds())
    assert np.isnan(curve.recall_at(0.5)) and np.isnan(curve.precision_at(0.5))
    assert np.isnan(curve.dice_at(0.5)) and curve.dice_at(0.15) == 0
    assert np.isnan(curve.precision_recall()[1]).all()
    assert np.isnan(PixelCurve().average_precision())


def test_without_negatives_there_is_no_roc() -> None:
    curve = _curve(np.array([0.1, 0.2], dtype=np.float32), np.array([True, True]))
    assert np.isnan(curve.roc_auc())
    assert curve.average_precision() == 1


@pytest.mark.parametrize("bad", [np.nan, -0.01, 1.01, np.inf])
def test_no_probability(bad: float) -> None:
    curve = PixelCurve()
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        curve.add(np.array([0.5, bad]), np.array([True, False]))
    assert curve.pixels == 0


def test_shapes_and_thresholds_are_checked() -> None:
    curve = PixelCurve()
    with pytest.raises(DataError, match=r"probability is of shape \(2, 3\), truth of shape \(3, 2"):
        curve.add(np.zeros((2, 3)), np.zeros((3, 2), dtype=bool))
    with pytest.raises(DataError, match="where"):
        curve.add(np.zeros(3), np.zeros(3, dtype=bool), np.zeros(4, dtype=bool))
    with pytest.raises(DataError, match="threshold"):
        curve.dice_at(1.5)
    with pytest.raises(DataError, match="mask is of shape"):
        dice(np.zeros((2, 2)), np.zeros((2, 3)))


def test_dice_and_iou_of_one_image() -> None:
    rng = np.random.default_rng(2)
    mask, truth = rng.random((2, 30, 40)) < 0.3
    assert dice(mask, truth) == pytest.approx(f1_score(truth.ravel(), mask.ravel()))
    assert iou(mask, truth) == pytest.approx(jaccard_score(truth.ravel(), mask.ravel()))


@pytest.mark.parametrize("score", [dice, iou])
def test_empty_masks(score: Callable[..., float]) -> None:
    nothing, something = np.zeros((2, 2), dtype=bool), np.eye(2, dtype=bool)
    assert score(nothing, nothing) == 1
    assert np.isnan(score(nothing, nothing, empty=np.nan))
    for empty in (1.0, np.nan):
        assert score(something, nothing, empty=empty) == 0
        assert score(nothing, something, empty=empty) == 0
        assert score(something, something, empty=empty) == 1
