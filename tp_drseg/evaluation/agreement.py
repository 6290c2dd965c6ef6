"""How far two reviewers agree on the same photographs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tp_drseg.data import Sample, read_mask
from tp_drseg.errors import DataError
from tp_drseg.images import read_fundus
from tp_drseg.lesions import LesionCatalog


@dataclass(frozen=True)
class Counts:
    """Pixels of one photograph's field of view, by what two reviewers say of a lesion.

    Attributes:
        both: Lesion for both.
        first: Lesion for the first alone.
        second: Lesion for the second alone.
        neither: Lesion for neither.
    """

    both: int
    first: int
    second: int
    neither: int

    @property
    def dice(self) -> float:
        """Overlap, `2 both / (2 both + first + second)`; NaN where neither marked a pixel."""
        marked = 2 * self.both + self.first + self.second
        return 2 * self.both / marked if marked else math.nan

    @property
    def kappa(self) -> float:
        """Cohen's kappa (Cohen, 1960): agreement beyond chance; NaN where chance explains all."""
        total = self.both + self.first + self.second + self.neither
        if not total:
            return math.nan
        observed = (self.both + self.neither) / total
        one, other = (self.both + self.first) / total, (self.both + self.second) / total
        expected = one * other + (1 - one) * (1 - other)
        return (observed - expected) / (1 - expected) if expected < 1 else math.nan

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.both + other.both,
            self.first + other.first,
            self.second + other.second,
            self.neither + other.neither,
        )


@dataclass(frozen=True)
class Agreement:
    """Two reviewers on one lesion.

    Attributes:
        lesion: Its name in the catalog.
        photographs: How many both have signed.
        marked: On how many at least one of them marked a pixel.
        dice: Mean of the Dice of those photographs; NaN if there is none.
        pooled: All pixels of all photographs together.
        presence: Photographs by whether each of them marked any pixel.
    """

    lesion: str
    photographs: int
    marked: int
    dice: float
    pooled: Counts
    presence: Counts


def agreement(
    first: Sequence[Sample], second: Sequence[Sample], catalog: LesionCatalog
) -> tuple[Agreement, ...]:
    """Compare what two reviewers have signed of the same photographs, in the field of view.

    Photographs are the same if their bytes are. What only one of them has signed is left out.

    Args:
        first: From `tp_drseg.data.read_review`.
        second: The other reviewer's.
        catalog: The lesions to compare.

    Raises:
        DataError: They have no photograph in common, or one cannot be read.
    """
    others = {sample.sha256: sample for sample in second}
    pairs = [(one, others[one.sha256]) for one in first if one.sha256 in others]
    if not pairs:
        raise DataError("The two reviewers have signed no photograph in common.")
    counts: dict[str, list[Counts]] = {name: [] for name in catalog.names}
    for one, other in pairs:
        inside = read_fundus(one.image, max_pixels=one.max_pixels).field_of_view.mask
        for lesion in one.masks.keys() & other.masks.keys():
            a, b = (read_mask(s.masks[lesion], inside.shape) for s in (one, other))
            counts[lesion].append(_count(a[inside], b[inside]))
    return tuple(_summed(lesion, own) for lesion, own in counts.items() if own)


def _count(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Counts:
    both, either = np.count_nonzero(first & second), np.count_nonzero(first | second)
    a, b = np.count_nonzero(first), np.count_nonzero(second)
    return Counts(int(both), int(a - both), int(b - both), int(first.size - either))


def _summed(lesion: str, counts: Iterable[Counts]) -> Agreement:
    counts = tuple(counts)
    dice = [one.dice for one in counts if not math.isnan(one.dice)]
    nothing = Counts(0, 0, 0, 0)
    return Agreement(
        lesion=lesion,
        photographs=len(counts),
        marked=len(dice),
        dice=float(np.mean(dice)) if dice else math.nan,
        pooled=sum(counts, nothing),
        presence=sum((_presence(one) for one in counts), nothing),
    )


def _presence(counts: Counts) -> Counts:
    first, second = counts.both + counts.first > 0, counts.both + counts.second > 0
    return Counts(
        both=int(first and second),
        first=int(first and not second),
        second=int(second and not first),
        neither=int(not first and not second),
    )
