"""What goes into DICOM: a model's answer for one photograph, as plain arrays and texts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import generate_uid

from tp_drseg.export.dicom.concepts import (
    AREA,
    AREA_OF_FIELD,
    COUNT,
    NUMBER_OF_LESIONS,
    PERCENT,
    PIXELS,
    SQUARE_MILLIMETRE,
    Concept,
    Measurement,
    lesion_concept,
)
from tp_drseg.export.dicom.source import DicomSource

RESEARCH_NOTICE: Final = "For research; not a medical device."


@dataclass(frozen=True, eq=False)
class Finding:
    """One lesion on one photograph.

    Attributes:
        lesion: Its name in the catalog.
        abbreviation: Its short name.
        text: The words that the model was asked with.
        threshold: Least probability of a lesion pixel, in [0, 1].
        mask: ``(H, W)`` bool.
        probability: ``(H, W)`` float32 in [0, 1].
        regions: Number of separate regions.
        area_percent: Lesion pixels in percent of the field of view.
    """

    lesion: str
    abbreviation: str
    text: str
    threshold: float
    mask: NDArray[np.bool_] = field(repr=False)
    probability: NDArray[np.float32] = field(repr=False)
    regions: int
    area_percent: float

    @property
    def concept(self) -> Concept:
        """What the lesion is called in DICOM."""
        return lesion_concept(self.lesion, self.abbreviation)

    def measurements(self, pixel_mm2: float | None) -> list[Measurement]:
        """Return the numbers of this lesion; an area in mm² where a pixel's is known."""
        area = int(np.count_nonzero(self.mask))
        found = [
            Measurement(NUMBER_OF_LESIONS, self.regions, COUNT),
            Measurement(AREA, area, PIXELS),
            Measurement(AREA_OF_FIELD, self.area_percent, PERCENT),
        ]
        if pixel_mm2 is not None:
            found.append(Measurement(AREA, area * pixel_mm2, SQUARE_MILLIMETRE))
        return found


@dataclass(frozen=True, eq=False)
class Findings:
    """All that is written of one photograph.

    Attributes:
        lesions: At least one.
        image: ``(H, W, 3)`` uint8 RGB, the photograph as read.
        source: The photograph's own file.
        model: Name of the model.
        revision: Its revision; empty where it has none.
        software: Version of this package.
        measurements: Of the photograph as a whole, such as of its anatomy.
    """

    lesions: Sequence[Finding]
    image: NDArray[np.uint8] = field(repr=False)
    source: DicomSource
    model: str
    revision: str
    software: str
    measurements: Sequence[Measurement] = ()

    def uid(self, kind: str) -> str:
        """Return a UID of this answer: the same answer gets the same, so that none is doubled."""
        return generate_uid(entropy_srcs=[kind, self.source.sop_instance, self._digest])

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256(repr((self.model, self.revision, self.software)).encode())
        digest.update(repr(list(self.measurements)).encode())
        for one in self.lesions:
            digest.update(repr((one.lesion, one.text, one.threshold)).encode())
            digest.update(np.ascontiguousarray(one.probability).tobytes())
        return digest.hexdigest()
