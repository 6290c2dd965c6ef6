"""read_image: what it reads agrees with values computed by hand, what it refuses it names."""

import os
import re
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from tests.support import image_files
from tests.support.image_files import png16, tiff
from tp_drseg.errors import FundusWarning, ImageError
from tp_drseg.images import MAX_PIXELS, ImageSource, read_image

COLOURS = np.array([[[200, 80, 30], [10, 20, 240]], [[90, 90, 90], [255, 255, 0]]], dtype=np.uint8)
RGB = COLOURS.repeat(32, axis=0).repeat(48, axis=1)  # (64, 96, 3): four flat quadrants
GREY = RGB[:, :, 0]
NOISE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
WIDE = np.random.default_rng(1).integers(0, 65536, (64, 96, 3), dtype=np.uint16)


def grey3(values: np.ndarray) -> np.ndarray:
    return np.stack([values] * 3, axis=-1).astype(np.uint8)


def from_16(values: np.ndarray) -> np.ndarray:
    return np.rint(values / 257.0).astype(np.uint8)


def saved(path: Path, image: Image.Image | np.ndarray, **options: Any) -> Path:
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(path, **options)
    return path


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# ------------------------------------------------------------------------------- what it reads


def with_alpha(rgb: np.ndarray, alpha: np.ndarray) -> Image.Image:
    return Image.fromarray(np.dstack([rgb, alpha]))


ALPHA = np.tile(np.linspace(0, 255, 96).astype(np.uint8), (64, 1))
ON_BLACK = np.rint(RGB * (ALPHA[:, :, None] / 255.0)).astype(np.uint8)
CMYK = np.dstack([RGB, np.full((64, 96), 40, np.uint8)])
CMYK_RGB = np.rint((255.0 - CMYK[:, :, :3]) * (255.0 - 40) / 255.0).astype(np.uint8)


def palette(transparent: int | None = None) -> Image.Image:
    indices = np.repeat(np.repeat([[0, 1], [2, 3]], 32, axis=0), 48, axis=1).astype(np.uint8)
    image = Image.fromarray(indices).convert("L")
    image.putpalette(COLOURS.reshape(-1).tolist())
    if transparent is not None:
        image.info["transparency"] = transparent
    return image


def palette_with_hole() -> np.ndarray:
    expected = RGB.copy()
    expected[:32, 48:] = 0  # index 1
    return expected


