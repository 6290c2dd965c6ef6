"""The light form of a result, without photograph and maps."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tp_drseg.images import Region

PROBABILITY_DIGITS = 4
"""Digits after the point of thresholds and probabilities in tables."""


@dataclass(frozen=True)
class SegmentationSummary:
    """What one lesion on one photograph comes to: some kilobytes, for tables and process pools.

    Attributes:
        lesion: Name of the lesion in the model's catalog.
        abbreviation: Its short name.
        texts: The descriptions that made the explicit prior.
        threshold: Least probability of a lesion pixel, in [0, 1].
        size: `(H, W)` of the photograph, in pixels.
        area_px: Number of lesion pixels.
        area_percent: The same in percent of the field of view.
        regions: The separate regions.
        mean_probability: Over the field of view, in [0, 1].
        max_probability: Over the field of view, in [0, 1].
        doubt: Why the photograph does not look like one of a fundus; None if it does.
        model_id: Which model.
        revision: Its revision on the Hub, if it has one.
        packed_mask: The mask, packed; `mask` unpacks it.

    Example:
        >>> from tp_drseg import TPDRSeg
        >>> model = TPDRSeg.from_pretrained()
        >>> summary = model.segment("examples/retina_with_lesions.jpg", "EX").summary()
        >>> summary.mask.shape, int(summary.mask.sum()) == summary.area_px
        ((1411, 1411), True)
    """

    lesion: str
    abbreviation: str
    texts: tuple[str, ...]
    threshold: float
    size: tuple[int, int]
    area_px: int
    area_percent: float
    regions: tuple[Region, ...] = field(repr=False)
    mean_probability: float
    max_probability: float
    doubt: str | None
    model_id: str
    revision: str | None
    packed_mask: bytes = field(repr=False)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """`(H, W)` bool."""
        bits = np.frombuffer(zlib.decompress(self.packed_mask), dtype=np.uint8)
        height, width = self.size
        return np.unpackbits(bits, count=height * width).reshape(height, width).astype(bool)

    def row(self) -> dict[str, str | int | float | None]:
        """Return the figures by column of `lesions.csv`: all but the image's name."""
        return {
            "lesion": self.lesion,
            "threshold": round(self.threshold, PROBABILITY_DIGITS),
            "regions": len(self.regions),
            "area_px": self.area_px,
            "area_percent_of_field_of_view": round(self.area_percent, 6),
            "mean_probability": round(self.mean_probability, 6),
            "max_probability": round(self.max_probability, 6),
        }


def pack_mask(mask: NDArray[np.bool_]) -> bytes:
    """Pack a mask, `(H, W)` bool, into some kilobytes."""
    return zlib.compress(np.packbits(mask).tobytes(), level=1)
