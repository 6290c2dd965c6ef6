"""Random crops: one geometry for image, masks and prior; one change of light for the image."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2


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
    target: Tensor,
    extent: float,
    generator: torch.Generator,
    scales: tuple[float, float] = (0.67, 1.4),
    turn: bool = True,
) -> Crop:
    """A scaled, turned and maybe mirrored crop near a random pixel of a target.

    A crop that is as large as the photograph is the whole photograph.

    Args:
        target: `(d, d)` uint8, 1 on the lesion, or the field of view, that the crop shall show.
        extent: side of the window as a share of the photograph's side, before it is scaled.
        generator: the source of all randomness.
        scales: least and largest factor of the side, evenly by its logarithm.
        turn: whether to turn by any angle and to mirror half of the crops.
    """
    side = target.shape[-1]
    inside = target.flatten().nonzero().flatten()
    pixel = int(inside[_integer(len(inside), generator)])
    extent *= math.exp(_uniform(generator, math.log(scales[0]), math.log(scales[1])))
    shift = 0.35 * extent
    centre = (
        (pixel % side + 0.5) / side + _uniform(generator, -shift, shift),
        (pixel // side + 0.5) / side + _uniform(generator, -shift, shift),
    )
    if extent >= 1:
        centre = (0.5, 0.5)
    angle, mirrored = _uniform(generator, -math.pi, math.pi), _uniform(generator) < 0.5
    return Crop(centre, extent, angle, mirrored) if turn else Crop(centre, extent, 0.0, False)


def random_light(image: Tensor, generator: torch.Generator) -> Tensor:
    """Another camera and another light: colour, gamma, sharpness and JPEG.

    Args:
        image: `(3, H, W)` RGB in [0, 1]; what is black stays so, as the surround of a photograph.
        generator: the source of all randomness.
    """
    seed = _integer(2**31 - 1, generator)
    gamma = math.exp(_uniform(generator, -0.2, 0.2))
    with torch.random.fork_rng(devices=[]):  # torchvision draws from the global generator
        torch.manual_seed(seed)
        changed: Tensor = _light()((image.clamp(0, 1) ** gamma * 255).round().to(torch.uint8))
    if _uniform(generator) < 0.2:
        changed = _recompress(changed, 50 + _integer(46, generator))
    return changed.float() / 255 * (image > 0.02).any(dim=0)


def _light() -> v2.Transform:
    return v2.Compose(
        [
            v2.RandomApply([v2.ColorJitter(0.25, 0.25, 0.2, 0.02)], p=0.8),
            v2.RandomApply([v2.GaussianBlur(5, sigma=(0.3, 1.5))], p=0.15),
        ]
    )


def _recompress(image: Tensor, quality: int) -> Tensor:
    """What is left of `(3, H, W)` uint8 after JPEG."""
    file = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
    with Image.open(file) as read:
        return torch.from_numpy(np.array(read)).permute(2, 0, 1)


def _uniform(generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _integer(bound: int, generator: torch.Generator) -> int:
    return int(torch.randint(bound, (), generator=generator))
