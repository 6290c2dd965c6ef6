"""Decoded images and arrays of any kind to ``(H, W, 3)`` uint8 RGB, a band of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tp_drseg.errors import ImageError
from tp_drseg.images.colour import ToSRGB, profile_of

_BAND: Final = 1 << 20  # pixels that are converted at once, which bounds the memory on the way
_ACCEPTED: Final = (
    "accepted are (H, W), (H, W, 1), (H, W, 3) and (H, W, 4) of uint8, uint16, bool, "
    "or floats in [0, 1]"
)


def rgb_of_image(image: Image.Image, name: str, notes: list[str]) -> NDArray[np.uint8]:
    """Convert a decoded image, its colour profile applied and its transparent parts black.

    Args:
        image: Of any mode of Pillow's.
        name: What messages call it.
        notes: What is worth knowing is added, see `SourceImage`.

    Returns:
        ``(H, W, 3)`` uint8 RGB, as it is stored.

    Raises:
        ImageError: Its mode or its range of values has no meaning as a colour.
    """
    profile, problem = profile_of(image)
    if problem is not None:
        notes.append(f"{problem}: it is left out.")
    if image.mode == "F" or image.mode.startswith("I"):
        pixels = rgb_of_array(_wide_values(image, name), name, notes)
        if profile is not None:
            _apply_in_place(pixels, profile)
        return pixels
    try:
        if not image.has_transparency_data:
            return _convert(image, profile)
        if (composed := _compose(image, profile)) is not None:
            return composed
        notes.append("is transparent everywhere: its alpha channel is left out.")
        return _convert(image, profile)
    except ValueError as error:
        raise ImageError(
            f"{name} has the colour mode {image.mode}, which cannot be turned into RGB. Save it as "
            "RGB."
        ) from error


def rgb_of_array(values: NDArray[Any], name: str, notes: list[str]) -> NDArray[np.uint8]:
    """Convert an array.

    Args:
        values: ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` or ``(H, W, 4)`` of uint8, uint16, bool,
            or floats in [0, 1]; the fourth channel is alpha.
        name: What messages call it.
        notes: What is worth knowing is added, see `SourceImage`.

    Returns:
        ``(H, W, 3)`` uint8 RGB, never a view of the values.

    Raises:
        ImageError: The values are of another shape, type or range.
    """
    height, width = array_size(values, name)
    _check_range(values, name, notes)
    if values.ndim == 2:
        values = values[:, :, None]
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    for rows in bands(height, width):
        band = _to_uint8(values[rows])
        pixels[rows] = _on_black(band) if band.shape[2] == 4 else band
    return pixels


def array_size(values: NDArray[Any], name: str) -> tuple[int, int]:
    """Return height and width of an array of a shape that :func:`rgb_of_array` takes.

    Raises:
        ImageError: It is of another shape.
    """
    found = _found(values, name)
    if values.ndim == 4:
        raise ImageError(f"{found}. Give one image at a time; {_ACCEPTED}.")
    if values.ndim == 3 and values.shape[2] not in (1, 3, 4) and values.shape[0] in (1, 3, 4):
        raise ImageError(
            f"{found}, channels first. Transpose it, image.transpose(1, 2, 0); {_ACCEPTED}."
        )
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] not in (1, 3, 4)):
        raise ImageError(f"{found}; {_ACCEPTED}.")
    height, width = values.shape[:2]
    return height, width


def bands(height: int, width: int) -> Iterator[slice]:
    """Cut an image into bands of rows of about a million pixels each."""
    step = max(1, _BAND // max(1, width))
    return (slice(top, min(top + step, height)) for top in range(0, height, step))


def _found(values: NDArray[Any], name: str) -> str:
    return f"{name} has shape {values.shape} and dtype {values.dtype}"


def _image_bands(image: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    for rows in bands(image.height, image.width):
        yield rows, image.crop((0, rows.start, image.width, rows.stop))


def _convert(image: Image.Image, profile: ToSRGB | None) -> NDArray[np.uint8]:
    """Convert all of an image, whatever its alpha."""
    mode = "RGB" if profile is None else profile.mode
    pixels = np.empty((image.height, image.width, 3), dtype=np.uint8)
    for rows, band in _image_bands(image):
        converted = band if band.mode == mode else band.convert(mode)
        pixels[rows] = np.asarray(converted) if profile is None else profile.apply(converted)
    return pixels


def _compose(image: Image.Image, profile: ToSRGB | None) -> NDArray[np.uint8] | None:
    """Return an image on black; None if it is transparent everywhere."""
    pixels = np.empty((image.height, image.width, 3), dtype=np.uint8)
    seen = False
    for rows, band in _image_bands(image):
        rgba = np.array(band.convert("RGBA"))
        if profile is not None:
            _apply_in_place(rgba, profile)
        seen = seen or bool(rgba[:, :, 3].any())
        pixels[rows] = _on_black(rgba)
    return pixels if seen else None


def _apply_in_place(pixels: NDArray[np.uint8], profile: ToSRGB) -> None:
    """Apply a profile for RGB or grey to the first three channels of ``(H, W, C)``."""
    for rows in bands(*pixels.shape[:2]):
        colours = Image.fromarray(np.ascontiguousarray(pixels[rows, :, :3]))
        pixels[rows, :, :3] = profile.apply(colours.convert(profile.mode))


def _wide_values(image: Image.Image, name: str) -> NDArray[Any]:
    """Return the values of a grey image of more than 8 bits: uint16 or float32."""
    is_float = image.mode == "F"
    if image.mode == "I":
        # Some versions of Pillow open 16-bit PNG and PGM in the 32-bit mode.
        low, high = image.getextrema()
        if low < 0 or high > 65535:  # type: ignore[operator]
            raise ImageError(f"{name} has 32-bit integer pixels. Save it with 8 or 16 bits.")
    values = np.empty((image.height, image.width), dtype=np.float32 if is_float else np.uint16)
    for rows, band in _image_bands(image):
        values[rows] = np.asarray(band)
    return values


def _check_range(values: NDArray[Any], name: str, notes: list[str]) -> None:
    kind, found = values.dtype, _found(values, name)
    if kind in (np.uint8, np.bool_) or not values.size:
        return
    if kind.kind == "u" and kind.itemsize == 2:
        if values.max() < 4096:
            notes.append(
                f"has 16 bits and no value above {values.max()}: if its values have 12 bits or "
                "fewer, scale them to the full 16, or it is read as a dark one."
            )
    elif kind.kind == "f":
        low, high = float(values.min()), float(values.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ImageError(f"{found} with NaN or infinite values. Clean it first.")
        if low < 0.0 or high > 1.0:
            raise ImageError(
                f"{found} with values in [{low:g}, {high:g}]: floats must lie in [0, 1]. Divide by "
                "255 if it has the range of 8 bits."
            )
    else:
        raise ImageError(f"{found}; {_ACCEPTED}.")


def _to_uint8(values: NDArray[Any]) -> NDArray[np.uint8]:
    if values.dtype == np.uint8:
        return np.asarray(values)
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind == "u":
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    scaled: NDArray[np.uint8] = np.rint(values.astype(np.float32) * 255).astype(np.uint8)
    return scaled


def _on_black(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Compose ``(h, w, 4)`` on black."""
    if (rgba[:, :, 3] == 255).all():
        return rgba[:, :, :3]
    product = rgba[:, :, :3].astype(np.uint16) * rgba[:, :, 3:]
    composed: NDArray[np.uint8] = ((product + 127) // 255).astype(np.uint8)
    return composed
