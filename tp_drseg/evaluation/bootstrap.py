"""Intervals by bootstrap over photographs (Efron's percentile method).

Photographs are drawn with replacement, not pixels: the pixels of one eye are no independent
witnesses. Each draw is a row of weights that says how often each photograph is in it, so that one
product with a matrix of figures per photograph gives the sums of all draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

if TYPE_CHECKING:
    from scipy.sparse import csc_array, csr_array

LEVEL = 0.95
_ENTRIES = 1 << 20  # draws times bins that are held at once: 8 MB an array


class Interval(NamedTuple):
    """A 95 % interval; both ends are NaN where there is none."""

    low: float
    high: float


def draw_weights(photographs: int, draws: int, seed: int) -> NDArray[np.float64]:
    """Draw photographs with replacement.

    Args:
        photographs: How many there are.
        draws: How many sets of so many photographs are drawn.
        seed: Equal seeds give equal draws.

    Returns:
        How often each photograph is in each draw, `(draws, photographs)`; rows sum to their number.
    """
    rng = np.random.default_rng(seed)
    share = np.full(photographs, 1 / photographs)
    return rng.multinomial(photographs, share, size=draws).astype(np.float64)


def percentile_interval(values: NDArray[np.float64]) -> Interval:
    """Return the interval of a figure's draws, `(draws,)`.

    Draws in which the figure does not exist (NaN: no photograph with the lesion was drawn) are left
    out.
    """
    values = values[~np.isnan(values)]
    if not values.size:
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def pack(histogram: NDArray[np.int64]) -> csr_array:
    """Make a photograph's histogram, `(2, bins)`, sparse: some 0.5 MB instead of 2.8."""
    return sparse.csr_array(histogram.astype(np.int32))


def pooled_areas(
    histograms: Sequence[csr_array], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the pooled AUC-PR and AUC-ROC of each draw.

    They are the figures of summed `PixelCurve`s. A draw costs no pass over all bins: neighbouring
    bins without a lesion pixel in any photograph change neither area when they are merged, and the
    draws are summed in blocks of bins, so that memory does not grow with their number times the
    bins.

    Args:
        histograms: One per photograph, as `pack` gives them.
        weights: `(draws, photographs)`, see `draw_weights`.

    Returns:
        AUC-PR and AUC-ROC, each `(draws,)`; NaN where `PixelCurve` gives NaN.
    """
    stacked = sparse.vstack(histograms).tocsr()
    other, lesion = _merged(stacked[0::2], stacked[1::2])
    draws, bins = len(weights), lesion.shape[1]
    true, false = np.zeros((draws, 1)), np.zeros((draws, 1))
    precision_area, roc_area = np.zeros(draws), np.zeros(draws)
    step = max(1, _ENTRIES // draws)
    for start in range(0, bins, step):
        block = slice(start, start + step)
        new_true, new_false = weights @ lesion[:, block], weights @ other[:, block]
        trues = true + np.cumsum(new_true, axis=1)
        falses = false + np.cumsum(new_false, axis=1)
        predicted = trues + falses
        precision = np.divide(trues, predicted, out=np.zeros_like(predicted), where=predicted > 0)
        precision_area += (new_true * precision).sum(axis=1)
        roc_area += (new_false * (trues - new_true / 2)).sum(axis=1)
        true, false = trues[:, -1:], falses[:, -1:]
    positives, negatives = true[:, 0], false[:, 0]
    return ratio(precision_area, positives), ratio(roc_area, positives * negatives)


def ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide; NaN where the denominator is 0."""
    quotient: NDArray[np.float64] = np.full(np.shape(part), np.nan)
    return np.divide(part, whole, out=quotient, where=whole > 0)


def _merged(other: csr_array, lesion: csr_array) -> tuple[csc_array, csc_array]:
    """Both histograms from the highest bin down, runs of bins without a lesion pixel merged."""
    used = np.zeros(lesion.shape[1], dtype=bool)
    used[lesion.indices] = True
    # a used bin after k used ones gets place 2k + 1, the unused ones between them 2k
    place = 2 * np.cumsum(used) - used
    last = int(place[-1])
    return _moved(other, last - place), _moved(lesion, last - place)


def _moved(counts: csr_array, place: NDArray[np.int64]) -> csc_array:
    """Return the columns of a sparse array at new places; those that meet are added."""
    rows = counts.tocoo()
    data = rows.data.astype(np.float64)  # sums of counts stay exact up to 2^53
    size = (counts.shape[0], int(place.max()) + 1)
    return sparse.coo_array((data, (rows.row, place[rows.col])), shape=size).tocsc()
