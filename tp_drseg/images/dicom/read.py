"""A photograph in a DICOM file: its header checked, its one frame decoded, its colours as sRGB."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from PIL import Image

from tp_drseg.errors import ImageError
from tp_drseg.images.acquisition import Acquisition
from tp_drseg.images.decode import check_size, cut_short, file_limit, no_memory
from tp_drseg.images.dicom.acquisition import acquisition_of
from tp_drseg.images.dicom.colours import rgb_image
from tp_drseg.images.dicom.head import DIRECTORY_CLASS, PHOTOGRAPH_CLASSES
from tp_drseg.images.dicom.header import Header, Parsed, name_of, parse
from tp_drseg.images.dicom.pixels import decode, read_layout
from tp_drseg.images.source import FileBytes

RESULT_MODEL: Final = "tp-drseg"
"""ManufacturerModelName of what this package writes, by which it knows its own results again."""

_LARGEST_PROFILE: Final = 1 << 20  # bytes, as for a PNG
_UPRIGHT: Final = {("L", "F"), ("L", "FP"), ("LA", "F"), ("LP", "F")}


@dataclass(frozen=True, eq=False)
class DicomPhotograph:
    """What a DICOM file shows.

    Attributes:
        image: In grey or RGB, with its colour profile, if it has one, in ``info``.
        acquisition: How it was taken.
        notes: What looks odd, sentences without the subject.
    """

    image: Image.Image = field(repr=False)
    acquisition: Acquisition
    notes: tuple[str, ...]


def read_dicom(file: FileBytes, max_pixels: int) -> DicomPhotograph:
    """Read the photograph in a DICOM file.

    Args:
        file: What it holds.
        max_pixels: The most pixels; what a deflated file unpacks to is bounded by it as well.

    Raises:
        ImageError: It is no photograph, has several frames, is written in a way that is not read,
            cut short, damaged or too large.
    """
    parsed = parse(file, file_limit(max_pixels))
    kind = check_kind(parsed, file.name)
    try:
        layout = read_layout(parsed)
    except ValueError as error:
        raise ImageError(
            f"{file.name} cannot be read as a photograph: {error}. Export it as RGB of 8 bits."
        ) from error
    check_size(layout.height, layout.width, file.name, max_pixels)
    try:
        found = decode(parsed, layout, file.name, max_pixels)
        image = found if isinstance(found, Image.Image) else rgb_image(found, layout, parsed.header)
    except ImageError:
        raise
    except MemoryError as error:
        raise no_memory(file.name, layout.height, layout.width) from error
    except Exception as error:  # damaged data makes decoders raise nearly anything
        raise cut_short(file.name, error) from error
    acquisition = acquisition_of(parsed.header, kind)
    if profile := _profile(parsed.header):
        image.info["icc_profile"] = profile
    return DicomPhotograph(image, acquisition, tuple(_notes(parsed.header, acquisition)))


def check_kind(parsed: Parsed, name: str) -> str:
    """Return what kind of photograph a file holds.

    Raises:
        ImageError: It holds none, several, or a result of this package.
    """
    header, kind = parsed.header, PHOTOGRAPH_CLASSES.get(parsed.storage_class)
    if parsed.storage_class == DIRECTORY_CLASS:
        raise ImageError(
            f"{name} is a DICOMDIR, a list of files. Give the files, or its folder to `segment`."
        )
    if kind is None:
        what = name_of(parsed.storage_class)
        raise ImageError(
            f"{name} is a DICOM file, but no photograph of a retina: {what}. Give an ophthalmic "
            "photograph, a VL photograph or a secondary capture."
        )
    if header.text("ManufacturerModelName") == RESULT_MODEL:
        raise ImageError(f"{name} is a result of tp-drseg. Give the photograph itself.")
    frames = header.text("NumberOfFrames") or "1"
    if frames != "1":
        raise ImageError(
            f"{name} holds {frames} frames, and one photograph is read at a time. Export each "
            "frame as a file of its own, such as with dcmtk's `dcmj2pnm --frame`."
        )
    if not len(parsed.pixels):
        raise ImageError(f"{name} is a DICOM file without a picture. Export it again.")
    return kind


def _profile(header: Header) -> bytes:
    optical = header.first("OpticalPathSequence")
    profile = header.raw("ICCProfile") or (b"" if optical is None else optical.raw("ICCProfile"))
    return profile if len(profile) <= _LARGEST_PROFILE else b""


def _notes(header: Header, acquisition: Acquisition) -> list[str]:
    notes = []
    orientation = acquisition.patient_orientation
    if orientation is not None and orientation not in _UPRIGHT:
        notes.append(
            f"is stored mirrored or turned (patient orientation {'/'.join(orientation)}): it is "
            "read as it is stored."
        )
    if header.text("BurnedInAnnotation") == "YES":
        notes.append("has text burnt into its pixels, which may name the patient.")
    return notes
