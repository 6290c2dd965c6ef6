"""Read a photograph into one form: ``(H, W, 3)`` uint8 RGB, upright."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tp_drseg.errors import FundusWarning, ImageError

ImageSource: TypeAlias = str | os.PathLike[str] | Image.Image | NDArray[Any]

MAX_PIXELS: Final = 200_000_000
"""Default limit on width x height, against files that unpack to more than the memory."""

MIN_SIDE: Final = 32
"""Shortest side in px on which a retina can be told from its border."""

# Pillow's names; "JPEG" opens the MPO files of many cameras too, PPM is the format of STARE.
_FORMATS: Final = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "PPM")
_READABLE: Final = "JPEG, PNG, TIFF, BMP, WebP or PPM"
_ACCEPTED: Final = (
    "accepted are (H, W), (H, W, 1), (H, W, 3) and (H, W, 4) of uint8, uint16, bool, "
    "or floats in [0, 1]"
)

# (offset, first bytes, name): files that people do try to open as photographs.
_SIGNATURES: Final = (
    (0, b"%PDF", "a PDF document"),
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

logger = logging.getLogger(__name__)


def read_image(source: ImageSource, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Read a photograph, whatever form it comes in.

    - Files: JPEG, PNG, TIFF, BMP, WebP, PPM. Of several frames the first is read, and logged.
      The orientation that EXIF declares is applied.
    - Colour: grey is repeated over the channels; palette, CMYK, YCbCr and Lab are converted.
      Transparent parts become black, as is the border of a fundus photograph.
    - Depth: 16 bits are scaled by 1/257, not clipped; floats in ``[0, 1]`` by 255.

    Args:
        source: path of a file, PIL image, or array ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` or
            ``(H, W, 4)`` of uint8, uint16, bool, or floats in ``[0, 1]``, in RGB order.
        max_pixels: refuse an image of more pixels than this, before it is decoded. Pillow has a
            limit of its own for files (``2 * PIL.Image.MAX_IMAGE_PIXELS``), which holds as well.

    Returns:
        ``(H, W, 3)`` uint8 RGB, upright; a copy, never a view of the source.

    Raises:
        ImageError: the image is missing, not readable, cut short, corrupt, of another format,
            smaller than 32 px on a side, larger than ``max_pixels``, or an array of a shape, type
            or range that is not accepted.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, "the array", max_pixels)
    if isinstance(source, Image.Image):
        name = _quoted(source) if getattr(source, "filename", "") else "the PIL image"
        return _decode(source, name, max_pixels, ours=False)
    if isinstance(source, str | os.PathLike):
        return _from_file(source, max_pixels)
    raise ImageError(
        f"cannot read an image from {type(source).__name__}: "
        "give the path of a file, a PIL image or a NumPy array"
    )


def _quoted(image: Image.Image) -> str:
    return f"'{getattr(image, 'filename', '')}'"


def _from_file(source: str | os.PathLike[str], max_pixels: int) -> NDArray[np.uint8]:
    location = os.fsdecode(source)
    name = f"'{location}'"
    if not location.strip():
        raise ImageError("the path of the image is empty: give the path of a file")
    path = Path(location)
    try:
        if path.is_dir():
            raise ImageError(f"{name} is a folder, not an image: give the path of one file")
        if not path.exists():
            raise ImageError(f"{name} does not exist: check the path")
        if not path.is_file():
            raise ImageError(f"{name} is not a regular file: give the path of an image file")
        if path.stat().st_size == 0:
            raise ImageError(f"{name} is empty (0 bytes): copy or download it again")
        with path.open("rb") as file:
            head = file.read(512)
            file.seek(0)
            try:
                image = Image.open(file, formats=_FORMATS)
            except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
                raise ImageError(
                    f"{name} has too many pixels for Pillow ({error}): scale it down, or raise "
                    "PIL.Image.MAX_IMAGE_PIXELS if you trust the file"
                ) from error
            except Exception as error:  # a damaged header makes Pillow raise nearly anything
                raise ImageError(f"{name} {_describe(head)}") from error
            with image:
                return _decode(image, name, max_pixels)
    except PermissionError as error:
        raise ImageError(f"{name} may not be read (no permission): check its rights") from error
    except (OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"{name} cannot be opened: {error}") from error


def _describe(head: bytes) -> str:
    """Say what a file is, from its first bytes, when it is no image that Pillow knows."""
    for offset, signature, kind in _SIGNATURES:
        if head[offset:].startswith(signature):
            return f"is {kind}, not an image format this reads: save it as {_READABLE}"
    # No control characters, and none of the bytes that UTF-8 never uses.
    if not any(byte < 9 or 13 < byte < 32 or byte > 0xF4 for byte in head):
        return f"holds text, not an image: give a file of format {_READABLE}"
    return f"is corrupt, or not an image format this reads: give a whole {_READABLE} file"


def _decode(
    image: Image.Image, name: str, max_pixels: int, *, ours: bool = True
) -> NDArray[np.uint8]:
    """The pixels of an image, which is turned upright in place when it is `ours`."""
    _check_size(image.height, image.width, name, max_pixels)
    try:
        frames = int(getattr(image, "n_frames", 1))
        image.load()
        if ours:
            ImageOps.exif_transpose(image, in_place=True)
        upright = image if ours else ImageOps.exif_transpose(image)
    except Exception as error:  # damaged data makes Pillow's decoders raise nearly anything
        raise ImageError(
            f"{name} cannot be decoded, it is cut short or corrupt ({error}): "
            "copy or download it again"
        ) from error
    if frames > 1:
        logger.warning("%s holds %d frames: only one is read, the first of a file", name, frames)
    if upright.mode == "F" or upright.mode.startswith("I"):
        return _from_array(_wide_values(upright, name), name, max_pixels)
    try:
        if upright.has_transparency_data:
            return _on_black(np.asarray(upright.convert("RGBA")))
        return np.array(upright if upright.mode == "RGB" else upright.convert("RGB"))
    except ValueError as error:
        raise ImageError(
            f"{name} has the colour mode {upright.mode}, which cannot be turned into RGB: "
            "save it as RGB"
        ) from error


def _wide_values(image: Image.Image, name: str) -> NDArray[Any]:
    """Values of a grey image of more than 8 bits: uint16 or float."""
    values = np.asarray(image)
    if image.mode != "I":
        return values
    # Some versions of Pillow open 16-bit PNG and PGM in the 32-bit mode.
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(f"{name} has 32-bit integer pixels: save it with 8 or 16 bits")
    return values.astype(np.uint16)


def _from_array(values: NDArray[Any], name: str, max_pixels: int) -> NDArray[np.uint8]:
    found = f"{name} has shape {values.shape} and dtype {values.dtype}"
    if values.ndim == 4:
        raise ImageError(f"{found}: give one image at a time; {_ACCEPTED}")
    if values.ndim == 3 and values.shape[2] not in (1, 3, 4) and values.shape[0] in (1, 3, 4):
        raise ImageError(
            f"{found}, channels first: transpose it, image.transpose(1, 2, 0); {_ACCEPTED}"
        )
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] not in (1, 3, 4)):
        raise ImageError(f"{found}: {_ACCEPTED}")
    _check_size(values.shape[0], values.shape[1], name, max_pixels)
    pixels = _to_uint8(values, found)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.shape[2] == 4:
        return _on_black(pixels)
    return np.array(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), order="C")


def _to_uint8(values: NDArray[Any], found: str) -> NDArray[np.uint8]:
    if values.dtype == np.uint8:
        return np.asarray(values, dtype=np.uint8)
    if values.dtype == np.bool_:
        return np.where(values, 255, 0).astype(np.uint8)
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        if values.max() < 4096:
            warnings.warn(
                f"{found} and no value above {values.max()}: if its values have 12 bits or fewer, "
                "scale them to the full 16 bits, or the image is read as a dark one",
                FundusWarning,
                stacklevel=2,
            )
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise ImageError(f"{found} with NaN or infinite values: clean it first")
        low, high = float(values.min()), float(values.max())
        if low < 0.0 or high > 1.0:
            raise ImageError(
                f"{found} with values in [{low:g}, {high:g}]: floats must lie in [0, 1]; "
                "divide by 255 if it has the range of 8 bits"
            )
        scaled: NDArray[np.uint8] = np.rint(values.astype(np.float32) * 255).astype(np.uint8)
        return scaled
    raise ImageError(f"{found}: {_ACCEPTED}")


def _on_black(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Compose ``(H, W, 4)`` on black."""
    if (rgba[:, :, 3] == 255).all():
        return np.array(rgba[:, :, :3], order="C")
    product = rgba[:, :, :3].astype(np.uint16) * rgba[:, :, 3:]
    composed: NDArray[np.uint8] = ((product + 127) // 255).astype(np.uint8)
    return composed


def _check_size(height: int, width: int, name: str, max_pixels: int) -> None:
    if min(height, width) < MIN_SIDE:
        raise ImageError(
            f"{name} is {width}x{height} px: too small, at least {MIN_SIDE} px on each side "
            "are needed"
        )
    if height * width > max_pixels:
        raise ImageError(
            f"{name} is {width}x{height} px, more than {max_pixels} pixels: scale it down, or "
            "raise max_pixels if you trust it"
        )
