"""Geometry of crops: one window for image, masks and prior alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tp_drseg.training.data.draws import integer, uniform

Mode = Literal["bilinear", "bicubic"]


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

    def apply(self, x: Tensor, size: int, mode: Mode = "bilinear") -> Tensor:
        """Sample the window of a square map.

        Args:
            x: `(C, d, d)`, over the whole photograph.
            size: Side of the result.
            mode: `bicubic` keeps an image as sharp as it is; it may pass the range of `x`.
                Outside is black from the border on; `bilinear` fades to it over a pixel.

        Returns:
            `(C, size, size)` float32, 0 outside of `x`.
        """
        cos, sin = math.cos(self.angle) * self.extent, math.sin(self.angle) * self.extent
        flip = -1.0 if self.mirrored else 1.0
        theta = torch.tensor(
            [
                [cos * flip, -sin, 2 * self.centre[0] - 1],
                [sin * flip, cos, 2 * self.centre[1] - 1],
            ],
            dtype=torch.float32,
            device=x.device,
        )
        grid = F.affine_grid(theta[None], [1, x.shape[0], size, size], align_corners=False)
        # only the part of the photograph that the window touches is worth converting
        pixels = (grid + 1) * x.shape[-1] / 2 - 0.5
        low = (pixels.amin(dim=(0, 1, 2)).floor() - 2).clamp(0, x.shape[-1]).int().tolist()
        high = (pixels.amax(dim=(0, 1, 2)).ceil() + 3).clamp(0, x.shape[-1]).int().tolist()
        part = x[:, low[1] : high[1], low[0] : high[0]].to(torch.float32)
        if not part.numel():
            return part.new_zeros(x.shape[0], size, size)
        extent = grid.new_tensor([high[0] - low[0], high[1] - low[1]])
        grid = (pixels - grid.new_tensor(low) + 0.5) * 2 / extent - 1
        if mode == "bilinear":
            return F.grid_sample(part[None], grid, align_corners=False)[0]
        # beside the last pixel a cubic overshoots where black follows: that begins sharply
        sampled = F.grid_sample(part[None], grid, mode, "border", align_corners=False)[0]
        inside = ((pixels >= -0.5) & (pixels <= x.shape[-1] - 0.5)).all(dim=-1)
        return sampled * inside


def random_crop(
    target: Tensor,
    extent: float,
    generator: torch.Generator,
    scales: tuple[float, float] = (0.67, 1.4),
    turn: bool = True,
) -> Crop:
    """Draw a scaled, turned and maybe mirrored crop near a random pixel of a target.

    A crop that is as large as the photograph is the whole photograph.

    Args:
        target: `(d, d)`, not 0 on the lesion, or the field of view, that the crop shall show.
        extent: side of the window as a share of the photograph's side, before it is scaled.
        generator: the source of all randomness.
        scales: least and largest factor of the side, evenly by its logarithm.
        turn: whether to turn by any angle and to mirror half of the crops.
    """
    side = target.shape[-1]
    inside = target.flatten().nonzero().flatten()
    pixel = int(inside[integer(generator, len(inside))])
    extent *= math.exp(uniform(generator, math.log(scales[0]), math.log(scales[1])))
    shift = 0.35 * extent
    centre = (
        (pixel % side + 0.5) / side + uniform(generator, -shift, shift),
        (pixel // side + 0.5) / side + uniform(generator, -shift, shift),
    )
    if extent >= 1:
        centre = (0.5, 0.5)
    angle, mirrored = uniform(generator, -math.pi, math.pi), uniform(generator) < 0.5
    return Crop(centre, extent, angle, mirrored) if turn else Crop(centre, extent, 0.0, False)
