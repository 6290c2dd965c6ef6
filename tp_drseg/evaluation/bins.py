"""Bins of probabilities that are fine at both ends.

A probability is binned by the leading bits of its float32 pattern, since positive floats have the
order of their patterns: 2048 bins for each halving. From 0.5 on, `1 - p` (exact in float32) is
binned in its place, so that both ends are resolved alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SHIFT = 12
# Bit patterns, shifted:
_LEAST = (127 - 64) << (23 - _SHIFT)  # 2^-64; what is less shares bin 0
_HALF = (127 - 1) << (23 - _SHIFT)  # 0.5
_ULP = (127 - 24) << (23 - _SHIFT)  # 2^-24, the least that 1 - p can be in float32, short of 0
_HALF_BIN = _HALF - _LEAST + 1

BINS = _HALF_BIN + _HALF - _ULP + 2
"""How many bins there are."""


def bin_of(probability: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the bin of each probability; bins are half open, `[edge, next edge)`, 1 has its own.

    Args:
        probability: Of any shape, in [0, 1]; taken as float32.
    """
    p = np.ascontiguousarray(probability, dtype=np.float32) + np.float32(0)  # no -0
    low = (p.view(np.uint32) >> _SHIFT).astype(np.int64)
    # Rounded up, so that the edge belongs to the bin above it, as it does below 0.5.
    rest = np.float32(1) - p
    high = ((rest.view(np.uint32) + ((1 << _SHIFT) - 1)) >> _SHIFT).astype(np.int64)
    below = np.maximum(low - _LEAST + 1, 0)
    above: NDArray[np.int64] = _HALF_BIN + _HALF - np.maximum(high, _ULP - 1)
    return np.where(p < 0.5, below, above)


def edges() -> NDArray[np.float32]:
    """Return the lowest float32 of each bin, `(BINS,)`, ascending.

    It is the threshold that takes in just this bin and all above it.
    """
    low = np.arange(_LEAST, _HALF, dtype=np.uint32) << _SHIFT
    high = np.arange(_HALF, _ULP - 1, -1, dtype=np.int64).astype(np.uint32) << _SHIFT
    exact = 1 - high.view(np.float32).astype(np.float64)
    rounded = exact.astype(np.float32)
    above = np.where(rounded < exact, np.nextafter(rounded, np.float32(2)), rounded)
    ends = np.array([[0], [1]], dtype=np.float32)
    return np.concatenate([ends[0], low.view(np.float32), above, ends[1]])
