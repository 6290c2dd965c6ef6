"""Pixel metrics of one lesion, each with its convention declared.

Pooled
    `PixelCurve` puts the pixels of all images into one pool and scores the pool once; an image
    counts by its pixels, and an image without the lesion still counts by its false positives.
    AUC-PR is the step-wise average precision, `sum_n (R_n - R_{n-1}) P_n`, as in scikit-learn's
    `average_precision_score`: nothing is interpolated between points. AUC-ROC is the area by the
    trapezoid rule, equal to `roc_auc_score`.
Per image
    `dice` and `iou` score one mask. The caller averages them, and says what an image without the
    lesion counts.

Which pixels are scored is the caller's choice (`where`): all of them, or the field of view only.
The black surround is easy to get right, so it raises AUC-ROC and leaves AUC-PR nearly as it is.
A pixel is predicted to be lesion when its probability is at least the threshold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import trapezoid
from scipy.special import digamma

from tp_drseg.errors import DataError
from tp_drseg.evaluation.bins import BINS, bin_of, edges

ELEVEN_THRESHOLDS = tuple(step / 10 for step in range(11))
"""0, 0.1, ..., 1: where papers on this task cut their precision-recall curves."""
_CHUNK = 1 << 20


class PixelCurve:
    """Probabilities and truths of one lesion's pixels, over any number of images.

    Pixels are kept as two histograms of 176,131 bins (2.8 MB in all), however many are added.
    Probabilities of one bin count as ties; they differ by at most 1/2048 of themselves, or of
    their distance to 1 from 0.5 on. That is a step of 0.0005 to 0.001 in the logit. What this
    costs is known for each curve: `average_precision_bounds`.

    Curves add up, so a bootstrap over images keeps one curve per image and sums those it draws:
    `sum(drawn, PixelCurve())`.

    Example:
        >>> import numpy as np
        >>> curve = PixelCurve()
        >>> curve.add(np.array([0.9, 0.8, 0.3, 0.1]), np.array([True, False, True, False]))
        >>> round(curve.average_precision(), 4)
        0.8333
    """

    def __init__(self) -> None:
        self._counts: NDArray[np.int64] = np.zeros((2, BINS), dtype=np.int64)

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
            keys = bin_of(values[chunk]) + BINS * labels[chunk].astype(bool)
            self._counts += np.bincount(keys, minlength=2 * BINS).reshape(2, BINS)

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
        """The counts, `(2, bins)`: row 0 of other pixels, row 1 of lesion; a copy."""
        copy: NDArray[np.int64] = self._counts.copy()
        return copy

    @staticmethod
    def thresholds() -> NDArray[np.float32]:
        """Return the threshold that takes in a bin and all above it, `(bins,)`, ascending."""
        return edges()

    def average_precision(self) -> float:
        """Return the area under the precision-recall curve, step-wise.

        Returns:
            In [0, 1]; NaN when no pixel is lesion, as recall then has no meaning. (scikit-learn
            gives 0 there.) Chance level is the share of positives.
        """
        if not self.positives:
            return float("nan")
        true, false, _ = self._above()
        gained = np.diff(true, prepend=0) / self.positives
        return float(np.sum(gained * true / (true + false)))

    def average_precision_bounds(self) -> tuple[float, float]:
        """Bound the average precision that the probabilities have as they are, unbinned.

        Of a bin with `t` lesion and `f` other pixels below which `T` and `F` lie, the j-th lesion
        pixel adds at least `(T + j) / (T + j + F + f)`, when all others of the bin come first, and
        at most `(T + t) / (T + t + F)`, when the lesion pixels come first and are ties.

        Returns:
            The lowest and the highest that it can be, in [0, 1]; both NaN when no pixel is lesion.
        """
        if not self.positives:
            return float("nan"), float("nan")
        true, false, _ = self._above()
        gained = np.diff(true, prepend=0)
        before = np.concatenate([[0], false[:-1]])
        # sum_j (T + j) / (T + j + F + f) over j = 1 .. t, as a difference of harmonic numbers
        harmonic = digamma(true + false + 1.0) - digamma(true - gained + false + 1.0)
        low = np.sum(gained - false * harmonic) / self.positives
        high = np.sum(gained * true / np.maximum(true + before, 1)) / self.positives
        return float(max(0.0, low)), float(min(1.0, high))

    def average_precision_at_eleven_thresholds(self) -> float:
        """Return the area under the precision-recall curve of 11 thresholds, 0, 0.1, ..., 1.

        By the trapezoid rule, with a precision of 1 where nothing is predicted, and a pixel
        predicted when its probability is *above* the threshold: the convention of M2MRF (Liu et
        al., 2023) and of what is compared with it. It is no substitute for `average_precision`: it
        depends on how the probabilities are scaled, not on their order alone.

        Returns:
            In [0, 1]; NaN when no pixel is lesion.
        """
        return float(eleven_threshold_area(self.counts_at_eleven_thresholds()))

    def counts_at_eleven_thresholds(self) -> NDArray[np.int64]:
        """Return the other and the lesion pixels above each of `ELEVEN_THRESHOLDS`, `(2, 12)`.

        The last column is all pixels, whatever their probability. What lies in the bin of a
        threshold counts as not above it.
        """
        above = self._counts[:, ::-1].cumsum(axis=1)[:, ::-1]
        starts = bin_of(np.array(ELEVEN_THRESHOLDS)) + 1
        padded = np.pad(above, ((0, 0), (0, 1)))
        counts: NDArray[np.int64] = np.concatenate([padded[:, starts], above[:, :1]], axis=1)
        return counts

    def roc_auc(self) -> float:
        """Return the area under the receiver operating characteristic.

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
        """Return the Dice coefficient (F1) of the pooled pixels.

        Args:
            threshold: In [0, 1], rounded down to a bin's edge; 0.5 is exact.

        Returns:
            In [0, 1]; NaN when no pixel is lesion and none is predicted to be.
        """
        true, false = self._at(threshold)
        return _ratio(2 * true, true + false + self.positives)

    def precision_at(self, threshold: float) -> float:
        """Return the share of lesion among predicted pixels; NaN when none is. See `dice_at`."""
        true, false = self._at(threshold)
        return _ratio(true, true + false)

    def recall_at(self, threshold: float) -> float:
        """Return the share of lesion pixels that are predicted; NaN without any. See `dice_at`."""
        true, _ = self._at(threshold)
        return _ratio(true, self.positives)

    def best_dice(self) -> tuple[float, float]:
        """Return the threshold with the highest pooled Dice coefficient, and that coefficient.

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
        """Return the precision-recall curve, for plotting.

        Returns:
            Precision, recall and threshold, each `(N,)`, from the highest threshold to the
            lowest, one point per bin that holds a pixel. Recall is NaN when no pixel is lesion.
        """
        true, false, thresholds = self._above()
        recall = true / self.positives if self.positives else np.full(true.shape, np.nan)
        return true / (true + false), recall, thresholds

    def _above(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Return true and false positives at each threshold that matters, from the highest down."""
        used = np.flatnonzero(self._counts.sum(axis=0))[::-1]
        false, true = self._counts[:, used].cumsum(axis=1)
        return true, false, edges()[used]

    def _at(self, threshold: float) -> tuple[int, int]:
        """Return true and false positives at a threshold."""
        if not 0 <= threshold <= 1:
            raise DataError(f"The threshold {threshold} is not in [0, 1].")
        start = int(bin_of(np.array([threshold]))[0])
        false, true = self._counts[:, start:].sum(axis=1)
        return int(true), int(false)


