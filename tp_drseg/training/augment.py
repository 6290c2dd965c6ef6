"""Random crops: one geometry for image, masks and prior; one change of light for the image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Crop:
    """A square window on a photograph, turned, scaled and maybe mirrored.

    Coordinates are shares of the photograph's side, so that the same crop can be taken from
    maps of any resolution.

    Attributes:
        centre: x and y of the window's centre, in [0, 1].
        extent: side of the window.
        angle: in radians.
        mirrored: whether the window is flipped left to right.
    """

    centre: tuple[float, float]
    extent: float
    angle: float
    mirrored: bool

    def apply(self, x: Tensor, size: int) -> Tensor:
        """The window of `x`, `(C, d, d)`, sampled to `(C, size, size)` float32; 0 outside."""
        cos, sin = math.cos(self.angle) * self.extent, math.sin(self.angle) * self.extent
        flip = -1.0 if self.mirrored else 1.0
        theta = torch.tensor(
            [
                [cos * flip, -sin, 2 * self.centre[0] - 1],
                [sin * flip, cos, 2 * self.centre[1] - 1],
            ]
        )
        grid = F.affine_grid(theta[None], [1, x.shape[0], size, size], align_corners=False)
        # only the part of the photograph that the window touches is worth converting
        pixels = (grid + 1) * x.shape[-1] / 2 - 0.5
        low = (pixels.amin(dim=(0, 1, 2)).floor() - 1).clamp(0, x.shape[-1]).int().tolist()
        high = (pixels.amax(dim=(0, 1, 2)).ceil() + 2).clamp(0, x.shape[-1]).int().tolist()
        part = x[:, low[1] : high[1], low[0] : high[0]].float()
        if not part.numel():
            return torch.zeros(x.shape[0], size, size)
        extent = torch.tensor([high[0] - low[0], high[1] - low[1]])
        grid = (pixels - torch.tensor(low) + 0.5) * 2 / extent - 1
        return F.grid_sample(part[None], grid, mode="bilinear", align_corners=False)[0]


def random_crop(
    masks: Tensor, field_of_view: Tensor, extent: float, generator: torch.Generator
) -> Crop:
    """A crop that half of the time is centred near a lesion that is there, each kind alike.

    Args:
        masks: `(L, d, d)` uint8.
        field_of_view: `(1, d, d)` uint8; the other crops are centred inside of it.
        extent: mean side of the window as a share of the photograph's side; it varies by a
            factor of 0.75 to 1.33.
        generator: the source of all randomness.
    """
    present = masks.flatten(1).any(dim=1).nonzero().flatten()
    target = field_of_view[0]
    if len(present) and _uniform(generator) < 0.5:
        target = masks[int(present[_integer(len(present), generator)])]
    side = target.shape[-1]
    inside = target.flatten().nonzero().flatten()
    pixel = int(inside[_integer(len(inside), generator)])
    extent *= math.exp(_uniform(generator, -0.29, 0.29))
    shift = 0.35 * extent
    centre = (
        (pixel % side + 0.5) / side + _uniform(generator, -shift, shift),
        (pixel // side + 0.5) / side + _uniform(generator, -shift, shift),
    )
    angle = _uniform(generator, -math.pi, math.pi)
    return Crop(centre, extent, angle, mirrored=_uniform(generator) < 0.5)


def random_light(image: Tensor, generator: torch.Generator) -> Tensor:
    """Another exposure, contrast, gamma and white balance for `(3, H, W)` RGB in [0, 1]."""
    gain = math.exp(_uniform(generator, -0.2, 0.2))
    balance = torch.tensor([math.exp(_uniform(generator, -0.08, 0.08)) for _ in range(3)])
    gamma = math.exp(_uniform(generator, -0.2, 0.2))
    image = image.clamp(0, 1) ** gamma * (gain * balance).view(3, 1, 1)
    mean = image.mean(dim=(1, 2), keepdim=True)
    contrast = math.exp(_uniform(generator, -0.2, 0.2))
    # the surround stays black: contrast turns about the mean only where there is light
    return ((image - mean) * contrast + mean).clamp(0, 1) * (image > 0.02)


def _uniform(generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _integer(bound: int, generator: torch.Generator) -> int:
    return int(torch.randint(bound, (), generator=generator))
