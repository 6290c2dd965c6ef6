"""What lesions and measurements are called in DICOM.

A SNOMED CT code is used where pydicom's dictionary, which is made from the standard's own context
groups, has one for just that finding. What cannot be verified there gets a private code, not a
guess.
"""

from __future__ import annotations

from typing import Final, NamedTuple

PRIVATE_SCHEME: Final = "99TPDRSEG"


class Concept(NamedTuple):
    """A coded term.

    Attributes:
        value: Its code.
        scheme: Whose code it is, such as ``SCT`` for SNOMED CT.
        meaning: In words, at most 64 letters.
    """

    value: str
    scheme: str
    meaning: str


class Measurement(NamedTuple):
    """One number of a report.

    Attributes:
        name: What was measured.
        value: The number.
        unit: Its unit, of UCUM.
    """

    name: Concept
    value: float
    unit: Concept


ABNORMAL_STRUCTURE: Final = Concept("49755003", "SCT", "Morphologically Abnormal Structure")
RETINA: Final = Concept("5665001", "SCT", "Retina")
EYES: Final = {
    "R": Concept("24028007", "SCT", "Right"),
    "L": Concept("7771000", "SCT", "Left"),
}
NUMBER_OF_LESIONS: Final = Concept("246205007", "SCT", "Number of lesions")
AREA: Final = Concept("42798000", "SCT", "Area")
AREA_OF_FIELD: Final = Concept("AREA_OF_FIELD", PRIVATE_SCHEME, "Area of the field of view")

COUNT: Final = Concept("1", "UCUM", "no units")
PIXELS: Final = Concept("{pixels}", "UCUM", "pixels")
PERCENT: Final = Concept("%", "UCUM", "Percent")
SQUARE_MILLIMETRE: Final = Concept("mm2", "UCUM", "square millimeter")

_LESIONS: Final = {"haemorrhage": Concept("50960005", "SCT", "Hemorrhage")}


def lesion_concept(name: str, abbreviation: str) -> Concept:
    """Return what a lesion is called in DICOM.

    Args:
        name: Its name in the catalog.
        abbreviation: Its short name, the code where there is no public one.

    Example:
        >>> lesion_concept("haemorrhage", "HE").scheme
        'SCT'
        >>> lesion_concept("microaneurysm", "MA")
        Concept(value='MA', scheme='99TPDRSEG', meaning='microaneurysm')
    """
    return _LESIONS.get(name) or Concept(abbreviation[:16], PRIVATE_SCHEME, name[:64])
