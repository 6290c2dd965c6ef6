"""Bootstrap draws that are the same for every row, so that rows can be compared draw by draw."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tp_drseg.evaluation.bootstrap import draw_weights, pack, pooled_areas, ratio
from tp_drseg.evaluation.metrics import PixelCurve
from tp_drseg.evaluation.predictions import Prediction
from tp_drseg.evaluation.scores import Evaluation, PhotographScore

COMPARED = ("average_precision", "dice_per_image")
"""The figures of `Figures` that rows are compared by."""


class Histograms:
    """Sees the predictions of an evaluation (its `watch`) and keeps what draws are made from."""

    def __init__(self) -> None:
        self.by_lesion: dict[str, list[Any]] = {}

    def __call__(
        self, prediction: Prediction, mask: NDArray[np.bool_], score: PhotographScore
    ) -> None:
        """Keep one lesion of one photograph."""
        curve = PixelCurve()
        curve.add(prediction.probability, prediction.truth, prediction.scored)
        self.by_lesion.setdefault(prediction.lesion, []).append(pack(curve.histogram))


def mean_draws(
    evaluation: Evaluation, histograms: Histograms, draws: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """The mean over lesions of each compared figure in each draw of photographs, `(draws,)`.

    A lesion that no photograph has is left out; a draw that misses one of the others is NaN, and
    so are all when only one photograph has it: from one, nothing can be said of others. Equal
    seeds and photographs give equal draws, whatever the model.
    """
    if not draws:
        return {name: np.empty(0) for name in COMPARED}
    names = evaluation.photographs
    weights = draw_weights(len(names), draws, seed)
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in COMPARED}
    for score in evaluation:
        if not score.with_lesion:
            continue
        own = weights[:, [names.index(case.photograph) for case in score.per_photograph]]
        found["average_precision"].append(pooled_areas(histograms.by_lesion[score.lesion], own)[0])
        dice = np.array([case.dice for case in score.per_photograph])
        has = ~np.isnan(dice)
        found["dice_per_image"].append(ratio(own[:, has] @ dice[has], own[:, has].sum(axis=1)))
        if has.sum() < 2:
            return {name: np.full(draws, np.nan) for name in COMPARED}
    return {name: np.mean(values, axis=0) for name, values in found.items()}
