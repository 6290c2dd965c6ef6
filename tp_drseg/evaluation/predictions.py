"""What a model says about annotated photographs, one lesion of one photograph at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from tp_drseg.data import Sample, read_ignored, read_mask
from tp_drseg.inference.segment import probabilities
from tp_drseg.inference.view import FundusView

if TYPE_CHECKING:
    from tp_drseg.model import TPDRSeg

logger = logging.getLogger(__name__)

Descriptions = Literal["own", "held_out"]
"""With which texts the lesions are asked for: the model's own, or those that no training saw."""


@dataclass(frozen=True)
class Prediction:
    """One lesion of one photograph, in original pixels.

    Attributes:
        photograph: the sample's name.
        image: `(H, W, 3)` uint8.
        lesion: catalog name.
        descriptions: with which texts it was asked for.
        probability: `(H, W)` float32 in [0, 1].
        truth: `(H, W)` bool, the lesion on scored pixels.
        scored: `(H, W)` bool, the field of view without the ignored pixels.
        ignored: `(H, W)` bool, pixels of the field of view that must not be scored.
    """

    photograph: str
    image: NDArray[np.uint8]
    lesion: str
    descriptions: Descriptions
    probability: NDArray[np.float32]
    truth: NDArray[np.bool_]
    scored: NDArray[np.bool_]
    ignored: NDArray[np.bool_]

    def marked(self, threshold: float) -> NDArray[np.bool_]:
        """`(H, W)` bool: what is marked in the field of view, ignored pixels included."""
        mask: NDArray[np.bool_] = (self.probability >= threshold) & (self.scored | self.ignored)
        return mask


def predictions(
    model: TPDRSeg, samples: Sequence[Sample], descriptions: Sequence[Descriptions] = ("own",)
) -> Iterator[Prediction]:
    """Yields each lesion of each photograph, as far as it is annotated there.

    Only one photograph is held at a time. One that is annotated for none of the model's lesions is
    named in a warning and passed over.

    Raises:
        ImageError, DataError: a photograph or a mask cannot be read.
    """
    for number, sample in enumerate(samples, 1):
        lesions = [x for x in model.catalog if x.name in sample.masks]
        if not lesions:
            logger.warning("%s is annotated for none of the model's lesions", sample.name)
            continue
        view = FundusView(model, sample.image, keep=False)
        size, field = view.image.shape[:2], view.field_of_view.mask
        # all kinds at once, since they share the image's features
        asked = [(kind, x) for kind in descriptions for x in lesions]
        texts = [
            x.held_out_texts if kind == "held_out" else model.prompt_texts(x) for kind, x in asked
        ]
        found, _ = probabilities(view, [x for _, x in asked], texts)
        for (kind, x), probability in zip(asked, found, strict=True):
            mask = sample.masks[x.name]
            ignored = read_ignored(mask, size) & field
            scored = field & ~ignored
            yield Prediction(
                photograph=sample.name,
                image=view.image,
                lesion=x.name,
                descriptions=kind,
                probability=probability,
                truth=read_mask(mask, size) & scored,
                scored=scored,
                ignored=ignored,
            )
        logger.info("scored %d of %d: %s", number, len(samples), sample.name)