def ycbcr() -> np.ndarray:
    """JFIF's full range conversion, of RGB."""
    matrix = np.array(
        [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
    )
    values: np.ndarray = np.clip(np.rint(RGB @ matrix.T + [0, 128, 128]), 0, 255)
    return values.astype(np.uint8)


def raw(mode: str, values: np.ndarray) -> Image.Image:
    return Image.frombytes(mode, (values.shape[1], values.shape[0]), values.tobytes())


BITS = GREY > 100
GOOD: dict[str, tuple[Callable[[Path], Any], np.ndarray, int]] = {
    "png": (lambda p: saved(p / "a.png", NOISE), NOISE, 0),
    "path as str": (lambda p: str(saved(p / "a.png", NOISE)), NOISE, 0),
    "name without extension": (lambda p: saved(p / "a", NOISE, format="PNG"), NOISE, 0),
    "png named .jpg": (lambda p: saved(p / "a.jpg", NOISE, format="PNG"), NOISE, 0),
    "non-ascii name": (lambda p: saved(p / "œil droit 右.png", NOISE), NOISE, 0),
    "png grey": (lambda p: saved(p / "a.png", GREY), grey3(GREY), 0),
    "png 1 bit": (lambda p: saved(p / "a.png", Image.fromarray(BITS)), grey3(BITS * 255), 0),
    "png grey 16": (
        lambda p: written(p / "a.png", png16(WIDE[:, :, 0])),
        grey3(from_16(WIDE[:, :, 0])),
        0,
    ),
    "png rgb 16": (lambda p: written(p / "a.png", png16(WIDE)), from_16(WIDE), 1),
    "png la": (
        lambda p: saved(p / "a.png", Image.fromarray(np.dstack([GREY, ALPHA]), "LA")),
        grey3(np.rint(GREY * (ALPHA / 255.0))),
        0,
    ),
    "png rgba": (lambda p: saved(p / "a.png", with_alpha(RGB, ALPHA)), ON_BLACK, 0),
    "png rgba opaque": (
        lambda p: saved(p / "a.png", with_alpha(NOISE, np.full((64, 96), 255, np.uint8))),
        NOISE,
        0,
    ),
    "png palette": (lambda p: saved(p / "a.png", palette()), RGB, 0),
    "png palette, transparent index": (
        lambda p: saved(p / "a.png", palette(), transparency=1),
        palette_with_hole(),
        0,
    ),
    "png rgb, transparent colour": (
        lambda p: saved(p / "a.png", RGB, transparency=(10, 20, 240)),
        palette_with_hole(),
        0,
    ),
    "jpeg": (lambda p: saved(p / "a.jpg", RGB, quality=95, subsampling=0), RGB, 6),
    "jpeg progressive": (
        lambda p: saved(p / "a.jpg", RGB, quality=95, subsampling=0, progressive=True),
        RGB,
        6,
    ),
    "jpeg grey": (lambda p: saved(p / "a.jpeg", GREY, quality=95), grey3(GREY), 4),
    "jpeg cmyk (Adobe, inverted)": (
        lambda p: saved(p / "a.jpg", raw("CMYK", CMYK), quality=98, subsampling=0),
        CMYK_RGB,
        6,
    ),
    "tiff": (lambda p: saved(p / "a.tif", NOISE), NOISE, 0),
    "tiff lzw": (lambda p: saved(p / "a.tiff", NOISE, compression="tiff_lzw"), NOISE, 0),
    "tiff 1 bit": (lambda p: saved(p / "a.tif", Image.fromarray(BITS)), grey3(BITS * 255), 0),
    "tiff grey 16": (lambda p: saved(p / "a.tif", WIDE[:, :, 1]), grey3(from_16(WIDE[:, :, 1])), 0),
    "tiff rgb 16": (lambda p: written(p / "a.tif", tiff(WIDE)), from_16(WIDE), 1),
    "tiff rgba": (lambda p: saved(p / "a.tif", with_alpha(RGB, ALPHA)), ON_BLACK, 0),
    "tiff palette": (lambda p: saved(p / "a.tif", palette()), RGB, 0),
    "tiff cmyk": (lambda p: saved(p / "a.tif", raw("CMYK", CMYK)), CMYK_RGB, 1),
    "tiff ycbcr": (lambda p: saved(p / "a.tif", raw("YCbCr", ycbcr())), RGB, 2),
    "tiff float": (lambda p: saved(p / "a.tif", (GREY / 255).astype("f4")), grey3(GREY), 0),
    "bmp": (lambda p: saved(p / "a.bmp", NOISE), NOISE, 0),
    "bmp grey": (lambda p: saved(p / "a.bmp", GREY), grey3(GREY), 0),
    "webp lossless": (lambda p: saved(p / "a.webp", NOISE, lossless=True), NOISE, 0),
    "webp with alpha": (
        lambda p: saved(p / "a.webp", with_alpha(RGB, ALPHA), lossless=True, exact=True),
        ON_BLACK,
        0,
    ),
    "ppm": (lambda p: saved(p / "a.ppm", NOISE), NOISE, 0),
    "pil rgb": (lambda p: Image.fromarray(NOISE), NOISE, 0),
    "pil l": (lambda p: Image.fromarray(GREY), grey3(GREY), 0),
    "pil 1": (lambda p: Image.fromarray(BITS), grey3(BITS * 255), 0),
    "pil rgba": (lambda p: with_alpha(RGB, ALPHA), ON_BLACK, 0),
    "pil rgbx": (lambda p: raw("RGBX", CMYK), RGB, 0),
    "pil cmyk": (lambda p: raw("CMYK", CMYK), CMYK_RGB, 1),
    "pil ycbcr": (lambda p: raw("YCbCr", ycbcr()), RGB, 2),
    "pil hsv": (
        lambda p: raw("HSV", np.full((64, 96, 3), [0, 255, 200], np.uint8)),
        np.full((64, 96, 3), [200, 0, 0], np.uint8),
        1,
    ),
    # L* = 50 is the sRGB grey of level 119; a* and b* are 0.
    "pil lab": (
        lambda p: raw("LAB", np.full((64, 96, 3), [128, 0, 0], np.uint8)),
        np.full((64, 96, 3), 119, np.uint8),
        2,
    ),
    "pil palette": (lambda p: palette(), RGB, 0),
    "pil palette with transparency": (lambda p: palette(1), palette_with_hole(), 0),
    "pil i;16": (lambda p: Image.fromarray(WIDE[:, :, 2]), grey3(from_16(WIDE[:, :, 2])), 0),
    "pil i;16b": (
        lambda p: raw("I;16B", WIDE[:, :, 2].astype(">u2")),
        grey3(from_16(WIDE[:, :, 2])),
        0,
    ),
    "pil i": (
        lambda p: Image.fromarray(WIDE[:, :, 2].astype(np.int32)),
        grey3(from_16(WIDE[:, :, 2])),
        0,
    ),
    "pil f": (lambda p: Image.fromarray((GREY / 255).astype("f4")), grey3(GREY), 0),
    "uint8 (H, W)": (lambda p: GREY, grey3(GREY), 0),
    "uint8 (H, W, 1)": (lambda p: GREY[:, :, None], grey3(GREY), 0),
    "uint8 (H, W, 3)": (lambda p: NOISE, NOISE, 0),
    "uint8 (H, W, 4)": (lambda p: np.dstack([RGB, ALPHA]), ON_BLACK, 0),
    "uint8, a reversed view": (lambda p: NOISE[::-1, ::-1], NOISE[::-1, ::-1], 0),
    "uint16": (lambda p: WIDE, from_16(WIDE), 0),
    "uint16 big-endian": (lambda p: WIDE.astype(">u2"), from_16(WIDE), 0),
    "bool": (lambda p: BITS, grey3(BITS * 255), 0),
    "float64": (lambda p: NOISE / 255, NOISE, 0),
    "float32": (lambda p: (NOISE / 255).astype("f4"), NOISE, 0),
    "float16": (lambda p: (NOISE / 255).astype("f2"), NOISE, 1),
    "float (H, W)": (lambda p: GREY / 255, grey3(GREY), 0),
}


@pytest.mark.parametrize("case", GOOD)
def test_every_form_gives_the_same_rgb(case: str, tmp_path: Path) -> None:
    build, expected, tolerance = GOOD[case]
    image = read_image(build(tmp_path))
    assert image.dtype == np.uint8
    assert image.shape == expected.shape
    assert image.flags.c_contiguous
    difference = np.abs(image.astype(int) - expected.astype(int))
    if tolerance > 2:  # lossy: away from the borders of the quadrants
        difference = difference[[8, 8, 56, 56], [8, 88, 8, 88]]
    assert difference.max() <= tolerance


STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a.swapaxes(0, 1), 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("extension", ["png", "tif", "webp"])
def test_exif_orientation_is_applied(orientation: int, extension: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](NOISE)))
    options = {"lossless": True} if extension == "webp" else {}
    path = saved(tmp_path / f"a.{extension}", stored, exif=exif, **options)
    np.testing.assert_array_equal(read_image(path), NOISE)


