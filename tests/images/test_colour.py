"""Colour profiles and transparency: what is read is what a viewer shows."""

import io
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from tp_drseg.images import read_image

NOISE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped() -> bytes:
    """sRGB's profile, by name too, with red and green exchanged."""
    profile = bytearray(SRGB)
    red, green = profile.find(b"rXYZ"), profile.find(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


def grey_profile(gamma: float) -> bytes:
    """A profile for grey with a gamma: version 2, with a white point and a curve."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    white = b"XYZ " + bytes(4) + struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    text = b"desc" + bytes(4) + struct.pack(">I", 5) + b"grey\0" + bytes(78) + bytes(1)
    tags, body, at = b"", b"", 128 + 4 + 3 * 12
    for name, data in ((b"desc", text), (b"wtpt", white), (b"kTRC", curve)):
        data += bytes(-len(data) % 4)
        tags += name + struct.pack(">II", at + len(body), len(data))
        body += data
    total = at + len(body)
    header = struct.pack(">I", total) + b"lcms" + struct.pack(">I", 0x02100000) + b"mntrGRAYXYZ "
    header += bytes(12) + b"acsp" + bytes(28)
    header += struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    return header.ljust(128, b"\0") + struct.pack(">I", 3) + tags + body


def shown(path: Path, profile: bytes, mode: str) -> np.ndarray:
    with Image.open(path) as image:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        result = ImageCms.profileToProfile(image.convert(mode), source, target, outputMode="RGB")
        assert result is not None
        return np.asarray(result)


@pytest.mark.parametrize("ending", ["png", "tif", "jpg", "webp"])
def test_profile_is_applied(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    options: dict[str, Any] = {"lossless": True} if ending == "webp" else {}
    Image.fromarray(NOISE).save(path, icc_profile=swapped(), **options)
    expected = shown(path, swapped(), "RGB")
    np.testing.assert_array_equal(read_image(path), expected)
    assert np.abs(expected.astype(int) - NOISE).mean() > 20


def test_profile_of_srgb_changes_no_pixel(tmp_path: Path) -> None:
    Image.fromarray(NOISE).save(tmp_path / "a.png", icc_profile=SRGB)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), NOISE)


def test_profile_of_grey_is_applied(tmp_path: Path) -> None:
    profile = grey_profile(1.0)
    grey = NOISE[:, :, 0]
    Image.fromarray(grey).save(tmp_path / "a.png", icc_profile=profile)
    expected = shown(tmp_path / "a.png", profile, "L")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), expected)
    # linear light 0.5 is level 188 of sRGB
    half = int(np.median(expected[grey == 128]))
    assert half == pytest.approx(188, abs=2)
    wide = Image.fromarray(grey.astype(np.uint16) * 257)
    wide.save(tmp_path / "b.tif", icc_profile=profile)
    np.testing.assert_array_equal(read_image(tmp_path / "b.tif"), expected)


def test_profile_of_a_camera_on_grey_pixels_is_applied(tmp_path: Path) -> None:
    grey = NOISE[:, :, 0]
    Image.fromarray(grey).save(tmp_path / "a.png", icc_profile=swapped())
    np.testing.assert_array_equal(
        read_image(tmp_path / "a.png"), shown(tmp_path / "a.png", swapped(), "RGB")
    )


def test_profile_and_alpha(tmp_path: Path) -> None:
    alpha = np.tile(np.linspace(0, 255, 96).astype(np.uint8), (64, 1))
    Image.fromarray(np.dstack([NOISE, alpha])).save(tmp_path / "a.png", icc_profile=swapped())
    colours = shown(tmp_path / "a.png", swapped(), "RGB").astype(float)
    expected = np.rint(colours * alpha[:, :, None] / 255)
    assert np.abs(read_image(tmp_path / "a.png") - expected).max() <= 1


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (b"no profile at all", "colour profile that cannot be read: it is left out"),
        (SRGB[:200], "colour profile that cannot be read: it is left out"),
        (grey_profile(2.2), "colour profile for GRAY that does not fit its pixels"),
    ],
)
def test_profile_that_is_of_no_use_is_left_out_with_a_warning(
    profile: bytes, message: str, tmp_path: Path
) -> None:
    Image.fromarray(NOISE).save(tmp_path / "a.png", icc_profile=profile)
    with pytest.warns(match=rf"The photograph '.*a\.png' has a {message}") as caught:
        np.testing.assert_array_equal(read_image(tmp_path / "a.png"), NOISE)
    assert [warning.filename for warning in caught] == [__file__]


def bitmap_of_cameras(rgb: np.ndarray) -> bytes:
    """A 32-bit BMP with a mask for alpha and nothing but 0 in it."""
    height, width = rgb.shape[:2]
    pixels = np.dstack([rgb[::-1, :, ::-1], np.zeros((height, width), np.uint8)]).tobytes()
    info = struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3, len(pixels), 0, 0, 0, 0)
    info += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
    size = struct.pack("<IHHI", 14 + len(info) + len(pixels), 0, 0, 14 + len(info))
    return b"BM" + size + info + pixels


def test_alpha_of_nothing_but_zero_is_left_out(tmp_path: Path) -> None:
    transparent = Image.fromarray(np.dstack([NOISE, np.zeros((64, 96), np.uint8)]))
    (tmp_path / "a.bmp").write_bytes(bitmap_of_cameras(NOISE))
    transparent.save(tmp_path / "a.png")
    for source in (tmp_path / "a.bmp", tmp_path / "a.png", transparent):
        with pytest.warns(match="is transparent everywhere: its alpha channel is left out"):
            np.testing.assert_array_equal(read_image(source), NOISE)


def test_a_plain_photograph_warns_of_nothing(tmp_path: Path) -> None:
    Image.fromarray(NOISE).save(tmp_path / "a.jpg")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_image(tmp_path / "a.jpg")
