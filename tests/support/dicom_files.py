"""DICOM photographs made by pydicom and highdicom, of many kinds, none of them of a patient."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    OphthalmicPhotography8BitImageStorage,
    OphthalmicPhotography16BitImageStorage,
    generate_uid,
)

NAME, PATIENT, BIRTH = "Secret^Jane", "SECRET-4711", "19500203"
"""What no log, name or table may hold."""


def eye(height: int = 64, width: int = 80) -> NDArray[np.uint8]:
    """A red disc with some texture on black, `(H, W, 3)`; its upper left is brighter."""
    y, x = np.mgrid[:height, :width]
    inside = np.hypot(x - width / 2, y - height / 2) < 0.47 * min(height, width)
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = 200 - x // 2 - y // 4
    pixels[..., 1] = 80 + (x // 4) % 20
    pixels[..., 2] = 30 + (y // 5) % 20
    pixels[~inside] = 0
    return pixels


def photograph(values: NDArray[Any], **changes: Any) -> Dataset:
    """An Ophthalmic Photography image, uncompressed.

    Args:
        values: `(H, W)` or `(H, W, 3)`, uint8 or uint16.
        changes: Elements to set, by keyword; None leaves one out.
    """
    is_wide = values.dtype.itemsize == 2
    kind = (
        OphthalmicPhotography16BitImageStorage if is_wide else OphthalmicPhotography8BitImageStorage
    )
    dataset = Dataset()
    dataset.SOPClassUID = kind
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.StudyInstanceUID = generate_uid()
    dataset.PatientName, dataset.PatientID = NAME, PATIENT
    dataset.PatientBirthDate, dataset.PatientSex = BIRTH, "F"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20260102", "101112", "S1"
    dataset.AccessionNumber, dataset.ReferringPhysicianName = "A1", "Doctor^Who"
    dataset.Modality, dataset.Manufacturer = "OP", "Maker"
    dataset.ManufacturerModelName, dataset.SeriesNumber, dataset.InstanceNumber = "Camera", 1, 1
    dataset.ImageLaterality, dataset.PatientOrientation = "R", ["L", "F"]
    dataset.PixelSpacing, dataset.NumberOfFrames = [0.006, 0.005], 1
    dataset.Rows, dataset.Columns = values.shape[:2]
    dataset.SamplesPerPixel = 1 if values.ndim == 2 else 3
    dataset.PhotometricInterpretation = "MONOCHROME2" if values.ndim == 2 else "RGB"
    if values.ndim == 3:
        dataset.PlanarConfiguration = 0
    bits = 8 * values.dtype.itemsize
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation, dataset.BurnedInAnnotation = 0, "NO"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.PixelData = values.tobytes()
    dataset["PixelData"].VR = "OW" if bits == 16 else "OB"
    for keyword, value in changes.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def written(dataset: Dataset, syntax: str | None = None) -> bytes:
    """The bytes of a file, in the transfer syntax given where it is another native one."""
    if syntax is not None:
        dataset.file_meta.TransferSyntaxUID = UID(syntax)
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def compressed(values: NDArray[Any], syntax: str, frame: bytes, **changes: Any) -> bytes:
    """A photograph whose one frame is already compressed."""
    from pydicom.encaps import encapsulate

    dataset = photograph(values, **changes)
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return written(dataset, syntax)
