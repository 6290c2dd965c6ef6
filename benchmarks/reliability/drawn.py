"""Photographs that are drawn: each the same for the same seed, and small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def fundus(width: int = 160, height: int = 120, seed: int = 0) -> NDArray[np.uint8]:
    """Return an orange disc with grain and a few bright spots on black, `(height, width, 3)`."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] + 0.5
    inside = np.hypot(y - height / 2, x - width / 2) < 0.48 * min(width, height)
    image = np.where(inside[..., None], np.array([160, 90, 50]), 0)
    image = image + rng.integers(-8, 9, image.shape) * inside[..., None]
    for _ in range(6):
        top = rng.integers(height // 4, 3 * height // 4)
        left = rng.integers(width // 3, 2 * width // 3)
        image[top : top + 6, left : left + 6] = (250, 240, 120)
    pixels: NDArray[np.uint8] = image.clip(0, 255).astype(np.uint8)
    return pixels


def write_photographs(folder: Path, count: int, *, width: int = 160, height: int = 120) -> Path:
    """Write drawn photographs, JPEG and PNG in turn, every fourth in a sub-folder; the folder."""
    for number in range(count):
        place = folder / "sub" if number % 4 == 3 else folder
        place.mkdir(parents=True, exist_ok=True)
        ending = ".png" if number % 2 else ".jpg"
        picture = Image.fromarray(fundus(width, height, seed=number))
        picture.save(place / f"eye{number:03d}{ending}")
    return folder
