"""Reading photographs and finding the field of view, after what users of other tools reported."""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms
from scipy import ndimage

from tp_drseg.errors import ImageError
from tp_drseg.images import FieldOfView, find_field_of_view, fundus_doubt, read_image

Pixels = NDArray[np.uint8]
Eye = Callable[[int], Pixels]


def _side_by_side(eye: Pixels) -> Pixels:
    return np.concatenate([eye, eye[:, ::-1]], axis=1)


def _stacked(eye: Pixels) -> Pixels:
    return np.concatenate([eye, eye], axis=0)


def _report_page(eye: Pixels) -> Pixels:
    gap = np.full((len(eye), 60, 3), 255, np.uint8)
    pair = np.concatenate([eye, gap, eye], axis=1)
    return np.pad(pair, ((300, 300), (80, 80), (0, 0)), constant_values=255)


def _shows_one(found: FieldOfView, side: int) -> bool:
    return all(found.mask.any(axis=axis).sum() <= side for axis in (0, 1))


@pytest.mark.parametrize("picture", [_side_by_side, _stacked, _report_page])
def test_of_two_eyes_none_is_left_out_without_a_word(
    draw_eye: Eye, picture: Callable[[Pixels], Pixels]
) -> None:
    image = picture(draw_eye(400))
    found = find_field_of_view(image)
    assert not _shows_one(found, 400) or fundus_doubt(image, found) is not None


def _local_average_removed(eye: Pixels) -> Pixels:
    blurred = ndimage.gaussian_filter(eye.astype(float), (8, 8, 0))
    pixels: Pixels = np.clip(4 * (eye - blurred) + 128, 0, 255).astype(np.uint8)
    return pixels


def _grey_border(eye: Pixels) -> Pixels:
    return np.where(eye.any(axis=2, keepdims=True), eye, np.uint8(128))


def _window(eye: Pixels) -> Pixels:
    desktop = np.full((700, 900, 3), 240, np.uint8)
    desktop[:50], desktop[150:550, 250:650] = (50, 90, 160), eye
    return desktop


def _white_page(eye: Pixels) -> Pixels:
    return np.pad(eye, ((200, 300), (150, 150), (0, 0)), constant_values=255)


def _white_bars(eye: Pixels) -> Pixels:
    return np.pad(eye, ((80, 80), (0, 0), (0, 0)), constant_values=255)


@pytest.mark.parametrize(
    "picture", [_local_average_removed, _grey_border, _window, _white_page, _white_bars]
)
def test_a_border_is_no_retina(draw_eye: Eye, picture: Callable[[Pixels], Pixels]) -> None:
    eye = draw_eye(400)
    image = picture(eye)
    found = find_field_of_view(image)
    assert found.area <= 1.1 * eye.any(axis=2).sum() or fundus_doubt(image, found) is not None


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.filterwarnings("ignore::tp_drseg.errors.FundusWarning")
@pytest.mark.parametrize(
    ("kind", "head", "filling"),
    [
        (b"zTXt", b"XML\0\0", b"\0"),
        (b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0", b" "),
        (b"iCCP", b"icc\0\0", b"\0"),
    ],
)
def test_a_png_with_much_metadata(
    tmp_path: Path, draw_eye: Eye, kind: bytes, head: bytes, filling: bytes
) -> None:
    stream = io.BytesIO()
    Image.fromarray(draw_eye(64)).save(stream, "PNG")
    png, header = stream.getvalue(), 33
    more = _chunk(kind, head + zlib.compress(filling * 3_000_000))
    (tmp_path / "a.png").write_bytes(png[:header] + more + png[header:])
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), draw_eye(64))


def test_a_colour_profile_is_heeded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    swapped = bytearray(srgb.tobytes())
    red, green = swapped.find(b"rXYZ"), swapped.find(b"gXYZ")
    swapped[red : red + 4], swapped[green : green + 4] = b"gXYZ", b"rXYZ"
    Image.new("RGB", (64, 64), (200, 40, 20)).save(tmp_path / "a.png", icc_profile=bytes(swapped))
    with Image.open(tmp_path / "a.png") as image:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(bytes(swapped)))
        shown = ImageCms.profileToProfile(image, profile, srgb)
    assert shown is not None
    with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.WARNING):
        warnings.simplefilter("always")
        read = read_image(tmp_path / "a.png")
    is_close = np.abs(read.astype(int) - np.asarray(shown)).max() <= 20
    assert is_close or caught or caplog.records


@pytest.mark.filterwarnings("ignore::tp_drseg.errors.FundusWarning")
def test_a_photograph_whose_alpha_is_empty(tmp_path: Path, draw_eye: Eye) -> None:
    """Old camera programs write such 32-bit BMP files."""
    eye = draw_eye(64)
    data = np.dstack([eye[::-1, :, ::-1], np.zeros((64, 64), np.uint8)]).tobytes()
    header = struct.pack("<IiiHHIIiiII", 108, 64, 64, 1, 32, 3, len(data), 0, 0, 0, 0)
    header += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
    start = struct.pack("<IHHI", 14 + len(header) + len(data), 0, 0, 14 + len(header))
    (tmp_path / "a.bmp").write_bytes(b"BM" + start + header + data)
    try:
        np.testing.assert_array_equal(read_image(tmp_path / "a.bmp"), eye)
    except ImageError as error:
        assert "transparent" in str(error)