def test_16_bits_are_scaled_not_clipped() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint16) * 257, (64, 1))
    np.testing.assert_array_equal(read_image(ramp)[0, :, 0], np.arange(256))


def test_12_bits_in_16_are_warned_of() -> None:
    with pytest.warns(FundusWarning, match="no value above 4095"):
        read_image(np.full((64, 64), 4095, np.uint16))


@pytest.mark.parametrize("extension", ["tif", "png", "webp"])
def test_first_of_several_images_is_read_with_a_warning(extension: str, tmp_path: Path) -> None:
    other = Image.fromarray(255 - NOISE)
    options: dict[str, Any] = {"save_all": True, "append_images": [other]}
    if extension == "webp":
        options["lossless"] = True
    path = saved(tmp_path / f"a.{extension}", NOISE, **options)
    with pytest.warns(FundusWarning, match=rf"a\.{extension}' holds more than one image") as caught:
        np.testing.assert_array_equal(read_image(path), NOISE)
    assert caught[0].filename == __file__


def test_camera_jpeg_with_a_second_picture_is_read(tmp_path: Path) -> None:
    first, second = Image.fromarray(RGB), Image.fromarray(255 - RGB)
    path = tmp_path / "a.jpg"
    first.save(path, format="MPO", save_all=True, append_images=[second], quality=95)
    assert np.abs(read_image(path)[8, 8].astype(int) - COLOURS[0, 0]).max() <= 6


