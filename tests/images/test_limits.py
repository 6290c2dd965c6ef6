"""Sizes are checked from headers, before memory is taken; the formats are six and no other."""

import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.image_files import encoded, png_chunk, png_of_zeros, png_with, tiff
from tp_drseg.errors import ImageError
from tp_drseg.images import MAX_PIXELS, read_image

NOISE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
PNG = encoded("PNG", NOISE)


def webp(kind: bytes, body: bytes) -> bytes:
    chunk = kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


BOMBS: dict[str, bytes] = {
    "png": png_of_zeros(8000, 8000, colour=0),
    "webp, extended": webp(b"VP8X", bytes(4) + b"\xff\xff\x3f" + b"\xff\xff\x3f"),
    "webp, lossless": webp(b"VP8L", b"\x2f" + struct.pack("<I", 0x3FFF | 0x3FFF << 14)),
    "webp, lossy": webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 0x3FFF, 0x3FFF)),
    "tiff": tiff(NOISE, w=65535, h=65535),
    "bmp": b"BM" + struct.pack("<IHHI", 200, 0, 0, 54)
    + struct.pack("<IiiHHIIiiII", 40, 100_000, 100_000, 1, 24, 0, 0, 0, 0, 0, 0),
    "ppm": b"P6 100000 100000 255 ",
    "jpeg": encoded("JPEG", NOISE).replace(b"\0\x40\0\x60", b"\xf0\0\xf0\0"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BOMBS)
def test_large_image_is_refused_before_memory_is_taken(kind: str) -> None:
    tracemalloc.start()
    with pytest.raises(ImageError, match=f"more than {MAX_PIXELS} pixels"):
        read_image(BOMBS[kind])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * len(BOMBS[kind]) + 1_000_000


def test_tiff_in_huge_pieces_or_too_many_is_refused() -> None:
    tile = ((322, 4, 1, 1 << 20), (323, 4, 1, 1 << 20))
    for data in (tiff(NOISE, *tile), tiff(NOISE, strips=10_000_000)):
        with pytest.raises(ImageError, match="too large or too many pieces"):
            read_image(data)


def test_progressive_jpeg_of_many_scans_is_refused() -> None:
    whole = encoded("JPEG", NOISE, progressive=True)
    start = whole.rindex(b"\xff\xda")
    scan = whole[start:-2]
    with pytest.raises(ImageError, match="more than 200 scans"):
        read_image(whole[:-2] + scan * 400 + whole[-2:])


def test_circle_of_tiff_images_ends() -> None:
    np.testing.assert_array_equal(read_image(tiff(NOISE, following=8)), NOISE)


@pytest.mark.skipif(sys.platform != "linux", reason="counts the peak in kilobytes, as Linux does")
@pytest.mark.parametrize("colour", [2, 6])
def test_memory_of_the_largest_image_is_bounded(colour: int, tmp_path: Path) -> None:
    side = int((MAX_PIXELS // 4) ** 0.5)  # a quarter, for the sake of time
    (tmp_path / "a.png").write_bytes(png_of_zeros(side, side, colour=colour))
    code = (
        "import resource, sys\n"
        "from tp_drseg.images import read_image\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "pixels = read_image(sys.argv[1])\n"
        "print(1024 * (peak() - before) / (pixels.size / 3))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.png")],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert float(done.stdout) < 12  # bytes a pixel: 4 of Pillow's and 3 of the result


TEXTS: dict[str, bytes] = {
    "tEXt": png_chunk(b"tEXt", b"Comment\0" + b"x" * 3_000_000),
    "zTXt": png_chunk(b"zTXt", b"XML\0\0" + zlib.compress(bytes(3_000_000))),
    "iTXt": png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(3_000_000))),
    "iTXt, plain": png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b" " * 3_000_000),
    "many": b"".join(
        png_chunk(b"zTXt", b"k%d\0\0" % i + zlib.compress(bytes(900_000))) for i in range(100)
    ),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_png_with_much_text_is_read(kind: str) -> None:
    np.testing.assert_array_equal(read_image(png_with(PNG, TEXTS[kind])), NOISE)
    np.testing.assert_array_equal(read_image(PNG[:-12] + TEXTS[kind] + PNG[-12:]), NOISE)


def test_colour_profile_that_is_too_large_is_left_out_with_a_warning() -> None:
    profile = png_chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(3_000_000)))
    with pytest.warns(match="colour profile too large to use: it is left out"):
        np.testing.assert_array_equal(read_image(png_with(PNG, profile)), NOISE)


def other_formats() -> dict[str, bytes]:
    found = {"EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 96 80\n%%EndComments\nshowpage\n"}
    for kind in ("GIF", "TGA", "PCX", "ICO", "SGI", "DDS", "JPEG2000", "QOI"):
        try:
            found[kind] = encoded(kind, NOISE)
        except (OSError, KeyError, ValueError):  # this Pillow cannot write it
            continue
    return found


@pytest.mark.parametrize("kind", other_formats())
def test_other_formats_are_refused_whatever_the_name(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(other_formats()[kind])
    with pytest.raises(ImageError, match="not an image"):
        read_image(path)


def test_postscript_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> None:
        raise AssertionError("a program was run")

    monkeypatch.setattr(subprocess, "Popen", run)
    (tmp_path / "a.png").write_bytes(other_formats()["EPS"])
    with pytest.raises(ImageError, match="is a PostScript document"):
        read_image(tmp_path / "a.png")


def palette_lost() -> bytes:
    """A palette PNG whose palette was cut out."""
    header = struct.pack(">IIBBBBB", 64, 64, 8, 3, 0, 0, 0)
    pixels = zlib.compress((b"\0" + bytes(range(64))) * 64)
    return (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", pixels)
        + png_chunk(b"IEND", b"")
    )  # fmt: skip


BROKEN: dict[str, Callable[[], bytes]] = {
    "palette lost": palette_lost,
    "webp without a chunk": lambda: b"RIFF\0\0\0\0WEBP",
    "webp of an unknown chunk": lambda: webp(b"VP9 ", bytes(20)),
    "tiff directory outside": lambda: b"II*\0" + struct.pack("<I", 1 << 30) + bytes(40),
    "tiff without entries": lambda: b"II*\0" + struct.pack("<IHI", 8, 0, 0) + bytes(40),
    "png of no height": lambda: png_of_zeros(64, 0),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_header_is_an_image_error(kind: str) -> None:
    with pytest.raises(ImageError):
        read_image(BROKEN[kind]())
