"""What the model says of a photograph, as the grey PNGs that the page draws from."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tp_drseg.corrections.record import LEVELS
from tp_drseg.export import encode_mask
from tp_drseg.inference.result import Segmentation

PRIOR_STEP: Final = 4
"""The prior map is smooth: every fourth pixel of every fourth row is enough."""


@dataclass(frozen=True)
class Answer:
    """What the model said, encoded.

    Attributes:
        lesion: Its name in the catalog.
        threshold: Of the mask, in [0, 1].
        levels: PNG of the probability in 256ths, rounded down, so that `levels >= k` is just what
            `probability >= k / 256` is.
        mask: PNG of the mask at the threshold.
        prior: PNG of the explicit prior, 0..255, every `PRIOR_STEP`-th pixel.
    """

    lesion: str
    threshold: float
    levels: bytes = field(repr=False)
    mask: bytes = field(repr=False)
    prior: bytes = field(repr=False)

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return len(self.levels) + len(self.mask) + len(self.prior)


def encode_answer(result: Segmentation) -> Answer:
    """Return what a result says."""
    prior = result.prior[::PRIOR_STEP, ::PRIOR_STEP]
    return Answer(
        lesion=result.lesion,
        threshold=result.threshold,
        levels=_encode(to_levels(result.probability)),
        mask=encode_mask(result.mask),
        prior=_encode(np.rint(prior * 255).astype(np.uint8)),
    )


def to_levels(probability: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Return probabilities in [0, 1] in 256ths, rounded down; 1 has the level 255."""
    # times a power of two: exact, so no pixel changes sides at a threshold
    levels: NDArray[np.uint8] = np.minimum(probability * np.float32(LEVELS), LEVELS - 1).astype(
        np.uint8
    )
    return levels


def _encode(grey: NDArray[np.uint8]) -> bytes:
    data = io.BytesIO()
    Image.fromarray(grey).save(data, format="PNG", compress_level=1)  # it only goes to loopback
    return data.getvalue()