def eleven_threshold_area(counts: NDArray[np.number]) -> NDArray[np.float64]:
    """Return the area that `PixelCurve.average_precision_at_eleven_thresholds` describes.

    Args:
        counts: `(..., 2, 12)`, as `PixelCurve.counts_at_eleven_thresholds` gives them.

    Returns:
        `(...)`; NaN where no pixel is lesion.
    """
    false, true = (np.asarray(counts[..., row, :-1], dtype=np.float64) for row in (0, 1))
    positives = np.asarray(counts[..., 1, -1:], dtype=np.float64)
    predicted = true + false
    precision = np.divide(true, predicted, out=np.ones_like(true), where=predicted > 0)
    recall = np.divide(true, positives, out=np.full(true.shape, np.nan), where=positives > 0)
    # thresholds ascend, so recall falls
    area: NDArray[np.float64] = -trapezoid(precision, recall, axis=-1)
    return area


def dice(mask: ArrayLike, truth: ArrayLike, *, empty: float = 1.0) -> float:
    """Return the Dice coefficient of one image, `2 |A and B| / (|A| + |B|)`.

    Args:
        mask: Predicted mask, of any shape, true (or not 0) on the lesion.
        truth: True mask, of the same shape.
        empty: What an image counts that has no lesion and where none is predicted: 1, or NaN, to
            be skipped with `numpy.nanmean`. A false positive on it counts 0 either way.

    Returns:
        In [0, 1], or `empty`.

    Raises:
        DataError: The shapes differ.
    """
    both, predicted, actual = _overlap(mask, truth)
    return 2 * both / (predicted + actual) if predicted + actual else empty


def iou(mask: ArrayLike, truth: ArrayLike, *, empty: float = 1.0) -> float:
    """Return the intersection over union of one image (Jaccard index); arguments as for `dice`."""
    both, predicted, actual = _overlap(mask, truth)
    return both / (predicted + actual - both) if predicted + actual else empty


def _overlap(mask: ArrayLike, truth: ArrayLike) -> tuple[int, int, int]:
    """Pixels in both masks, in the first and in the second."""
    first, second = np.asarray(mask, dtype=bool), np.asarray(truth, dtype=bool)
    _same_shape("mask", first, "truth", second)
    return int((first & second).sum()), int(first.sum()), int(second.sum())


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _same_shape(name: str, a: NDArray[np.generic], other: str, b: NDArray[np.generic]) -> None:
    if a.shape != b.shape:
        raise DataError(
            f"{name} is of shape {a.shape}, {other} of shape {b.shape}. Bring both to the pixels "
            "of the same image first."
        )
