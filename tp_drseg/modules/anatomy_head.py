"""Finds disc and fovea on features of the whole photograph that are there already."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn

from tp_drseg.modules.precision import float32_or_longer

LANDMARKS: Final = ("disc", "fovea")
_DILATIONS: Final = (1, 2, 4, 8)  # together they see the whole field of view
_WINDOW: Final = 3  # cells about the highest one that decide on the place


class AnatomyMaps(NamedTuple):
    """What the head says of B photographs.

    Attributes:
        heat: `(B, 2, g, g)` logits over the cells, of disc and fovea.
        seen: `(B, 2)` logits, whether they are in view.
        right: `(B,)` logit, whether it is a right eye.
        log_diameter: `(B,)`, logarithm of the disc's diameter as a share of the frame's side.
    """

    heat: Tensor
    seen: Tensor
    right: Tensor
    log_diameter: Tensor

    def places(self) -> Tensor:
        """Return x and y of each landmark as shares of the frame's side, `(B, 2, 2)`.

        The mean place under the softmax of the cells about the highest one.
        """
        batch, count, grid, _ = self.heat.shape
        best = self.heat.flatten(2).argmax(dim=-1)
        steps = torch.arange(grid, device=self.heat.device)
        near = [(steps - cell[..., None]).abs() <= _WINDOW for cell in (best // grid, best % grid)]
        window = near[0][..., :, None] & near[1][..., None, :]
        share = self.heat.masked_fill(~window, -torch.inf).flatten(2).softmax(dim=-1)
        share = share.view(batch, count, grid, grid)
        centres = (steps.to(share.dtype) + 0.5) / grid
        return torch.stack([(share.sum(-2) * centres).sum(-1), (share.sum(-1) * centres).sum(-1)],
                           dim=-1)  # fmt: skip


class AnatomyHead(nn.Module):
    """Maps of disc and fovea, whether they are seen, the disc's diameter, and the eye.

    It stands on the coarsest features of the tower that makes the explicit prior, one vector every
    16 pixels of the whole field of view: no second pass, and no tile decides what it sees.

    Args:
        dim: Channels of the features.
        width: Channels of its own.

    Example:
        >>> import torch
        >>> from tp_drseg.modules.anatomy_head import AnatomyHead
        >>> maps = AnatomyHead(160)(torch.rand(1, 160, 16, 16), torch.ones(1, 1, 16, 16) > 0)
        >>> maps.heat.shape, maps.places().shape
        (torch.Size([1, 2, 16, 16]), torch.Size([1, 2, 2]))
    """

    def __init__(self, dim: int, width: int = 32) -> None:
        super().__init__()
        self.reduce = nn.Sequential(LayerNorm2d(dim), nn.Conv2d(dim, width // 2, 1), nn.GELU())
        self.fold = nn.Conv2d(4 * (width // 2 + 1), width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                LayerNorm2d(width),
                nn.GELU(),
                nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation),
            )
            for dilation in _DILATIONS
        )
        self.heat = nn.Conv2d(width, 4 * len(LANDMARKS), 1)
        self.seen = nn.Linear(width + 1, 1)
        self.seen_offset = nn.Parameter(torch.zeros(len(LANDMARKS)))
        self.right = nn.Linear(3 * width, 1)
        self.diameter = nn.Linear(width, 1)

    def forward(self, features: Tensor, inside: Tensor) -> AnatomyMaps:
        """Look for disc and fovea.

        Args:
            features: `(B, D, g, g)`, g even.
            inside: `(B, 1, g, g)` bool, the cells inside of the field of view.
        """
        kind = self.fold.weight.dtype
        x = torch.cat([self.reduce(features.to(kind)), inside.to(kind)], dim=1)
        x = self.fold(F.pixel_unshuffle(x, 2))
        for block in self.blocks:
            x = x + block(x)
        heat = float32_or_longer(F.pixel_shuffle(self.heat(x), 2))
        heat = heat.masked_fill(~inside, -30.0)  # not infinite: its gradient would be no number
        share = F.avg_pool2d(heat.flatten(2).softmax(-1).view_as(heat), 2) * 4
        at = torch.einsum("blhw,bdhw->bld", share.to(x.dtype), x)  # features at disc and fovea
        peak = heat.flatten(2).amax(-1) - heat.flatten(2).mean(-1)
        seen = self.seen(torch.cat([at, peak[..., None].to(at.dtype) / 10], dim=-1))[..., 0]
        halves = torch.cat([half.mean(dim=(-2, -1)) for half in x.chunk(2, dim=-1)], dim=-1)
        right = self.right(torch.cat([halves, at[:, 0]], dim=-1))[:, 0]
        return AnatomyMaps(
            heat,
            float32_or_longer(seen + self.seen_offset),
            float32_or_longer(right),
            float32_or_longer(self.diameter(at[:, 0])[:, 0]) - 2.0,
        )
