"""Colour profiles: what a viewer shows is what is read."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

# Difference in grey levels up to which a profile is taken for sRGB, and its pixels stay untouched:
# there are many sRGB profiles, which differ by their rounding.
_SAME: Final = 3
_MODES: Final = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # of a profile's colour space


@dataclass(frozen=True)
class ToSRGB:
    """The way from the colours of a profile to sRGB.

    Attributes:
        mode: Of the pixels that it takes: ``"RGB"``, ``"L"`` or ``"CMYK"``.
        transform: littleCMS's, whose result is RGB.
    """

    mode: str
    transform: ImageCms.ImageCmsTransform

    def apply(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return the colours of an image in its mode, ``(H, W, 3)`` uint8."""
        return np.asarray(self.transform.apply(image))

    def changes_nothing(self) -> bool:
        """Tell whether its colours are sRGB: tried out over the whole range."""
        greys = np.arange(256, dtype=np.uint8)[None]
        if self.mode == "CMYK":
            return False
        if self.mode == "RGB":
            steps = np.linspace(0, 255, 6).astype(np.uint8)
            cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
            greys = np.concatenate([cube, greys[:, :, None].repeat(3, axis=2)], axis=1)
        samples = Image.fromarray(greys)
        moved = self.apply(samples).astype(int) - np.asarray(samples.convert("RGB"))
        return bool(np.abs(moved).max() <= _SAME)


def profile_of(image: Image.Image) -> tuple[ToSRGB | None, str | None]:
    """Return what the colour profile that an image carries does.

    Args:
        image: With its profile, if it has one, in ``image.info["icc_profile"]``.

    Returns:
        The way to sRGB, None where the colours are sRGB as they are; and what is wrong with the
        profile, a sentence without its subject, None where nothing is.
    """
    profile = image.info.get("icc_profile")
    if not profile or image.mode == "LAB":
        return None, None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if space not in _MODES or not _fits(image.mode, space):
            return None, f"has a colour profile for {space} that does not fit its pixels"
        target = ImageCms.createProfile("sRGB")
        mode = _MODES[space]
        found = ToSRGB(mode, ImageCms.buildTransform(source, target, mode, "RGB"))
        return (None if found.changes_nothing() else found), None
    except Exception:  # littleCMS and Pillow raise nearly anything for a damaged profile
        return None, "has a colour profile that cannot be read"


def _fits(mode: str, space: str) -> bool:
    """Tell whether pixels of a mode can be brought to those that a profile is for."""
    if mode == "CMYK" or space == "CMYK":
        return mode == space
    # Grey pixels often carry the camera's RGB profile: they are RGB with equal channels.
    return space == "RGB" or mode in {"1", "L", "LA", "F"} or mode.startswith("I")
