"""What other cameras do to a photograph: cast, haze, uneven light, resolution, noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tp_drseg.training.data.draws import uniform

_OFTEN = 0.35
"""How often each change is made."""

_COARSE = 8
"""Cells along a side of the light that haze scatters."""


def random_camera(image: Tensor, generator: torch.Generator, strength: float) -> Tensor:
    """Let some of the changes come over an image that another camera would make.

    Args:
        image: `(3, H, W)` RGB in [0, 1].
        generator: the source of all randomness.
        strength: 1 for what common cameras differ by; 0 changes nothing.

    Returns:
        `(3, H, W)` in [0, 1].
    """
    for change in _CHANGES:
        if uniform(generator) < _OFTEN:
            image = change(image, generator, strength).clamp(0, 1)
    return image


def _cast(image: Tensor, generator: torch.Generator, strength: float) -> Tensor:
    """Change gain and gamma of each channel: white balance, sensor, flash."""
    gains, gammas = (
        [math.exp(uniform(generator, -width, width) * strength) for _ in range(3)]
        for width in (0.15, 0.1)
    )
    channels = zip(image, gains, gammas, strict=True)
    return torch.stack([gain * channel**gamma for channel, gain, gamma in channels])


def _haze(image: Tensor, generator: torch.Generator, strength: float) -> Tensor:
    """Lay light of the neighbourhood over every pixel: a cloudy lens, or a small pupil."""
    share = min(0.8, uniform(generator, 0.0, 0.3) * strength)
    light = F.adaptive_avg_pool2d(image, _COARSE)[None]
    light = F.interpolate(light, image.shape[-2:], mode="bilinear", align_corners=False)[0]
    # some of it comes back from the lens whatever the eye's colour is
    return torch.lerp(image, 0.9 * light + 0.1 * light.amax(), share)


def _uneven(image: Tensor, generator: torch.Generator, strength: float) -> Tensor:
    """Let light fall off to one side and away from some place: a vignette, a tilted eye."""
    height, width = image.shape[-2:]
    y, x = (
        torch.linspace(-1, 1, side, dtype=torch.float32, device=image.device)
        for side in (height, width)
    )
    slopes = [uniform(generator, -0.2, 0.2) * strength for _ in range(2)]
    centre = [uniform(generator, -0.5, 0.5) for _ in range(2)]
    fall = uniform(generator, 0.0, 0.3) * strength
    away = (y[:, None] - centre[0]) ** 2 + (x[None] - centre[1]) ** 2
    factor = 1 + slopes[0] * y[:, None] + slopes[1] * x[None] - fall * away / 2
    return image * factor.clamp(min=0.3)


def _coarse(image: Tensor, generator: torch.Generator, strength: float) -> Tensor:
    """Lower the resolution to that of a smaller sensor."""
    height, width = image.shape[-2:]
    factor = 1 + uniform(generator, 0.0, 1.2) * strength
    size = (max(1, round(height / factor)), max(1, round(width / factor)))
    small = F.interpolate(image[None], size, mode="bilinear", antialias=True)
    return F.interpolate(small, (height, width), mode="bicubic", align_corners=False)[0]


def _noise(image: Tensor, generator: torch.Generator, strength: float) -> Tensor:
    """Add noise of the sensor, the same in each part of the image."""
    drawn = torch.randn(image.shape, generator=generator, dtype=torch.float32, device="cpu")
    return image + drawn.to(image.device) * (uniform(generator, 0.0, 0.025) * strength)


_CHANGES: Sequence[Callable[[Tensor, torch.Generator, float], Tensor]] = (
    _uneven,
    _haze,
    _cast,
    _coarse,
    _noise,
)
"""In the order in which light meets them: eye, lens, sensor."""
