from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tp_drseg.config import OperatingPoint, TPDRSegConfig
from tp_drseg.errors import DataError
from tp_drseg.evaluation.metrics import dice
from tp_drseg.evaluation.operating_points import choose_operating_points
from tp_drseg.evaluation.predictions import Prediction

Make = Callable[..., Prediction]


def by_hand(
    predictions: list[Prediction], free: list[Prediction], limit: float
) -> dict[float, float]:
    """Pooled Dice by threshold, for all thresholds that keep the limit."""
    probability = np.concatenate([p.probability[p.scored] for p in predictions])
    truth = np.concatenate([p.truth[p.scored] for p in predictions])

    def marked(threshold: float) -> float:
        return float(np.mean([(p.probability[p.scored] >= threshold).mean() for p in free]))

    thresholds = [float(t) for t in np.unique(probability) if not free or marked(t) <= limit]
    return {t: dice(probability >= t, truth) for t in thresholds}


@pytest.mark.parametrize("limit", [None, 0.01, 0.0005])
def test_best_dice_within_the_limit(
    limit: float | None, given: Any, fake_model: Any, make_prediction: Make
) -> None:
    seen = [make_prediction("a", 1), make_prediction("b", 2, ignored=True)]
    clean = [make_prediction(name, seed, share=0) for name, seed in (("x", 3), ("y", 4))]
    samples, free = given(*seen), given(*clean)
    points = choose_operating_points(fake_model, samples, lesion_free=free, most_marked=limit)
    assert list(points) == ["haemorrhage"]
    point = points["haemorrhage"]
    scores = by_hand(seen, [] if limit is None else clean, limit or 0)
    best = max(scores.values())
    assert dice(
        np.concatenate([p.probability[p.scored] for p in seen]) >= point.threshold,
        np.concatenate([p.truth[p.scored] for p in seen]),
    ) == pytest.approx(best, abs=2e-3)
    shares = [p.marked(point.threshold).sum() / p.scored.sum() for p in clean]
    assert np.mean(shares) <= (1 if limit is None else limit)
    truth = np.concatenate([p.truth[p.scored] for p in seen])
    marks = np.concatenate([p.marked(point.threshold)[p.scored] for p in seen])
    assert point.sensitivity == pytest.approx((truth & marks).sum() / truth.sum(), abs=1e-4)
    assert point.precision == pytest.approx((truth & marks).sum() / marks.sum(), abs=1e-4)
    assert "2 photographs (a, b)" in point.chosen_on
    assert ("lesion-free" in point.chosen_on) == (limit is not None)


def test_the_limit_matters(given: Any, fake_model: Any, make_prediction: Make) -> None:
    samples = given(make_prediction("a", 1))
    free = given(make_prediction("x", 3, share=0))
    thresholds = [
        choose_operating_points(fake_model, samples, lesion_free=free, most_marked=limit)[
            "haemorrhage"
        ].threshold
        for limit in (None, 0)
    ]
    assert thresholds[0] < thresholds[1]


def test_points_are_stored_and_others_stay(
    given: Any, fake_model: Any, make_prediction: Make
) -> None:
    kept = OperatingPoint(threshold=0.125, chosen_on="elsewhere")
    points = {"haemorrhage": OperatingPoint(threshold=0.9), "hard exudate": kept}
    fake_model.config = fake_model.config.replace(inference={"operating_points": points})
    samples = given(
        make_prediction("a", 1), make_prediction("a", 2, lesion="hard exudate", share=0)
    )
    points = choose_operating_points(fake_model, samples, chosen_on="a test")
    assert fake_model.config.inference.operating_points == {**points, "hard exudate": kept}
    assert points["haemorrhage"].chosen_on == "a test"
    again = TPDRSegConfig.from_json(fake_model.config.to_json())
    assert again.inference.operating_points == fake_model.config.inference.operating_points
    stored = json.loads(fake_model.config.to_json())["inference"]["operating_points"]["haemorrhage"]
    assert 0 < stored["sensitivity"] <= 1


def test_a_limit_that_leaves_no_mark_is_told(
    given: Any, fake_model: Any, make_prediction: Make, caplog: pytest.LogCaptureFixture
) -> None:
    seen, clean = make_prediction("a", 1), make_prediction("x", 3, share=0)
    clean.probability[30, 40] = 0.99999
    samples, free = given(seen), given(clean)
    with caplog.at_level(logging.WARNING):
        (point,) = choose_operating_points(
            fake_model, samples, lesion_free=free, most_marked=0
        ).values()
    assert "No haemorrhage is marked" in caplog.text
    assert (point.threshold, point.sensitivity, point.precision) == (1, 0, None)


def test_a_limit_that_cannot_be_kept(given: Any, fake_model: Any, make_prediction: Make) -> None:
    clean = make_prediction("x", 3, share=0)
    clean.probability[30, 40] = 1
    samples, free = given(make_prediction("a", 1)), given(clean)
    with pytest.raises(DataError, match=r"haemorrhage.*most_marked"):
        choose_operating_points(fake_model, samples, lesion_free=free, most_marked=0)
    with pytest.raises(DataError, match="most_marked"):
        choose_operating_points(fake_model, samples, lesion_free=free, most_marked=2)
    assert fake_model.config.inference.operating_points == {}
