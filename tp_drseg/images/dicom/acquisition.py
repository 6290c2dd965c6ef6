"""Which eye, pixel spacing and camera the header of a DICOM file names."""

from __future__ import annotations

from tp_drseg.images.acquisition import Acquisition, Laterality
from tp_drseg.images.dicom.header import Header


def acquisition_of(header: Header, kind: str) -> Acquisition:
    """Return what a header says of how its photograph was taken."""
    orientation = header.texts("PatientOrientation")
    return Acquisition(
        kind,
        _laterality(header),
        _spacing(header),
        (orientation[0], orientation[1]) if len(orientation) == 2 and all(orientation) else None,
        header.text("Manufacturer"),
        header.text("ManufacturerModelName"),
    )


def _laterality(header: Header) -> Laterality | None:
    """Return the eye; an image's own word goes before its series'."""
    shared = header.first("SharedFunctionalGroupsSequence", "FrameAnatomySequence")
    said = (
        header.text("ImageLaterality"),
        "" if shared is None else shared.text("FrameLaterality"),
        header.text("Laterality"),
    )
    first = next((one for one in said if one), "")
    return "R" if first == "R" else "L" if first == "L" else None


def _spacing(header: Header) -> tuple[float, float] | None:
    """Return the spacing on the retina; that of a scanner's glass is none."""
    shared = header.first("SharedFunctionalGroupsSequence", "PixelMeasuresSequence")
    spacing = header.numbers("PixelSpacing") or (
        () if shared is None else shared.numbers("PixelSpacing")
    )
    if len(spacing) != 2 or min(spacing) <= 0:
        return None
    return spacing[0], spacing[1]
