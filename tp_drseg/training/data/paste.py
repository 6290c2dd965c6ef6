"""Lesions of one photograph pasted onto another."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

BORDER = 3
"""So many pixels round a pasted lesion fade from one photograph to the other."""

_CELLS = 16
"""The tone of the ground is compared in so many cells along a crop's side."""


def label_regions(masks: Tensor) -> Tensor:
    """Count the connected regions that lesions of any kind cover together.

    Args:
        masks: `(L, S, S)` in [0, 1].

    Returns:
        `(S, S)` int64, 0 outside of all regions, which are numbered from 1.
    """
    regions, _ = ndimage.label((masks > 0).any(dim=0).numpy(), structure=np.ones((3, 3)))
    return torch.from_numpy(regions.astype(np.int64))


def without_forbidden(regions: Tensor, forbidden: Tensor) -> Tensor:
    """Leave the regions that stay, with their border, clear of all forbidden places.

    Args:
        regions: What `label_regions` gave.
        forbidden: `(S, S)` bool.

    Returns:
        `regions` with 0 in place of those that do not.
    """
    near = F.max_pool2d(forbidden[None, None].to(torch.float32), 2 * BORDER + 1, 1, BORDER)[0, 0]
    kept = torch.ones(int(regions.max()) + 1, dtype=torch.bool, device="cpu")
    kept[regions[near > 0]] = False
    return regions * kept[regions]


def soft_border(regions: Tensor) -> Tensor:
    """Return how much of a pasted pixel is the donor's: 1 on regions, 0 beyond their border.

    In between it falls evenly with the distance `d` to the region, `1 - d / (BORDER + 1)`.

    Args:
        regions: `(S, S)`, 0 outside of the regions.

    Returns:
        `(S, S)` float32 in [0, 1].
    """
    if not bool(regions.any()):
        return torch.zeros(regions.shape, dtype=torch.float32, device="cpu")
    away = ndimage.distance_transform_edt((regions == 0).numpy())
    return torch.from_numpy((1 - away / (BORDER + 1)).clip(0, 1).astype(np.float32))


def in_tone_of(donor: Tensor, host: Tensor, donor_ground: Tensor, host_ground: Tensor) -> Tensor:
    """Scale a donor's colours so that its ground has the host's, place by place.

    A lesion then takes as much of the light as it did on the donor.

    Args:
        donor: `(3, S, S)` RGB in [0, 255].
        host: The same.
        donor_ground: `(S, S)` bool, its pixels in the field of view that show no lesion.
        host_ground: The same of the host.

    Returns:
        `(3, S, S)` in [0, 255], at most twice as bright and no darker than half; where a cell has
        no ground to compare, as it was.
    """
    (there, some), (here, others) = _tone(donor, donor_ground), _tone(host, host_ground)
    factor = ((here + 1) / (there + 1)).clamp(0.5, 2)
    factor = torch.where(some & others, factor, torch.ones_like(factor))
    grown = F.interpolate(factor[None], donor.shape[-2:], mode="bilinear", align_corners=False)[0]
    return (donor * grown).clamp(0, 255)


def _tone(image: Tensor, ground: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean colour of the ground in each cell, and whether there is any."""
    weight = ground[None].to(image.dtype)
    share = F.adaptive_avg_pool2d(weight, _CELLS)
    return F.adaptive_avg_pool2d(image * weight, _CELLS) / share.clamp(min=1e-6), share > 0


def paste(host: Tensor, donor: Tensor, share: Tensor) -> Tensor:
    """Blend two images: `share` of the donor, the rest of the host.

    Args:
        host: `(C, S, S)`.
        donor: The same.
        share: `(S, S)` in [0, 1], what `soft_border` gives.

    Returns:
        The same shape, the host's very bits where `share` is 0.
    """
    return torch.where(share > 0, torch.lerp(host, donor, share), host)
