"""Single lesions: which are detected, and what is detected beside them (free-response view).

A lesion is an 8-connected region of the true mask, a detection one of the predicted mask. A lesion
is detected when at least `MATCHING_SHARE` of its pixels are predicted; a detection is a false
positive when less than that share of its pixels are lesion. Both are needed: by any overlap at
all, one detection that covers the whole retina would detect every lesion and be false nowhere. The
share of 0.2 is the one that Zhang et al. (Medical Image Analysis 18(7), 2014) use for exudates. No
region is too small to count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

MATCHING_SHARE = 0.2
"""Of a lesion's pixels (or a detection's) that must be in the other mask."""


@dataclass(frozen=True)
class RegionCounts:
    """Regions of one photograph.

    Attributes:
        lesions: Regions of the true mask.
        detected: How many of them are detected.
        detections: Regions of the predicted mask.
        false_positives: How many of them are false.
    """

    lesions: int
    detected: int
    detections: int
    false_positives: int


class TrueRegions:
    """The lesions of one photograph, labelled once for any number of predicted masks.

    Args:
        truth: `(H, W)` bool, true on the lesion.
        ignored: `(H, W)` bool, pixels that must not be scored. They are in no lesion and no
            detection's share, and a detection that touches them is never false: what it shows may
            go on in there.
    """

    def __init__(self, truth: NDArray[np.bool_], ignored: NDArray[np.bool_] | None = None) -> None:
        self._ignored = np.zeros_like(truth) if ignored is None else ignored
        self._truth = truth & ~self._ignored
        self._labels, self._count = _label(self._truth)
        self._sizes = _sizes(self._labels[self._truth], self._count)

    def match(self, mask: NDArray[np.bool_]) -> RegionCounts:
        """Compare with a predicted mask, `(H, W)` bool."""
        labels, count = _label(mask)
        both = mask & self._truth
        covered = _sizes(self._labels[both], self._count)
        hits = _sizes(labels[both], count)
        beside = _sizes(labels[mask & self._ignored], count)
        scored = _sizes(labels[mask], count) - beside
        return RegionCounts(
            lesions=self._count,
            detected=int((covered >= MATCHING_SHARE * self._sizes).sum()),
            detections=count,
            false_positives=int(((hits < MATCHING_SHARE * scored) & (beside == 0)).sum()),
        )


def _label(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    labels, count = ndimage.label(mask, structure=np.ones((3, 3), dtype=bool))
    return labels, int(count)


def _sizes(labels: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Pixels of each region 1, 2, ..., count."""
    return np.bincount(labels, minlength=count + 1)[1:]
