"""One lesion on the photographs so far: what its figures and their draws are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tp_drseg.evaluation.bootstrap import (
    draw_weights,
    pack,
    percentile_interval,
    pooled_areas,
    ratio,
)
from tp_drseg.evaluation.metrics import PixelCurve, eleven_threshold_area
from tp_drseg.evaluation.predictions import Prediction
from tp_drseg.evaluation.regions import TrueRegions
from tp_drseg.evaluation.scores import FrocPoint, LesionFreeScore, LesionScore, PhotographScore

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from tp_drseg.config import OperatingPoint

Draws = Mapping[str, NDArray[np.float64]]


class LesionTally:
    """One lesion on the photographs so far. Of each it keeps figures, and a packed histogram.

    Args:
        froc: Thresholds of the free-response curve.
        keep_histograms: Whether histograms are kept, some 0.5 MB a photograph, from which a
            bootstrap is made.
    """

    def __init__(self, froc: Sequence[float] = (), *, keep_histograms: bool = False) -> None:
        self.curve = PixelCurve()
        self.photographs: list[PhotographScore] = []
        self.points: dict[OperatingPoint, None] = {}
        self._at_eleven: list[NDArray[np.int64]] = []
        self._histograms: list[csr_array] = []
        self._keep_histograms = keep_histograms
        self._froc = {level: np.zeros(2, dtype=np.int64) for level in froc}

    def add(
        self, prediction: Prediction, point: OperatingPoint
    ) -> tuple[NDArray[np.bool_], PhotographScore]:
        """Add a photograph.

        Args:
            prediction: What the model says.
            point: The model's operating point.

        Returns:
            What is marked there, `(H, W)`, and the photograph's figures.
        """
        truth, scored = prediction.truth, prediction.scored
        curve = PixelCurve()
        curve.add(prediction.probability, truth, scored)
        self.curve.merge(curve)
        self._at_eleven.append(curve.counts_at_eleven_thresholds())
        if self._keep_histograms:
            self._histograms.append(pack(curve.histogram))
        mask = prediction.marked(point.threshold)
        regions = TrueRegions(truth, prediction.ignored)
        for level, total in self._froc.items():
            at_level = regions.match(prediction.marked(level))
            total += (at_level.detected, at_level.false_positives)
        score = PhotographScore(
            photograph=prediction.photograph,
            pixels=curve.pixels,
            positives=curve.positives,
            predicted=int((mask & scored).sum()),
            true_positives=int((mask & truth).sum()),
            average_precision=curve.average_precision(),
            roc_auc=curve.roc_auc(),
            regions=regions.match(mask),
        )
        self.photographs.append(score)
        self.points[point] = None
        return mask, score

    def draws(self, weights: NDArray[np.float64]) -> Draws:
        """Return every figure in every draw of the bootstrap, each `(draws,)`.

        None where fewer than two photographs have the lesion: from one, nothing can be said of
        others.

        Args:
            weights: `(draws, photographs)`, in the order in which photographs were added.
        """
        if not weights.size or sum(score.positives > 0 for score in self.photographs) < 2:
            return {}
        average_precision, roc_auc = pooled_areas(self._histograms, weights)
        return {
            "average_precision": average_precision,
            "roc_auc": roc_auc,
            **self._figures(weights),
        }

    def score(self, lesion: str, draws: Draws, lesion_free: LesionFreeScore | None) -> LesionScore:
        """Return the figures of all photographs that were added."""
        photographs, curve = self.photographs, self.curve
        once = self._figures(np.ones((1, len(photographs))))
        lesions = sum(score.regions.lesions for score in photographs)
        oracle_threshold, oracle_dice = curve.best_dice()
        return LesionScore(
            **{name: float(values[0]) for name, values in once.items()},
            average_precision=curve.average_precision(),
            roc_auc=curve.roc_auc(),
            draws=draws,
            lesion=lesion,
            photographs=len(photographs),
            with_lesion=sum(score.positives > 0 for score in photographs),
            prevalence=curve.positives / max(1, curve.pixels),
            thresholds=tuple(dict.fromkeys(point.threshold for point in self.points)),
            chosen_on=tuple(dict.fromkeys(point.chosen_on for point in self.points)),
            average_precision_bounds=curve.average_precision_bounds(),
            lesions=lesions,
            detected=sum(score.regions.detected for score in photographs),
            false_positives=sum(score.regions.false_positives for score in photographs),
            oracle_threshold=oracle_threshold,
            oracle_dice=oracle_dice,
            lesion_free=lesion_free,
            froc=tuple(
                FrocPoint(
                    threshold=level,
                    lesion_sensitivity=detected / lesions if lesions else float("nan"),
                    false_positives_per_image=false_positives / max(1, len(photographs)),
                )
                for level, (detected, false_positives) in sorted(self._froc.items())
            ),
            curve=curve,
            per_photograph=tuple(photographs),
        )

    def lesion_free_score(self, bootstrap: int, seed: int) -> LesionFreeScore | None:
        """Return what is marked on the photographs, which have no lesion; `None` for none."""
        if not self.photographs:
            return None
        shares = np.array([score.predicted_share for score in self.photographs])
        drawn = draw_weights(len(shares), bootstrap, seed) @ shares / len(shares)
        detections = [score.regions.detections for score in self.photographs]
        return LesionFreeScore(
            photographs=len(shares),
            with_mark=int((shares > 0).sum()),
            marked_mean=float(shares.mean()),
            marked_max=float(shares.max()),
            detections_per_image=float(np.mean(detections)),
            interval=percentile_interval(drawn) if len(shares) > 1 and bootstrap else None,
        )

    def _figures(self, weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """All figures but the exact pooled areas, each `(draws,)`."""

        def column(name: str) -> NDArray[np.float64]:
            return np.array([getattr(score, name) for score in self.photographs], dtype=np.float64)

        def regions(name: str) -> NDArray[np.float64]:
            counts = [getattr(score.regions, name) for score in self.photographs]
            return np.array(counts, dtype=np.float64)

        hits, predicted, positives = (
            weights @ column(name) for name in ("true_positives", "predicted", "positives")
        )
        at_eleven = np.tensordot(weights, np.array(self._at_eleven).reshape(-1, 2, 12), axes=1)
        figures = {
            "average_precision_at_11": eleven_threshold_area(at_eleven),
            "pooled_dice": ratio(2 * hits, predicted + positives),
            "pooled_iou": ratio(hits, predicted + positives - hits),
            "sensitivity": ratio(hits, positives),
            "precision": ratio(hits, predicted),
            "lesion_sensitivity": ratio(
                weights @ regions("detected"), weights @ regions("lesions")
            ),
            "false_positives_per_image": ratio(
                weights @ regions("false_positives"), weights.sum(axis=1)
            ),
        }
        for name in ("average_precision", "roc_auc", "dice", "iou", "sensitivity", "precision"):
            exists = ~np.isnan(column(name))
            drawn = weights[:, exists]
            figures[f"{name}_per_image"] = ratio(drawn @ column(name)[exists], drawn.sum(axis=1))
        return figures
