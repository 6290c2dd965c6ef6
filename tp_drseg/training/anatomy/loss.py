"""What the anatomy head learns by."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tp_drseg.modules.anatomy_head import AnatomyMaps

_SPREAD = 1.0
"""Standard deviation of the wanted heat, in cells."""
_PLACE_WEIGHT, _SEEN_WEIGHT, _EYE_WEIGHT, _DIAMETER_WEIGHT = 10.0, 0.3, 0.3, 1.0


def wanted_heat(places: Tensor, grid: int) -> Tensor:
    """Return a Gaussian over cells about each place, which sums to 1.

    Args:
        places: `(N, 2)` x and y as shares of the frame's side.
        grid: Cells along a side.

    Returns:
        `(N, grid, grid)`.
    """
    centres = (torch.arange(grid, dtype=places.dtype) + 0.5) / grid
    off = (centres - places[..., None]) * grid / _SPREAD
    x, y = torch.exp(-0.5 * off**2).unbind(1)
    heat = y[:, :, None] * x[:, None, :]
    return heat / heat.sum(dim=(-2, -1), keepdim=True).clamp(min=1e-9)


def anatomy_loss(maps: AnatomyMaps, marks: Tensor, known: Tensor, eye: Tensor) -> Tensor:
    """Return the loss of a batch.

    Args:
        maps: What the head says.
        marks: `(B, 5)`: x and y of disc and fovea and the diameter, NaN where not seen.
        known: `(B, 2)` bool, whether a landmark that is not seen is known not to be.
        eye: `(B,)`: 1 right, -1 left, 0 not known.
    """
    places = marks[:, :4].view(-1, 2, 2)
    seen = ~places.isnan().any(dim=-1)
    grid = maps.heat.shape[-1]
    logs = maps.heat.flatten(2).log_softmax(dim=-1)[seen]
    loss = -(wanted_heat(places[seen], grid).flatten(1) * logs).sum(-1).mean()
    loss = loss + _PLACE_WEIGHT * (maps.places()[seen] - places[seen]).abs().clamp(max=0.1).mean()
    of_seen = F.binary_cross_entropy_with_logits(maps.seen[known], seen[known].float())
    loss = loss + _SEEN_WEIGHT * of_seen
    told = eye != 0
    if told.any():
        loss = loss + _EYE_WEIGHT * F.binary_cross_entropy_with_logits(
            maps.right[told], (eye[told] > 0).float()
        )
    measured = ~marks[:, 4].isnan()
    if measured.any():
        off = maps.log_diameter[measured] - marks[measured, 4].log()
        loss = loss + _DIAMETER_WEIGHT * off.abs().mean()
    return loss
