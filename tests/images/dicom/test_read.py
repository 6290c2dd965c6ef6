"""DICOM photographs of every kind that is read: by pydicom, highdicom's encoders and Pillow."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    VLPhotographicImageStorage,
)

from tests.support.dicom_files import compressed, eye, photograph, written
from tp_drseg.images import Acquisition, read_image, read_source

BASELINE, EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
EYE = eye()
GREY = EYE[..., 0]
WIDE = EYE.astype(np.uint16) * 257
YBR = np.asarray(Image.fromarray(EYE).convert("YCbCr"))
GREY_RGB = np.repeat(GREY[..., None], 3, axis=2)


def encoded(dataset: Dataset, syntax: str) -> bytes:
    dataset.compress(syntax)
    return written(dataset)


def jpeg(**options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(EYE).save(stream, "JPEG", quality=95, subsampling=0, **options)
    return stream.getvalue()


def halved() -> bytes:
    """Two pixels share their colour."""
    pairs = np.empty((64, 40, 4), np.uint8)
    pairs[..., :2] = YBR[..., 0].reshape(64, 40, 2)
    pairs[..., 2:] = YBR[:, ::2, 1:]
    dataset = photograph(YBR, PhotometricInterpretation="YBR_FULL_422")
    dataset.PixelData = pairs.tobytes()
    return written(dataset)


def palette(bits: int) -> bytes:
    """Indices from 10 on into a palette that swaps light and dark in red, and has no blue."""
    dataset = photograph(GREY // 2 + 10, PhotometricInterpretation="PALETTE COLOR")
    steps = np.arange(120, dtype=np.uint16)
    tables = (255 - 2 * steps, 2 * steps, 0 * steps)
    for name, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        keyword = f"{name}PaletteColorLookupTable"
        setattr(dataset, f"{keyword}Descriptor", [120, 10, bits])
        data = (table * 257).astype("<u2") if bits == 16 else table.astype(np.uint8)
        setattr(dataset, f"{keyword}Data", data.tobytes())
    return written(dataset)


def of_palette() -> NDArray[np.uint8]:
    index = GREY // 2
    return np.stack([255 - 2 * index, 2 * index, 0 * index], axis=-1).astype(np.uint8)


def without_preamble(data: bytes) -> bytes:
    """As old devices write: no preamble and no file header, the data set alone."""
    return data[data.index(b"\x08\0\x16\0") :]


EXACT: dict[str, tuple[Callable[[], bytes], NDArray[np.uint8]]] = {
    "8 bit, implicit": (lambda: written(photograph(EYE), ImplicitVRLittleEndian), EYE),
    "8 bit, explicit": (lambda: written(photograph(EYE), ExplicitVRLittleEndian), EYE),
    "8 bit, deflated": (lambda: written(photograph(EYE), DeflatedExplicitVRLittleEndian), EYE),
    "8 bit, big endian": (lambda: written(photograph(EYE), ExplicitVRBigEndian), EYE),
    "8 bit, RLE": (lambda: encoded(photograph(EYE), RLELossless), EYE),
    "8 bit, JPEG-LS": (lambda: encoded(photograph(EYE), JPEGLSLossless), EYE),
    "8 bit, JPEG 2000": (lambda: encoded(photograph(EYE), JPEG2000Lossless), EYE),
    "16 bit, explicit": (lambda: written(photograph(WIDE)), EYE),
    "16 bit, deflated": (lambda: written(photograph(WIDE), DeflatedExplicitVRLittleEndian), EYE),
    "16 bit, RLE": (lambda: encoded(photograph(WIDE), RLELossless), EYE),
    "16 bit, JPEG-LS": (lambda: encoded(photograph(WIDE), JPEGLSLossless), EYE),
    "16 bit, JPEG 2000": (lambda: encoded(photograph(WIDE), JPEG2000Lossless), EYE),
    "8 bit in 16": (
        lambda: written(photograph(EYE.astype(np.uint16), BitsStored=8, HighBit=7)),
        EYE,
    ),
    "planar": (
        lambda: written(
            photograph(EYE.transpose(2, 0, 1).reshape(64, 80, 3), PlanarConfiguration=1)
        ),
        EYE,
    ),
    "MONOCHROME2": (lambda: written(photograph(GREY)), GREY_RGB),
    "MONOCHROME1": (
        lambda: written(photograph(255 - GREY, PhotometricInterpretation="MONOCHROME1")),
        GREY_RGB,
    ),
    "MONOCHROME2, JPEG 2000": (lambda: encoded(photograph(GREY), JPEG2000Lossless), GREY_RGB),
    "palette of 8 bits": (lambda: palette(8), of_palette()),
    "palette of 16 bits": (lambda: palette(16), of_palette()),
    "secondary capture": (
        lambda: written(photograph(EYE, SOPClassUID=SecondaryCaptureImageStorage)),
        EYE,
    ),
    "VL photograph": (
        lambda: written(photograph(EYE, SOPClassUID=VLPhotographicImageStorage)),
        EYE,
    ),
    "no preamble": (lambda: without_preamble(written(photograph(EYE))), EYE),
    "odd size": (lambda: written(photograph(EYE[:63, :79])), EYE[:63, :79]),
}


@pytest.mark.parametrize("kind", EXACT)
def test_pixels_are_what_was_written(kind: str) -> None:
    make, expected = EXACT[kind]
    np.testing.assert_array_equal(read_image(make()), expected)


CLOSE: dict[str, Callable[[], bytes]] = {
    "YBR_FULL": lambda: written(photograph(YBR, PhotometricInterpretation="YBR_FULL")),
    "YBR_FULL_422": halved,
    "JPEG baseline": lambda: compressed(
        EYE, BASELINE, jpeg(), PhotometricInterpretation="YBR_FULL"
    ),
    "JPEG baseline whose header says RGB": lambda: compressed(EYE, BASELINE, jpeg()),
    "JPEG baseline of RGB": lambda: compressed(EYE, BASELINE, jpeg(keep_rgb=True)),
    "JPEG extended": lambda: compressed(
        EYE, EXTENDED, jpeg(), PhotometricInterpretation="YBR_FULL"
    ),
    "12 bits in 16": lambda: written(
        photograph(WIDE // 16, BitsStored=12, HighBit=11),
    ),
}


@pytest.mark.parametrize("kind", CLOSE)
def test_colours_are_right(kind: str) -> None:
    pixels = read_image(CLOSE[kind]())
    assert np.abs(pixels.astype(int) - EYE).mean() < 1.2


def test_rgb_that_only_the_header_tells_of() -> None:
    """Three components without any mark: Pillow would take them for YCbCr."""
    data = bytearray(jpeg(keep_rgb=True))
    at = data.index(b"\xff\xee")  # Adobe's mark, which an application may leave out
    del data[at : at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")]
    for own, plain in zip(b"RGB", b"\1\2\3", strict=True):
        for start in (data.index(b"\xff\xc0") + 10, data.index(b"\xff\xda") + 5):
            place = data.index(own, start)
            assert place < start + 10
            data[place] = plain
    pixels = read_image(compressed(EYE, BASELINE, bytes(data)))
    assert np.abs(pixels.astype(int) - EYE).mean() < 1.2


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "IM0001"
    path.write_bytes(written(photograph(EYE)))
    source = read_source(path)
    np.testing.assert_array_equal(source.pixels, EYE)
    assert source.file is not None and len(source.file.sha256) == 64


def test_how_it_was_taken() -> None:
    acquisition = read_source(written(photograph(EYE))).acquisition
    assert acquisition == Acquisition(
        "Ophthalmic Photography 8 Bit", "R", (0.006, 0.005), ("L", "F"), "Maker", "Camera"
    )
    assert acquisition.pixel_mm2 == pytest.approx(3e-5)
    assert read_source(EYE).acquisition is None


@pytest.mark.parametrize("value", ["", "B", "X"])
def test_an_eye_that_is_not_one(value: str) -> None:
    found = read_source(written(photograph(EYE, ImageLaterality=value))).acquisition
    assert found is not None and found.laterality is None


def test_the_laterality_of_the_series() -> None:
    data = written(photograph(EYE, ImageLaterality=None, Laterality="L"))
    found = read_source(data).acquisition
    assert found is not None and found.laterality == "L"


@pytest.mark.parametrize("spacing", [None, [0, 0.1]])
def test_a_spacing_that_is_none(spacing: list[float] | None) -> None:
    found = read_source(written(photograph(EYE, PixelSpacing=spacing))).acquisition
    assert found is not None and found.pixel_spacing is None and found.pixel_mm2 is None


def test_what_looks_odd_is_said() -> None:
    data = written(photograph(EYE, PatientOrientation=["R", "F"], BurnedInAnnotation="YES"))
    notes = " ".join(read_source(data).notes)
    assert "R/F" in notes and "burnt into" in notes


def test_a_colour_profile_is_applied() -> None:
    """One whose red is green is seen at once."""
    swapped = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    dataset = photograph(EYE, ICCProfile=swapped)
    np.testing.assert_array_equal(read_image(written(dataset)), EYE)
    dataset.ICCProfile = b"no profile"
    source = read_source(written(dataset))
    assert any("colour profile" in note for note in source.notes)
