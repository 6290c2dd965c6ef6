"""How a photograph was taken, as far as its file says so: nothing in it names the patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Laterality = Literal["R", "L"]


@dataclass(frozen=True)
class Acquisition:
    """What the header of a DICOM photograph says of the eye and the camera.

    Attributes:
        kind: What the file is, such as ``Ophthalmic Photography 8 Bit``.
        laterality: ``"R"`` or ``"L"``, which eye; None where it is not said, or both.
        pixel_spacing: Distance of pixels in mm on the retina, between rows and between columns;
            None where it is not said.
        patient_orientation: Where in the patient the rows and the columns lead, such as ``("L",
            "F")``: to the left and to the feet; None where it is not said.
        manufacturer: Of the camera; empty where it is not said.
        model: Of the camera; empty where it is not said.

    Example:
        >>> from tp_drseg import Acquisition
        >>> Acquisition("Secondary Capture", laterality="L", pixel_spacing=(0.006, 0.006)).pixel_mm2
        3.6e-05
    """

    kind: str
    laterality: Laterality | None = None
    pixel_spacing: tuple[float, float] | None = None
    patient_orientation: tuple[str, str] | None = None
    manufacturer: str = ""
    model: str = ""

    @property
    def mean_spacing(self) -> float | None:
        """Side in mm of a square of a pixel's area on the retina; None where not known."""
        return None if self.pixel_mm2 is None else self.pixel_mm2**0.5

    @property
    def pixel_mm2(self) -> float | None:
        """Area of a pixel in mm² on the retina; None where the spacing is not known."""
        if self.pixel_spacing is None:
            return None
        return self.pixel_spacing[0] * self.pixel_spacing[1]
