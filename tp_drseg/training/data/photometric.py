"""Photometric changes: what another camera, another light or another file would make of a crop."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

from tp_drseg.training.data.camera import random_camera
from tp_drseg.training.data.draws import integer, some, uniform

_SURROUND = 0.02
"""Up to this value in every channel a pixel counts as the black surround."""


def random_photometric(image: Tensor, generator: torch.Generator, camera: float = 0.0) -> Tensor:
    """Change gamma, colours, sharpness and compression at random.

    Args:
        image: `(3, H, W)` RGB in [0, 1]; what is black stays so, as the surround of a photograph.
        generator: the source of all randomness.
        camera: strength of `random_camera` before all else; 0 for none.

    Returns:
        `(3, H, W)` float32 in [0, 1].
    """
    # floats throughout: torchvision takes whole numbers to the process's default type in between
    seen = image.clamp(0, 1)
    if camera:
        seen = random_camera(seen, generator, camera)
    changed = seen ** math.exp(uniform(generator, -0.2, 0.2))
    with image.device:  # and makes tensors on the process's default one
        if uniform(generator) < 0.8:
            changed = _jitter(changed, generator)
        if uniform(generator) < 0.15:
            changed = tv.gaussian_blur(changed, [5, 5], [uniform(generator, 0.3, 1.5)] * 2)
    pixels = (changed * 255).round().clamp(0, 255).to(torch.uint8)
    if uniform(generator) < 0.2:
        pixels = _recompress(pixels, 50 + integer(generator, 46))
    inside = (image > _SURROUND).any(dim=0)
    return pixels.to(torch.float32) / 255 * inside


def _jitter(image: Tensor, generator: torch.Generator) -> Tensor:
    """Change brightness, contrast, saturation and hue, in any order.

    Not torchvision's `ColorJitter`, which draws from the process's own generator.
    """
    changes: Sequence[Callable[[Tensor], Tensor]] = (
        partial(tv.adjust_brightness, brightness_factor=uniform(generator, 0.75, 1.25)),
        partial(tv.adjust_contrast, contrast_factor=uniform(generator, 0.75, 1.25)),
        partial(tv.adjust_saturation, saturation_factor=uniform(generator, 0.8, 1.2)),
        partial(tv.adjust_hue, hue_factor=uniform(generator, -0.02, 0.02)),
    )
    for place in some(generator, len(changes), len(changes)):
        image = changes[place](image)
    return image


def _recompress(image: Tensor, quality: int) -> Tensor:
    """Return what is left of `(3, H, W)` uint8 after JPEG."""
    file = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
    with Image.open(file) as read:
        return torch.from_numpy(np.array(read)).permute(2, 0, 1)
