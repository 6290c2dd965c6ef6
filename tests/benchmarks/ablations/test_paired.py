from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from benchmarks.ablations.paired import Histograms, mean_draws
from tp_drseg.evaluation.bootstrap import draw_weights


def test_draws_are_those_of_resampled_photographs() -> None:
    """Against sklearn on the drawn photographs' pixels put together."""
    rng = np.random.default_rng(0)
    names = ("a", "b", "c")
    histograms, lesions = Histograms(), []
    pixels: dict[str, list[tuple[NDArray[Any], NDArray[Any]]]] = {}
    for lesion in ("haemorrhage", "soft exudate"):
        cases = []
        for name in names:
            truth = rng.random(200) < (0 if (lesion, name) == ("soft exudate", "b") else 0.2)
            probability = (rng.integers(0, 30, 200) / 64 + 0.3 * truth).astype(np.float32)
            pixels.setdefault(lesion, []).append((truth, probability))
            dice = float(rng.random()) if truth.any() else float("nan")
            cases.append(SimpleNamespace(photograph=name, dice=dice))
            seen: Any = SimpleNamespace(
                lesion=lesion, probability=probability, truth=truth, scored=np.ones(200, bool)
            )
            histograms(seen, truth, cases[-1])  # type: ignore[arg-type]
        lesions.append(SimpleNamespace(lesion=lesion, with_lesion=1, per_photograph=cases))
    absent = SimpleNamespace(lesion="hard exudate", with_lesion=0, per_photograph=[])

    class Found(list[Any]):
        photographs = names

    found: Any = Found([*lesions, absent])
    draws = mean_draws(found, histograms, 8, seed=3)
    for number, weights in enumerate(draw_weights(3, 8, 3).astype(int)):
        areas, dices = [], []
        for found_of in lesions:
            drawn = np.repeat(np.arange(3), weights)
            truth = np.concatenate([pixels[found_of.lesion][i][0] for i in drawn])
            probability = np.concatenate([pixels[found_of.lesion][i][1] for i in drawn])
            areas.append(average_precision_score(truth, probability) if truth.any() else np.nan)
            own = [found_of.per_photograph[i].dice for i in drawn]
            dices.append(np.nanmean(own) if not np.isnan(own).all() else np.nan)
        np.testing.assert_allclose(draws["average_precision"][number], np.mean(areas), atol=1e-6)
        np.testing.assert_allclose(draws["dice_per_image"][number], np.mean(dices), atol=1e-12)
    lesions[0].per_photograph[0].dice = lesions[0].per_photograph[1].dice = float("nan")
    assert np.isnan(mean_draws(found, histograms, 8, seed=3)["average_precision"]).all()
    assert mean_draws(found, histograms, 0, seed=3)["average_precision"].shape == (0,)
