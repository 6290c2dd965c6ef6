"""DICOM files that are no photographs, damaged, or made to take memory: each with its own error."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from tests.support.dicom_files import BIRTH, NAME, PATIENT, compressed, eye, photograph, written
from tp_drseg._runtime import extras
from tp_drseg.errors import ImageError, MissingExtraError
from tp_drseg.images import read_image
from tp_drseg.images.dicom import pixels

BASELINE, EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"
EYE = eye()


def jpeg(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


def encoded(syntax: str) -> bytes:
    dataset = photograph(EYE)
    dataset.compress(syntax)
    return written(dataset)


def bomb() -> bytes:
    """100 KB that inflate to 100 MB of an element that nobody needs."""
    dataset = photograph(EYE, PixelData=None)
    start = written(dataset, DeflatedExplicitVRLittleEndian)[:132]
    whole = written(dataset, DeflatedExplicitVRLittleEndian)
    meta_end = 132 + 12 + int.from_bytes(whole[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(b"\x09\0\x10\0OB\0\0\0\0\0\x7f")
    packed += b"".join(packer.compress(bytes(1 << 20)) for _ in range(600)) + packer.flush()
    assert start == whole[:132] and len(packed) < 1 << 20
    return whole[:meta_end] + packed


def run_length_bomb() -> bytes:
    """Each two bytes of run lengths are 128 of the picture, far more than Rows and Columns say."""
    segment = b"\x81\0" * 200_000
    head = np.zeros(16, "<u4")
    head[:4] = (3, 64, 64 + len(segment), 64 + 2 * len(segment))
    return compressed(EYE, RLELossless, head.tobytes() + 3 * segment)


def no_header() -> bytes:
    return bytes(128) + b"DICM" + bytes(64)


def directory() -> bytes:
    return written(photograph(EYE, SOPClassUID="1.2.840.10008.1.3.10"))


def deep() -> bytes:
    """Sequences in sequences, of undefined length."""
    item = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
    return written(photograph(EYE, PixelData=None)) + item * 5000


WRONG: dict[str, tuple[Callable[[], bytes], str]] = {
    "no data set": (no_header, "no photograph"),
    "cut in its header": (lambda: written(photograph(EYE))[:200], "cut short|no photograph"),
    "cut before its pixels": (lambda: written(photograph(EYE))[:700], "without a picture"),
    "cut in its pixels": (lambda: written(photograph(EYE))[:-500], "cut short"),
    "cut JPEG": (lambda: compressed(EYE, BASELINE, jpeg(EYE)[:-400]), "cut short"),
    "cut JPEG 2000": (lambda: encoded(JPEG2000Lossless)[:-3000], "cut short"),
    "cut JPEG-LS": (lambda: encoded(JPEGLSLossless)[:-500], "cut short"),
    "cut RLE": (lambda: encoded(RLELossless)[:-2000], "cut short"),
    "noise for a JPEG": (lambda: compressed(EYE, BASELINE, bytes(range(256)) * 9), "none of JPEG"),
    "a larger JPEG": (lambda: compressed(EYE, BASELINE, jpeg(eye(640, 800))), "header says 80x64"),
    "a larger JPEG 2000": (
        lambda: compressed(EYE, JPEG2000Lossless, b"\xff\x4f\xff\x51" + bytes(60)),
        "header says 80x64",
    ),
    "huge": (lambda: written(photograph(EYE, Rows=60000, Columns=60000)), "more than 50000000"),
    "no rows": (lambda: written(photograph(EYE, Rows=None)), "Rows is missing"),
    "no pixel": (lambda: written(photograph(EYE, Rows=0)), "no pixel"),
    "small": (lambda: written(photograph(EYE[:20, :20])), "too small"),
    "three frames": (lambda: written(photograph(EYE, NumberOfFrames=3)), "holds 3 frames"),
    "signed": (lambda: written(photograph(EYE, PixelRepresentation=1)), "signed"),
    "one bit": (lambda: written(photograph(EYE, BitsAllocated=1, BitsStored=1)), "1 bits in 1"),
    "four samples": (lambda: written(photograph(EYE, SamplesPerPixel=4)), "4 samples"),
    "unknown colours": (
        lambda: written(photograph(EYE, PhotometricInterpretation="CMYK")),
        "CMYK of 3 samples",
    ),
    "a palette in segments": (
        lambda: written(photograph(EYE[..., 0], PhotometricInterpretation="PALETTE COLOR")),
        "palette of red is missing",
    ),
    "lossy JPEG of 12 bits": (
        lambda: compressed(EYE.astype(np.uint16), EXTENDED, jpeg(EYE), BitsStored=12, HighBit=11),
        "12 bits",
    ),
    "a film": (lambda: compressed(EYE, "1.2.840.10008.1.2.4.102", jpeg(EYE)), "which is not read"),
    "a tomogram": (
        lambda: written(photograph(EYE, SOPClassUID="1.2.840.10008.5.1.4.1.1.2")),
        "no photograph of a retina: CT Image Storage",
    ),
    "a report": (
        lambda: written(photograph(EYE, SOPClassUID=ENHANCED_SR, PixelData=None)),
        "no photograph of a retina",
    ),
    "a DICOMDIR": (directory, "is a DICOMDIR"),
    "a result": (lambda: written(photograph(EYE, ManufacturerModelName="tp-drseg")), "is a result"),
    "a deflated bomb": (bomb, "unpacks to more than"),
    "a bomb of run lengths": (run_length_bomb, ""),
    "sequences without end": (deep, "damaged|without a picture"),
    "no picture": (lambda: written(photograph(EYE, PixelData=None)), "without a picture"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_said(kind: str) -> None:
    make, message = WRONG[kind]
    data = make()
    if not message:  # it is read, in the memory that its header asks for
        assert read_image(data).shape == EYE.shape
        return
    with pytest.raises(ImageError, match=message) as caught:
        read_image(data)
    text = str(caught.value)
    assert text[0].isupper() and text.endswith(".")
    assert not any(secret in text for secret in (NAME, PATIENT, BIRTH))


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of memory")
@pytest.mark.parametrize("make", [bomb, run_length_bomb, deep], ids=lambda make: make.__name__)
def test_memory_is_bounded(make: Callable[[], bytes], tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(make())
    code = f"""
