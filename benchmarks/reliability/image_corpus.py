"""Valid photographs and masks in every form that is read: made here, stored nowhere."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from benchmarks.reliability import edit_png
from benchmarks.reliability.drawn import fundus

SIZE = (80, 96)
"""Height and width of all of them."""

_COMPRESSIONS = (
    *("raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "jpeg"),
    *("zstd", "lzma"),
)


def photographs() -> dict[str, bytes]:
    """Return files by what they are; each is a photograph of `SIZE`, or turns into one."""
    height, width = SIZE
    pixels = fundus(width, height, seed=1)
    wide = pixels.astype(np.uint16) * 257
    rgb, more = Image.fromarray(pixels), [Image.fromarray(fundus(width, height, s)) for s in (2, 3)]
    grey, one_bit, palette = rgb.convert("L"), rgb.convert("1"), rgb.quantize(32)
    rgba, cmyk = rgb.convert("RGBA"), rgb.convert("CMYK")
    rgba.putalpha(grey)
    small = Image.fromarray(pixels[..., 0].astype(np.float32) / 255)
    turned = Image.Exif()
    turned[0x0112], turned[0x010E] = 6, "text" * 20
    found = {
        "jpeg": _saved(rgb, "JPEG", quality=80),
        "jpeg progressive": _saved(rgb, "JPEG", progressive=True),
        "jpeg cmyk": _saved(cmyk, "JPEG"),
        "jpeg grey": _saved(grey, "JPEG"),
        "jpeg turned": _saved(rgb, "JPEG", exif=turned, subsampling=2, icc_profile=b"none" * 9),
        "jpeg mpo": _saved(rgb, "MPO", more),
        "png": _saved(rgb, "PNG"),
        "png alpha": _saved(rgba, "PNG"),
        "png grey": _saved(grey, "PNG"),
        "png 1 bit": _saved(one_bit, "PNG"),
        "png palette": _saved(palette, "PNG"),
        "png palette alpha": _saved(palette, "PNG", transparency=3),
        "png 16 grey": edit_png.encode(wide[..., :1], depth=16, colour=0),
        "png 16": edit_png.encode(wide, depth=16),
        "png interlaced": edit_png.encode(pixels, interlaced=True),
        "png 16 interlaced": edit_png.encode(wide, depth=16, interlaced=True),
        "png turned": _saved(rgb, "PNG", exif=turned),
        "png moving": _saved(rgb, "PNG", more),
        "bmp": _saved(rgb, "BMP"),
        "bmp palette": _saved(palette, "BMP"),
        "bmp 1 bit": _saved(one_bit, "BMP"),
        "bmp alpha": _saved(rgba, "BMP"),
        "webp": _saved(rgb, "WEBP"),
        "webp lossless": _saved(rgb, "WEBP", lossless=True),
        "webp alpha": _saved(rgba, "WEBP"),
        "webp moving": _saved(rgb, "WEBP", more),
        "webp turned": _saved(rgb, "WEBP", exif=turned),
        "ppm": _saved(rgb, "PPM"),
        "pgm": _saved(grey, "PPM"),
        "pbm": _saved(one_bit, "PPM"),
        "pgm 16": b"P5\n96 80\n65535\n" + wide[..., 0].astype(">u2").tobytes(),
        "ppm text": b"P3\n96 80\n255\n" + " ".join(map(str, pixels.ravel())).encode() + b"\n",
        "pfm": _saved(small, "PPM"),
        "tiff group4": _saved(one_bit, "TIFF", compression="group4"),
        "tiff pages": _saved(rgb, "TIFF", more),
        "tiff 16": _saved(Image.fromarray(wide[..., 0]), "TIFF"),
        "tiff float": _saved(small, "TIFF"),
        "tiff cmyk": _saved(cmyk, "TIFF", compression="tiff_lzw"),
        "tiff ycbcr": _saved(rgb.convert("YCbCr"), "TIFF"),
        "tiff palette": _saved(palette, "TIFF"),
        "tiff turned": _saved(rgb, "TIFF", tiffinfo={0x0112: 3}),
    }
    for compression in _COMPRESSIONS:
        try:
            found[f"tiff {compression}"] = _saved(rgb, "TIFF", compression=compression)
        except (OSError, KeyError):  # not every build of libtiff has all of them
            continue
    return found


def masks() -> dict[str, bytes]:
    """Return files by what they are; each is a mask of `SIZE`."""
    marked = np.zeros(SIZE, np.uint8)
    marked[20:40, 30:60] = 255
    grey, labels = Image.fromarray(marked), Image.fromarray(marked // 85)
    palette = Image.fromarray(marked // 85)
    palette.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, *[0] * 756])
    nothing, one_bit = Image.new("L", grey.size), grey.convert("1")
    red = Image.merge("RGB", (grey, nothing, nothing))
    return {
        "png": _saved(grey, "PNG"),
        "png 1 bit": _saved(one_bit, "PNG"),
        "png palette": _saved(palette, "PNG"),
        "png red": _saved(red, "PNG"),
        "png red alpha": _saved(red.convert("RGBA"), "PNG"),
        "png alpha": _saved(grey.convert("LA"), "PNG"),
        "png labels": _saved(labels, "PNG"),
        "png 16": edit_png.encode(marked.astype(np.uint16)[..., None] * 257, depth=16, colour=0),
        "png interlaced": edit_png.encode(marked[..., None], colour=0, interlaced=True),
        "tiff": _saved(grey, "TIFF"),
        "tiff lzw": _saved(grey, "TIFF", compression="tiff_lzw"),
        "tiff group4": _saved(one_bit, "TIFF", compression="group4"),
        "tiff palette": _saved(palette, "TIFF"),
        "tiff pages": _saved(grey, "TIFF", [grey]),
        "bmp": _saved(grey, "BMP"),
        "bmp 1 bit": _saved(one_bit, "BMP"),
        "jpeg": _saved(grey, "JPEG"),
        "webp": _saved(red, "WEBP", lossless=True),
        "pgm": _saved(grey, "PPM"),
        "gif": _saved(palette, "GIF"),
    }


def _saved(
    image: Image.Image, format: str, more: Sequence[Image.Image] = (), **options: object
) -> bytes:
    file = io.BytesIO()
    if more:
        options |= {"save_all": True, "append_images": [one.copy() for one in more]}
    image.copy().save(file, format=format, **options)  # a copy: Pillow keeps settings in it
    return file.getvalue()
