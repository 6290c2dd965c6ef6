"""What a model says about annotated photographs, one lesion of one photograph at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tp_drseg.data import Sample, read_ignored, read_mask
from tp_drseg.evaluation.convention import Pixels
from tp_drseg.inference.request import Prompt

if TYPE_CHECKING:
    from tp_drseg.model import TPDRSeg

logger = logging.getLogger(__name__)


class Descriptions(StrEnum):
    """With which texts the lesions are asked for."""

    OWN = "own"
    """The model's own."""
    HELD_OUT = "held_out"
    """Those of the catalog that no training saw."""


@dataclass(frozen=True)
class Prediction:
    """One lesion of one photograph, in original pixels.

    Attributes:
        photograph: The sample's name.
        image: `(H, W, 3)` uint8.
        lesion: Catalog name.
        descriptions: With which texts it was asked for.
        probability: `(H, W)` float32 in [0, 1].
        truth: `(H, W)` bool, the lesion on scored pixels.
        scored: `(H, W)` bool, the pixels that count, without the ignored ones.
        ignored: `(H, W)` bool, pixels among them that must not be scored.
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
        """Return what is marked, `(H, W)` bool, ignored pixels included."""
        mask: NDArray[np.bool_] = (self.probability >= threshold) & (self.scored | self.ignored)
        return mask


def predictions(
    model: TPDRSeg,
    samples: Sequence[Sample],
    descriptions: Sequence[Descriptions] = (Descriptions.OWN,),
    pixels: Pixels = Pixels.FIELD_OF_VIEW,
) -> Iterator[Prediction]:
    """Yield each lesion of each photograph, as far as it is annotated there.

    Only one photograph is held at a time. One that is annotated for none of the model's lesions is
    named in a warning and passed over.

    Args:
        model: The model.
        samples: The photographs.
        descriptions: With which texts the lesions are asked for; all of them share the
            photograph's features.
        pixels: Which pixels count.

    Raises:
        ImageError: A photograph cannot be read.
        DataError: A mask cannot be read.
    """
    for sample in samples:
        lesions = [x for x in model.catalog if x.name in sample.masks]
        if not lesions:
            logger.warning("%s is annotated for none of the model's lesions.", sample.name)
            continue
        session = model.open_quietly(sample.image, max_pixels=sample.max_pixels)
        size = session.image.shape[:2]
        area = np.ones(size, dtype=np.bool_) if pixels is Pixels.ALL else session.field_of_view.mask
        asked = [(kind, x) for kind in descriptions for x in lesions]
        found = session.probabilities(
            [
                Prompt(x.name, x.held_out_texts if kind is Descriptions.HELD_OUT else ())
                for kind, x in asked
            ]
        )
        session.close()
        for (kind, x), probability in zip(asked, found, strict=True):
            mask = sample.masks[x.name]
            ignored = read_ignored(mask, size) & area
            scored = area & ~ignored
            yield Prediction(
                photograph=sample.name,
                image=session.image,
                lesion=x.name,
                descriptions=kind,
                probability=probability,
                truth=read_mask(mask, size) & scored,
                scored=scored,
                ignored=ignored,
            )