@pytest.mark.parametrize("shape", [(64, 96), (64, 96, 1), (64, 96, 3), (64, 96, 4)])
def test_result_is_a_copy(shape: tuple[int, ...]) -> None:
    source = np.full(shape, 255, np.uint8)
    image = read_image(source)
    image[:] = 0
    assert source.min() == 255


def test_pil_image_is_left_as_it_was() -> None:
    source = Image.fromarray(NOISE)
    source.getexif()[274] = 6
    assert read_image(source).shape == (96, 64, 3)
    assert source.size == (96, 64)
    assert source.getexif()[274] == 6


def test_max_pixels_can_be_raised_and_lowered(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", NOISE)
    assert read_image(path, max_pixels=64 * 96).shape == NOISE.shape
    with pytest.raises(ImageError, match="more than 6143 pixels"):
        read_image(path, max_pixels=64 * 96 - 1)
    assert MAX_PIXELS > 4288 * 2848


def test_pillow_is_left_as_it_was(tmp_path: Path) -> None:
    before = (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)
    read_image(saved(tmp_path / "a.png", NOISE))
    with pytest.raises(ImageError):
        read_image(written(tmp_path / "b.jpg", encoded("JPEG")[:500]))
    assert before == (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


# ------------------------------------------------------------------------------- what it refuses


def encoded(kind: str, image: np.ndarray = NOISE, **options: Any) -> bytes:
    return image_files.encoded(kind, image, **options)


def bomb() -> bytes:
    """A PNG of a few bytes whose header declares 50000 x 50000 pixels."""
    data = bytearray(encoded("PNG"))
    data[16:24] = struct.pack(">II", 50_000, 50_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


def damaged_png() -> bytes:
    data = bytearray(encoded("PNG"))
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(64)
    return bytes(data)


def fifo(folder: Path) -> Path:
    path = folder / "pipe.jpg"
    os.mkfifo(path)
    return path


def closed(folder: Path) -> Image.Image:
    image = Image.open(saved(folder / "a.png", NOISE))
    image.close()
    return image


def lazy_truncated(folder: Path) -> Image.Image:
    return Image.open(written(folder / "lazy.jpg", encoded("JPEG")[:1500]))


def nan_at_a_corner() -> np.ndarray:
    values = NOISE / 255
    values[0, 0, 0] = np.nan
    return values


FILE = r"'.*bad\.[a-z0-9]+'"


def file(extension: str, data: bytes) -> Callable[[Path], Path]:
    return lambda folder: written(folder / f"bad.{extension}", data)


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    # files
    "missing": (lambda p: p / "bad.jpg", FILE + " does not exist"),
    "missing folder": (lambda p: p / "no" / "bad.jpg", FILE + " does not exist"),
    "address on the web": (lambda p: "https://localhost/bad.jpg", FILE + " does not exist"),
    "folder": (lambda p: p, "is a folder"),
    "empty path": (lambda p: "", "path of the photograph is empty"),
    "blank path": (lambda p: "  ", "path of the photograph is empty"),
    "null byte in path": (lambda p: "a\0bad.jpg", r"bad\.jpg' (cannot be opened|does not exist)"),
    "name too long": (lambda p: p / ("a" * 5000 + "bad.jpg"), "cannot be opened|does not exist"),
    "zero bytes jpg": (file("jpg", b""), FILE + " is empty"),
    "zero bytes png": (file("png", b""), FILE + " is empty"),
    "one byte": (file("jpg", b"\xff"), FILE + " is corrupt"),
    "text": (file("jpg", b"This is not a photograph.\n"), FILE + " holds text"),
    "html": (file("png", b"<!doctype html><html>404</html>"), FILE + " holds text"),
    "svg": (file("svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"), FILE + " holds text"),
    "csv": (file("csv", b"image,grade\nIDRiD_01,3\n"), FILE + " holds text"),
    "random bytes": (file("jpg", NOISE.tobytes()), FILE + " is corrupt, or not an image format"),
    "all zeros": (file("tif", bytes(4000)), FILE + " is corrupt, or not an image format"),
    "npy": (file("npy", b"\x93NUMPY\x01\x00" + bytes(200)), FILE + " is corrupt, or not"),
    "pdf": (file("pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), "PDF document, not an image format"),
    "dicom": (file("dcm", bytes(128) + b"DICM" + bytes(64)), "DICOM file, but no photograph"),
    "gif": (file("gif", encoded("GIF", GREY)), "is a GIF, not an image format this reads"),
    "heic": (file("heic", b"\0\0\0\x18ftypheic" + bytes(40)), "HEIC photograph, not an image f"),
    "heif": (file("heif", b"\0\0\0\x18ftypmif1" + bytes(40)), "HEIF photograph, not an image f"),
    "avif": (file("avif", b"\0\0\0\x18ftypavif" + bytes(40)), "AVIF photograph, not an image f"),
    "jpeg 2000": (file("jp2", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40)), "JPEG 2000 image, not"),
    "jpeg 2000 codestream": (file("j2k", b"\xff\x4f\xff\x51" + bytes(40)), "JPEG 2000 image, not"),
    "photoshop": (file("psd", b"8BPS\0\x01" + bytes(40)), "Photoshop document, not"),
    "zip": (file("zip", b"PK\x03\x04" + bytes(40)), "ZIP archive, not an image format"),
    "gzip": (file("gz", b"\x1f\x8b\x08" + bytes(40)), "gzip archive, not an image format"),
    "jpeg marker only": (file("jpg", b"\xff\xd8\xff\xe0"), FILE + " is corrupt"),
    "jpeg header only": (file("jpg", encoded("JPEG")[:60]), FILE + " is corrupt"),
    "jpeg without scan": (file("jpg", encoded("JPEG")[:640]), FILE + ".*cut short or corrupt"),
    "png signature only": (file("png", encoded("PNG")[:8]), FILE + " is corrupt"),
    "png header only": (file("png", encoded("PNG")[:40]), FILE + ".*corrupt"),
    "png damaged": (file("png", damaged_png()), FILE + ".*cut short or corrupt"),
    "png bomb": (file("png", bomb()), FILE + ".*more than 50000000 pixels"),
    "1x1 png": (file("png", encoded("PNG", NOISE[:1, :1])), FILE + " is 1x1 px: too small"),
    "31 px high": (file("png", encoded("PNG", NOISE[:31])), FILE + " is 96x31 px: too small"),
    "31 px wide": (file("jpg", encoded("JPEG", NOISE[:, :31])), FILE + " is 31x64 px: too small"),
    "tiff of 32-bit integers": (
        lambda p: saved(p / "bad.tif", np.full((64, 64), 70_000, np.int32)),
        FILE + " has 32-bit integer pixels",
    ),
    "tiff of floats up to 255": (
        lambda p: saved(p / "bad.tif", GREY.astype("f4")),
        FILE + ".*Divide by 255",
    ),
    "tiff of NaN": (
        lambda p: saved(p / "bad.tif", np.full((64, 64), np.nan, "f4")),
        FILE + ".*NaN",
    ),
    # not an image at all
    "None": (lambda p: None, "cannot be read from NoneType"),
    "int": (lambda p: 7, "cannot be read from int"),
    "float": (lambda p: 0.5, "cannot be read from float"),
    "list": (lambda p: NOISE.tolist(), "cannot be read from list"),
    "list of paths": (lambda p: [p / "a.jpg"], "cannot be read from list"),
    "dict": (lambda p: {"image": NOISE}, "cannot be read from dict"),
    # arrays
    "scalar array": (lambda p: np.array(3, np.uint8), r"shape \(\) and dtype uint8; accepted"),
    "no pixel": (lambda p: np.zeros((0, 0, 3), np.uint8), "0x0 px: it has no pixel"),
    "one dimension": (lambda p: np.zeros(64, np.uint8), r"shape \(64,\).*accepted are \(H, W\)"),
    "two channels": (lambda p: np.zeros((64, 64, 2), np.uint8), r"\(64, 64, 2\).*accepted are"),
    "five channels": (lambda p: np.zeros((64, 64, 5), np.uint8), r"\(64, 64, 5\).*accepted are"),
    "channels first": (lambda p: NOISE.transpose(2, 0, 1), r"\(3, 64, 96\).*transpose\(1, 2, 0\)"),
    "grey channel first": (lambda p: GREY[None], r"\(1, 64, 96\).*transpose\(1, 2, 0\)"),
    "batch": (lambda p: NOISE[None], r"\(1, 64, 96, 3\).*one image at a time"),
    "int64": (lambda p: NOISE.astype(np.int64), "dtype int64; accepted"),
    "int8": (lambda p: np.zeros((64, 64, 3), np.int8), "dtype int8; accepted"),
    "uint32": (lambda p: NOISE.astype(np.uint32), "dtype uint32; accepted"),
    "complex": (lambda p: NOISE.astype(complex), "dtype complex128; accepted"),
    "object": (lambda p: NOISE.astype(object), "dtype object; accepted"),
    "strings": (lambda p: NOISE.astype(str), "dtype <U3; accepted"),
    "dates": (lambda p: np.zeros((64, 64), "M8[s]"), "dtype datetime64.*accepted"),
    "NaN": (lambda p: nan_at_a_corner(), "NaN or infinite"),
    "infinite": (lambda p: np.full((64, 64), np.inf), "NaN or infinite"),
    "floats up to 255": (lambda p: NOISE.astype("f4"), r"values in \[0, 255\].*Divide by 255"),
    "negative floats": (lambda p: NOISE / 127.5 - 1, r"values in \[-1, 1\].*must lie in \[0, 1\]"),
    "1x1 array": (lambda p: NOISE[:1, :1], "The array is 1x1 px: too small"),
    "31x31 array": (lambda p: NOISE[:31, :31], "The array is 31x31 px: too small"),
    # PIL images
    "closed image": (closed, "cannot be decoded"),
    "image opened on a truncated file": (
        lazy_truncated,
        r"lazy\.jpg' cannot be decoded.*cut short",
    ),
    "1x1 image": (lambda p: Image.new("RGB", (1, 1)), "The PIL image is 1x1 px: too small"),
    "negative integers": (
        lambda p: Image.fromarray(np.full((64, 64), -1, np.int32)),
        "The PIL image has 32-bit integer pixels",
    ),
    "float image up to 255": (lambda p: Image.new("F", (64, 64), 255.0), "Divide by 255"),
}
if hasattr(os, "mkfifo"):
    BAD["pipe"] = (fifo, "is not a regular file")


@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_by_name(case: str, tmp_path: Path) -> None:
    build, message = BAD[case]
    source = build(tmp_path)
    with pytest.raises(ImageError) as caught:
        read_image(source)
    assert re.search(message, str(caught.value)), str(caught.value)
    if isinstance(source, Image.Image):  # it is its owner who closes it
        source.close()


@pytest.mark.filterwarnings("ignore:Truncated File Read", "ignore:Corrupt EXIF data")
@pytest.mark.parametrize("percent", [2, 10, 30, 50, 70, 90, 97])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("BMP", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("PPM", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_truncated_file_is_never_half_read(
    kind: str, options: dict[str, Any], percent: int, tmp_path: Path
) -> None:
    whole = encoded(kind, **options)
    path = written(tmp_path / "cut.img", whole)
    assert read_image(path).shape == NOISE.shape
    written(path, whole[: len(whole) * percent // 100])
    with pytest.raises(ImageError, match=r"cut\.img"):
        read_image(path)


@pytest.mark.parametrize("case", ["array", "image", "file"])
def test_too_many_pixels_are_refused_whatever_the_source(case: str, tmp_path: Path) -> None:
    sources: dict[str, ImageSource] = {
        "array": NOISE,
        "image": Image.fromarray(NOISE),
        "file": saved(tmp_path / "a.png", NOISE),
    }
    with pytest.raises(ImageError, match="96x64 px, more than 5000 pixels"):
        read_image(sources[case], max_pixels=5000)


def test_pixels_are_counted_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object) -> None:
        raise AssertionError("decoded")

    path = saved(tmp_path / "a.png", NOISE)
    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    with pytest.raises(ImageError, match="more than 5000 pixels"):
        read_image(path, max_pixels=5000)


def test_no_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.png", NOISE)

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ImageError, match=r"a\.png' may not be read \(no permission\)"):
        read_image(path)


def test_the_limit_of_pillow_plays_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.png", NOISE)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(read_image(path), NOISE)