import resource
from tp_drseg.errors import ImageError
from tp_drseg.images import read_image
from tp_drseg.images.dicom import read
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_image({str(path)!r}, max_pixels=1_000_000)
except ImageError:
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    kilobytes = int(result.stdout) // (1024 if sys.platform == "darwin" else 1)
    assert kilobytes < 120_000  # 24 MB of the file may be unpacked


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "pydicom" else name)
    path = tmp_path / "eye.dcm"
    path.write_bytes(written(photograph(EYE)))
    with pytest.raises(MissingExtraError, match=r"eye\.dcm.*tp-drseg\[dicom\]"):
        read_image(path)


WHOLE = {
    "native": written(photograph(EYE)),
    "deflated": written(photograph(EYE), DeflatedExplicitVRLittleEndian),
    "RLE": encoded(RLELossless),
    "JPEG": compressed(EYE, BASELINE, jpeg(EYE)),
}


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(sorted(WHOLE)),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8),
    cut=st.floats(0.2, 1),
)
def test_damage_is_an_image_or_our_error(
    kind: str, changes: list[tuple[float, int]], cut: float
) -> None:
    data = bytearray(WHOLE[kind])
    for place, value in changes:
        data[132 + int(place * (len(data) - 133))] = value
    try:
        pixels = read_image(bytes(data[: max(200, int(cut * len(data)))]))
    except ImageError as error:
        assert not any(secret in str(error) for secret in (NAME, PATIENT, BIRTH))
    else:
        assert pixels.ndim == 3 and pixels.dtype == np.uint8


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
def test_damage_that_a_decoder_of_its_own_process_meets(syntax: str) -> None:
    whole, draw = encoded(syntax), random.Random(0)
    for _ in range(5):
        data = bytearray(whole)
        data[draw.randrange(900, len(data))] = draw.randrange(256)
        try:
            assert read_image(bytes(data[: draw.randrange(2000, len(data))])).shape == EYE.shape
        except ImageError:
            continue


def test_a_decoder_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "_SECONDS", 0.01)
    with pytest.raises(ImageError, match="not decoded within"):
        read_image(encoded(JPEGLSLossless))


def test_nothing_is_converted_that_could_be_told(recwarn: pytest.WarningsRecorder) -> None:
    """pydicom's warnings of odd values show them; none is asked for."""
    dataset = photograph(EYE)
    data = written(dataset).replace(b"19500203", b"Secret.!")
    read_image(data)
    assert isinstance(dataset, Dataset) and not recwarn.list
