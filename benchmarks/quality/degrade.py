"""What a photograph can suffer from, in steps."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from tp_drseg.images.quality_numbers import QUALITY_DIAMETER

Pixels = NDArray[np.uint8]
Change = Callable[[Pixels, NDArray[np.bool_], float], Pixels]


def blur(pixels: Pixels, inside: NDArray[np.bool_], level: float) -> Pixels:
    """Blur by a Gaussian of so many px where the field of view is 1024 px across."""
    sigma = level * _diameter(inside) / QUALITY_DIAMETER
    channels = [ndimage.gaussian_filter(pixels[..., c].astype(np.float32), sigma) for c in range(3)]
    return _within(np.stack(channels, axis=-1), pixels, inside)


def expose(pixels: Pixels, inside: NDArray[np.bool_], level: float) -> Pixels:
    """Multiply the light by a factor; what is too bright is clipped, steps of 8 bits are lost."""
    # sRGB's curve is near enough to a power of 2.2
    linear = (np.arange(256) / 255) ** 2.2 * level
    table = np.rint(255 * np.clip(linear, 0, 1) ** (1 / 2.2))
    return _within(table[pixels], pixels, inside)


def haze(pixels: Pixels, inside: NDArray[np.bool_], level: float) -> Pixels:
    """Blend with a veil of the field's mean colour; the level is the veil's share."""
    veil = pixels[inside].mean(axis=0)
    return _within((1 - level) * pixels + level * veil, pixels, inside)


def grey(pixels: Pixels, inside: NDArray[np.bool_], level: float) -> Pixels:
    """Take colour away; the level is the share of grey."""
    luma = pixels @ np.array([0.299, 0.587, 0.114])
    return _within((1 - level) * pixels + level * luma[..., None], pixels, inside)


def bluish(pixels: Pixels, inside: NDArray[np.bool_], level: float) -> Pixels:
    """Divide red and multiply blue by a factor, as a wrong white balance does."""
    tinted = pixels * np.array([1 / level, 1, level])
    # a camera that has so little blue adds its glow
    tinted[..., 2] += 20 * (level - 1)
    return _within(tinted, pixels, inside)


def jpeg(pixels: Pixels, inside: NDArray[np.bool_], level: float) -> Pixels:
    """Store as JPEG of a quality, and read again."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=round(level))
    return np.array(Image.open(file).convert("RGB"))


def shrink(pixels: Pixels, inside: NDArray[np.bool_], level: float) -> Pixels:
    """Scale down until the field of view is so many px across."""
    scale = level / _diameter(inside)
    height, width = (max(1, round(side * scale)) for side in inside.shape)
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))


@dataclass(frozen=True)
class Degradation:
    """One way to spoil a photograph.

    Attributes:
        change: What is done.
        levels: From mild to severe.
        number: Name of the quality number that is to tell it; its limits come from here.
    """

    change: Change
    levels: Sequence[float]
    number: str


DEGRADATIONS: Mapping[str, Degradation] = {
    "blur": Degradation(blur, (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0), "sharpness"),
    "under-exposure": Degradation(expose, (0.5, 0.25, 0.1, 0.05, 0.02), "brightness"),
    "over-exposure": Degradation(expose, (1.5, 2.0, 3.0, 5.0, 8.0), "clipped"),
    "haze": Degradation(haze, (0.2, 0.4, 0.6, 0.75, 0.9), "contrast"),
    "JPEG": Degradation(jpeg, (50, 30, 20, 10, 5), "sharpness"),
    "shrinking": Degradation(shrink, (1400, 1000, 700, 500, 350, 250), "resolution"),
    "grey cast": Degradation(grey, (0.3, 0.6, 0.8, 0.9), "cast"),
    "bluish cast": Degradation(bluish, (1.3, 1.6, 2.0, 2.5), "cast"),
}


def _diameter(inside: NDArray[np.bool_]) -> int:
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return int(max(rows[-1] - rows[0], columns[-1] - columns[0])) + 1


def _within(values: NDArray[np.floating], pixels: Pixels, inside: NDArray[np.bool_]) -> Pixels:
    """Return the changed photograph with its border as it was."""
    changed = np.rint(np.clip(values, 0, 255)).astype(np.uint8)
    return np.where(inside[..., None], changed, pixels)
