"""From the bytes of a file to a decoded image: one list of formats, for photographs and masks.

Only the plugins of these six formats are ever reached, whatever a file is called and whatever
Pillow can open beside them. Sizes are checked from the headers, against a limit of our own:
Pillow's ``MAX_IMAGE_PIXELS`` is neither relied on nor changed.
"""

from __future__ import annotations

import io
import operator
from collections.abc import Callable
from typing import Final

from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from tp_drseg.errors import ConfigError, ImageError
from tp_drseg.images import headers
from tp_drseg.images.source import FileBytes

IMAGE_SUFFIXES: Final = frozenset(
    {".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""File suffixes, in lower case, that count as an image or a mask; other files are passed over."""

MIN_SIDE: Final = 32
"""Shortest side in px on which a retina can be told from its border."""

READABLE: Final = "JPEG, PNG, TIFF, BMP, WebP or PPM"

# Not the class for MPO: its first picture, which is all that is read, is a JPEG.
_FORMATS: Final[tuple[tuple[type[ImageFile], Callable[[bytes], bool]], ...]] = (
    (JpegImageFile, lambda head: head.startswith(b"\xff\xd8\xff")),
    (PngImageFile, lambda head: head.startswith(headers.PNG_SIGNATURE)),
    (TiffImageFile, lambda head: head[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}),
    (BmpImageFile, lambda head: head.startswith(b"BM")),
    (WebPImageFile, lambda head: head.startswith(b"RIFF") and head[8:12] == b"WEBP"),
    (PpmImageFile, lambda head: head[:2] in {b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"Pf"}),
)

# (offset, first bytes, name): files that people do try to open as photographs.
_SIGNATURES: Final = (
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript document"),
    (128, b"DICM", "a DICOM file"),
    (0, b"GIF8", "a GIF"),
    (4, b"ftyphei", "a HEIC photograph"),
    (4, b"ftypmif1", "a HEIF photograph"),
    (4, b"ftypavif", "an AVIF photograph"),
    (4, b"jP  ", "a JPEG 2000 image"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
)
_MOST_SCANS: Final = 200  # of a progressive JPEG: encoders make about ten
_LONGEST_LIST: Final = 1 << 18  # numbers in one tag of a TIFF: strips, mostly, one or more a row


def file_limit(max_pixels: int) -> int:
    """Return the most bytes that a file is read of: four channels of 16 bits, and metadata.

    Raises:
        ConfigError: The limit is no whole number from 1 on.
    """
    try:
        most = operator.index(max_pixels)
    except TypeError:
        most = 0
    if most < 1:
        raise ConfigError(f"max_pixels is a number of pixels, at least 1, got {max_pixels!r:.40}.")
    return 8 * most + (1 << 24)


def open_image(file: FileBytes, max_pixels: int) -> tuple[ImageFile, list[str]]:
    """Read the header of a file's first image; nothing is decoded.

    Args:
        file: What it holds.
        max_pixels: The most pixels, and the most pixels of a TIFF's tile.

    Returns:
        The image, to be loaded by :func:`load`, and what is left out, see `SourceImage`.

    Raises:
        ImageError: It is of another format, or its header is cut short, corrupt or too large.
    """
    notes: list[str] = []
    image = _open(file, max_pixels, notes)
    check_size(image.height, image.width, file.name, max_pixels)
    return image, notes


def load(image: ImageFile, name: str) -> int:
    """Decode an image, in place, and close its file.

    Returns:
        The orientation that it declares, from 1 to 8.

    Raises:
        ImageError: Its data are cut short or corrupt, or there is not enough memory.
    """
    try:
        with image:
            image.load()
        if image.mode in {"P", "PA"} and not image.getpalette():
            raise ValueError("it has lost its palette")
        if isinstance(image, TiffImageFile):  # which Pillow has turned upright
            return int(image.tag_v2.get(274, 1))
        return headers.orientation(image.info)
    except MemoryError as error:
        raise no_memory(name, image.height, image.width) from error
    except Exception as error:  # damaged data makes Pillow's decoders raise nearly anything
        raise cut_short(name, error) from error


def check_size(height: int, width: int, name: str, max_pixels: int) -> None:
    """Refuse an image of too many pixels, or of none.

    Raises:
        ImageError: It is.
    """
    if min(height, width) < 1:
        raise ImageError(f"{name} is {width}x{height} px: it has no pixel. Copy it again.")
    if height * width > max_pixels:
        raise ImageError(
            f"{name} is {width}x{height} px, more than {max_pixels} pixels. Scale it down, or "
            "raise max_pixels if you trust it."
        )


def no_memory(name: str, height: int, width: int) -> ImageError:
    """Return the error for an image that is too large for this machine."""
    return ImageError(
        f"{name} is {width}x{height} px: there is not enough memory to decode it. Scale it down."
    )


def cut_short(name: str, error: Exception) -> ImageError:
    """Return the error for an image whose data are not whole."""
    return ImageError(
        f"{name} cannot be decoded, it is cut short or corrupt ({error}). Copy or download it "
        "again."
    )


def _open(file: FileBytes, max_pixels: int, notes: list[str]) -> ImageFile:
    """Return the image with its header read, and checked where that takes memory."""
    data, head = file.data, file.data[:512]
    plugin = next((plugin for plugin, accepts in _FORMATS if accepts(head)), None)
    if plugin is None:
        raise ImageError(f"{file.name} {_describe(head)}")
    try:
        if plugin is WebPImageFile:
            width, height = headers.webp_size(data)
            check_size(height, width, file.name, max_pixels)
        elif plugin is TiffImageFile:
            _check_tiff(file, max_pixels)
        elif plugin is JpegImageFile and headers.jpeg_scans(data) > _MOST_SCANS:
            raise ImageError(f"{file.name} has more than {_MOST_SCANS} scans. Save it as a PNG.")
        elif plugin is PngImageFile:
            data, lost_profile = headers.png_without_large_text(data)
            if lost_profile:
                notes.append("has a colour profile too large to use: it is left out.")
        image = plugin(io.BytesIO(data))
        if plugin is BmpImageFile and image.mode == "1" and headers.bmp_bits(data) != 1:
            # Pillow takes the bytes of two greys for bits, and gives an image without sense.
            raise ImageError(f"{file.name} is a BMP of two greys. Save it as a PNG.")
        if getattr(image, "is_animated", False):
            notes.append("holds more than one image: only the first is read.")
    except ImageError:
        raise
    except Exception as error:  # a damaged header makes Pillow raise nearly anything
        raise ImageError(
            f"{file.name} is corrupt, or not an image format this reads. Give a whole {READABLE} "
            "file."
        ) from error
    return image


def _check_tiff(file: FileBytes, max_pixels: int) -> None:
    """Check what Pillow would make lists and buffers of."""
    directory = headers.read_directory(file.data)
    width, height = directory.size
    check_size(height, width, file.name, max_pixels)
    if directory.tile_pixels > max_pixels or directory.longest > _LONGEST_LIST:
        raise ImageError(
            f"{file.name} is cut into too large or too many pieces. Save it anew, as a PNG."
        )


def _describe(head: bytes) -> str:
    """Say what a file is, from its first bytes, when it is no image that is read."""
    for offset, signature, kind in _SIGNATURES:
        if head[offset:].startswith(signature):
            return f"is {kind}, not an image format this reads. Save it as {READABLE}."
    # No control characters, and none of the bytes that UTF-8 never uses.
    if not any(byte < 9 or 13 < byte < 32 or byte > 0xF4 for byte in head):
        return f"holds text, not an image. Give a file of format {READABLE}."
    return f"is corrupt, or not an image format this reads. Give a whole {READABLE} file."
