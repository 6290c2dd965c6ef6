"""The orientation that a file declares, against Pillow's own way of turning."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from tests.support.image_files import encoded
from tp_drseg.images import read_image
from tp_drseg.images.headers import orientation
from tp_drseg.images.read import turn_upright

NOISE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)


def exif(turn: int) -> Image.Exif:
    data = Image.Exif()
    data[274] = turn
    return data


def xmp(turn: int) -> bytes:
    return b'<x:xmpmeta><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>' % turn


def png_text(key: str, text: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt(key, text) if key.startswith("XML") else info.add_text(key, text, zip=True)
    return encoded("PNG", NOISE, pnginfo=info)


def as_imagemagick(turn: int) -> bytes:
    data = exif(turn).tobytes()
    return png_text("Raw profile type exif", f"\nexif\n{len(data):8}\n{data.hex()}\n")


FILES: dict[str, Callable[[int], bytes]] = {
    "jpeg": lambda turn: encoded("JPEG", NOISE, exif=exif(turn), quality=95),
    "png": lambda turn: encoded("PNG", NOISE, exif=exif(turn)),
    "webp": lambda turn: encoded("WEBP", NOISE, exif=exif(turn), lossless=True),
    "tiff": lambda turn: encoded("TIFF", NOISE, exif=exif(turn)),
    "tiff, packed": lambda turn: encoded("TIFF", NOISE, exif=exif(turn), compression="tiff_lzw"),
    "png with xmp": lambda turn: png_text("XML:com.adobe.xmp", xmp(turn).decode()),
    "webp with xmp": lambda turn: encoded("WEBP", NOISE, xmp=xmp(turn), lossless=True),
    "png by ImageMagick": as_imagemagick,
}


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", FILES)
def test_turned_as_pillow_turns(kind: str, turn: int) -> None:
    data = FILES[kind](turn)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert expected.shape[0] == (96 if turn > 4 else 64)
    np.testing.assert_array_equal(read_image(data), expected)


@pytest.mark.parametrize("turn", [0, 9, 200])
def test_orientation_that_has_no_meaning_turns_nothing(turn: int) -> None:
    np.testing.assert_array_equal(read_image(FILES["png"](turn)), NOISE)


@pytest.mark.parametrize(
    "info",
    [
        {},
        {"exif": b""},
        {"exif": b"Exif\0\0"},
        {"exif": b"Exif\0\0II*\0\xff\xff\xff\xff"},
        {"exif": b"Exif\0\0II*\0\x08\0\0\0\xff\xff"},
        {"exif": exif(6).tobytes()[:20]},
        {"exif": b"Exif\0\0MM\0+\0\0\0\0" + b"\xff" * 8},
        {"Raw profile type exif": "\nexif\n8\nno digits"},
        {"xmp": b'tiff:Orientation="x"'},
    ],
)
def test_damaged_metadata_turn_nothing(info: dict[str, Any]) -> None:
    assert orientation(info) == 1


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 3)])
def test_turning_is_the_same_for_masks_and_photographs(shape: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    for turn in range(1, 9):
        image = Image.fromarray(values)
        image.getexif()[274] = turn
        np.testing.assert_array_equal(
            turn_upright(values, turn), np.asarray(ImageOps.exif_transpose(image))
        )
