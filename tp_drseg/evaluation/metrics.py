"""Pixel metrics of one lesion, each with its convention declared.

Pooled
    :class:`PixelCurve` puts the pixels of all images into one pool and scores the pool once; an
    image counts by its pixels, and an image without the lesion still counts by its false positives.
    AUC-PR is the step-wise average precision, ``sum_n (R_n - R_{n-1}) P_n``, as in scikit-learn's
    ``average_precision_score``: nothing is interpolated between points. AUC-ROC is the area by the
    trapezoid rule, equal to ``roc_auc_score``.
Per image
    :func:`dice` and :func:`iou` score one mask. The caller averages them, and says what an image
    without the lesion counts.

Which pixels are scored is the caller's choice (``where``): all of them, or the field of view only.
The black surround is easy to get right, so it raises AUC-ROC and leaves AUC-PR nearly as it is.
A pixel is predicted to be lesion when its probability is at least the threshold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tp_drseg.errors import DataError

# A probability is binned by the leading bits of its float32 pattern, since positive floats have the
# order of their patterns: 2048 bins for each halving. From 0.5 on, 1 - p (exact in float32) is
# binned in its place, so that both ends are resolved alike. All patterns below are shifted.
_SHIFT = 12
_LEAST = (127 - 64) << (23 - _SHIFT)  # 2^-64; what is less shares bin 0
_HALF = (127 - 1) << (23 - _SHIFT)  # 0.5
_ULP = (127 - 24) << (23 - _SHIFT)  # 2^-24, the least that 1 - p can be in float32, short of 0
_HALF_BIN = _HALF - _LEAST + 1
_BINS = _HALF_BIN + _HALF - _ULP + 2
_CHUNK = 1 << 20


class PixelCurve:
    """Probabilities and truths of one lesion's pixels, over any number of images.

    Pixels are kept as two histograms of 176,131 bins (2.8 MB in all), however many are added.
    Probabilities of one bin count as ties; they differ by at most 1/2048 of themselves, or of
    their distance to 1 from 0.5 on. That is a step of 0.0005 to 0.001 in the logit. Average
    precision and AUC-ROC agree with scikit-learn's to 1e-4 when the logits spread over 1 or more.

    Curves add up, so a bootstrap over images keeps one curve per image and sums those it draws:
    ``sum(drawn, PixelCurve())``.
    """

    def __init__(self) -> None:
        self._counts: NDArray[np.int64] = np.zeros((2, _BINS), dtype=np.int64)

    def add(
        self,
        probability: NDArray[np.floating],
        truth: NDArray[np.bool_],
        where: NDArray[np.bool_] | None = None,
    ) -> None:
        """Add the pixels of an image.

        Args:
            probability: Of any shape, in [0, 1]; taken as float32.
            truth: Of the same shape, true (or not 0) on the lesion.
            where: Of the same shape, true on the pixels to score; all of them by default.

        Raises:
            DataError: The shapes differ, or a scored probability is NaN or outside [0, 1]. Nothing
                is added then.
        """
        probability, truth = np.asarray(probability), np.asarray(truth)
        _same_shape("probability", probability, "truth", truth)
        if where is not None:
            _same_shape("probability", probability, "where", np.asarray(where))
            chosen = np.asarray(where, dtype=bool)
            probability, truth = probability[chosen], truth[chosen]
        if probability.size and not (probability.min() >= 0 and probability.max() <= 1):
            raise DataError(
                "Probabilities must lie in [0, 1], with no NaN; these go from "
                f"{probability.min()} to {probability.max()}. Pass logits through a sigmoid first."
            )
        values, labels = probability.ravel(), truth.ravel()
        for start in range(0, values.size, _CHUNK):
            chunk = slice(start, start + _CHUNK)
            keys = _bin(values[chunk]) + _BINS * labels[chunk].astype(bool)
            self._counts += np.bincount(keys, minlength=2 * _BINS).reshape(2, _BINS)

    def merge(self, other: PixelCurve) -> None:
        """Add all pixels of another curve to this one."""
        self._counts += other._counts

    def __add__(self, other: PixelCurve) -> PixelCurve:
        total = PixelCurve()
        total._counts = self._counts + other._counts
        return total

    @property
    def pixels(self) -> int:
        """How many pixels were added."""
        return int(self._counts.sum())

    @property
    def positives(self) -> int:
        """How many of them are lesion."""
        return int(self._counts[1].sum())

    @property
    def histogram(self) -> NDArray[np.int64]:
        """The counts, ``(2, bins)``: row 0 of other pixels, row 1 of lesion; a copy."""
        copy: NDArray[np.int64] = self._counts.copy()
        return copy

    @staticmethod
    def thresholds() -> NDArray[np.float32]:
        """``(bins,)``, ascending: the threshold that takes in a bin and all above it."""
        return _edges()

    def average_precision(self) -> float:
        """Area under the precision-recall curve, step-wise.

        Returns:
            In [0, 1]; NaN when no pixel is lesion, as recall then has no meaning. (scikit-learn
            gives 0 there.) Chance level is the share of positives.
        """
        if not self.positives:
            return float("nan")
        true, false, _ = self._above()
        gained = np.diff(true, prepend=0) / self.positives
        return float(np.sum(gained * true / (true + false)))

    def roc_auc(self) -> float:
        """Area under the receiver operating characteristic.

        Returns:
            In [0, 1], chance level 0.5; NaN unless there are both lesion and other pixels.
        """
        negatives = self.pixels - self.positives
        if not self.positives or not negatives:
            return float("nan")
        true, false, _ = self._above()
        recall = np.concatenate([[0], true]) / self.positives
        fallout = np.concatenate([[0], false]) / negatives
        return float(np.sum(np.diff(fallout) * (recall[1:] + recall[:-1]) / 2))

    def dice_at(self, threshold: float) -> float:
        """Dice coefficient (F1) of the pooled pixels.

        Args:
            threshold: In [0, 1], rounded down to a bin's edge; 0.5 is exact.

        Returns:
            In [0, 1]; NaN when no pixel is lesion and none is predicted to be.
        """
        true, false = self._at(threshold)
        return _ratio(2 * true, true + false + self.positives)

    def precision_at(self, threshold: float) -> float:
        """Share of lesion among predicted pixels; NaN when none is predicted. See `dice_at`."""
        true, false = self._at(threshold)
        return _ratio(true, true + false)

    def recall_at(self, threshold: float) -> float:
        """Share of lesion pixels that are predicted; NaN when there are none. See `dice_at`."""
        true, _ = self._at(threshold)
        return _ratio(true, self.positives)

    def best_dice(self) -> tuple[float, float]:
        """The threshold with the highest pooled Dice coefficient.

        Choose it on validation images: on the images that are reported, it flatters.

        Returns:
            Threshold and Dice coefficient, both in [0, 1]; of equals the highest threshold. Both
            NaN when no pixel is lesion.
        """
        if not self.positives:
            return float("nan"), float("nan")
        true, false, thresholds = self._above()
        scores = 2 * true / (true + false + self.positives)
        best = int(np.argmax(scores))
        return float(thresholds[best]), float(scores[best])

    def precision_recall(
        self,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]]:
        """The precision-recall curve, for plotting.

        Returns:
            Precision, recall and threshold, each ``(N,)``, from the highest threshold to the
            lowest, one point per bin that holds a pixel. Recall is NaN when no pixel is lesion.
        """
        true, false, thresholds = self._above()
        recall = true / self.positives if self.positives else np.full(true.shape, np.nan)
        return true / (true + false), recall, thresholds

    def _above(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """True and false positives at each threshold that matters, from the highest down."""
        used = np.flatnonzero(self._counts.sum(axis=0))[::-1]
        false, true = self._counts[:, used].cumsum(axis=1)
        return true, false, _edges()[used]

    def _at(self, threshold: float) -> tuple[int, int]:
        """True and false positives at a threshold."""
        if not 0 <= threshold <= 1:
            raise DataError(f"The threshold {threshold} is not in [0, 1].")
        start = int(_bin(np.array([threshold]))[0])
        false, true = self._counts[:, start:].sum(axis=1)
        return int(true), int(false)


def dice(mask: ArrayLike, truth: ArrayLike, *, empty: float = 1.0) -> float:
    """Dice coefficient of one image, ``2 |A and B| / (|A| + |B|)``.

    Args:
        mask: Predicted mask, of any shape, true (or not 0) on the lesion.
        truth: True mask, of the same shape.
        empty: What an image counts that has no lesion and where none is found: 1 (found right), or
            NaN, to be skipped with ``numpy.nanmean``. A false positive on it counts 0 either way.

    Returns:
        In [0, 1], or ``empty``.

    Raises:
        DataError: The shapes differ.
    """
    both, predicted, actual = _overlap(mask, truth)
    return 2 * both / (predicted + actual) if predicted + actual else empty


def iou(mask: ArrayLike, truth: ArrayLike, *, empty: float = 1.0) -> float:
    """Intersection over union of one image (Jaccard index). Arguments and errors as for `dice`."""
    both, predicted, actual = _overlap(mask, truth)
    return both / (predicted + actual - both) if predicted + actual else empty


def _overlap(mask: ArrayLike, truth: ArrayLike) -> tuple[int, int, int]:
    """Pixels in both masks, in the first and in the second."""
    first, second = np.asarray(mask, dtype=bool), np.asarray(truth, dtype=bool)
    _same_shape("mask", first, "truth", second)
    return int((first & second).sum()), int(first.sum()), int(second.sum())


def _bin(probability: NDArray[np.floating]) -> NDArray[np.int64]:
    """Bin of each probability; bins are half open, ``[edge, next edge)``, and 1 has its own."""
    p = np.ascontiguousarray(probability, dtype=np.float32) + np.float32(0)  # no -0
    low = (p.view(np.uint32) >> _SHIFT).astype(np.int64)
    # Rounded up, so that the edge belongs to the bin above it, as it does below 0.5.
    rest = np.float32(1) - p
    high = ((rest.view(np.uint32) + ((1 << _SHIFT) - 1)) >> _SHIFT).astype(np.int64)
    below = np.maximum(low - _LEAST + 1, 0)
    above: NDArray[np.int64] = _HALF_BIN + _HALF - np.maximum(high, _ULP - 1)
    return np.where(p < 0.5, below, above)


def _edges() -> NDArray[np.float32]:
    """The lowest float32 of each bin, ascending: the threshold that takes in just this bin."""
    low = np.arange(_LEAST, _HALF, dtype=np.uint32) << _SHIFT
    high = np.arange(_HALF, _ULP - 1, -1, dtype=np.int64).astype(np.uint32) << _SHIFT
    exact = 1 - high.view(np.float32).astype(np.float64)
    rounded = exact.astype(np.float32)
    above = np.where(rounded < exact, np.nextafter(rounded, np.float32(2)), rounded)
    ends = np.array([[0], [1]], dtype=np.float32)
    return np.concatenate([ends[0], low.view(np.float32), above, ends[1]])


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _same_shape(name: str, a: NDArray[np.generic], other: str, b: NDArray[np.generic]) -> None:
    if a.shape != b.shape:
        raise DataError(
            f"{name} is of shape {a.shape}, {other} of shape {b.shape}. Bring both to the pixels "
            "of the same image first."
        )
