"""Prior-aligned injector: lets the prior steer a frozen encoder block (Eq. 2 and 3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PriorAlignedInjector(nn.Module):
    """Cross-attention from a block's feature to what the prior activates of it.

    Eq. 2: `F_act = F_i * P_e`, and `Q = conv(F_i)`, `K = conv(F_act)`, `V = conv(F_act)`, each a
    1x1 convolution of stride `stride`. Eq. 3: `A = softmax(Q K^T / sqrt(d)) V` and
    `F_i'' = gamma * F_i + upsample(A)`.

    The paper adds `F_i` at its full resolution to `A` at a lower one; here `A` is upsampled
    (bilinear) first, so that no detail is lost. `gamma` starts at 1 and the value projection at
    zero, hence a fresh injector passes its input through unchanged.

    Args:
        dim: channels C of the block's feature.
        stride: stride of the three convolutions.
        use_prior: without it `F_act = F_i`, the paper's ablation "w/o prior in the injector".

    Example:
        >>> import torch
        >>> from tp_drseg import PriorAlignedInjector
        >>> injector = PriorAlignedInjector(dim=32)
        >>> feature, prior = torch.rand(1, 32, 16, 16), torch.rand(1, 1, 16, 16)
        >>> torch.equal(injector(feature, prior), feature)  # a fresh one changes nothing
        True
    """

    def __init__(self, dim: int, stride: int = 4, use_prior: bool = True) -> None:
        super().__init__()
        self.use_prior = use_prior
        self.query = nn.Conv2d(dim, dim, kernel_size=1, stride=stride)
        self.key = nn.Conv2d(dim, dim, kernel_size=1, stride=stride)
        self.value = nn.Conv2d(dim, dim, kernel_size=1, stride=stride)
        self.gamma = nn.Parameter(torch.ones(()))
        nn.init.zeros_(self.value.weight)
        if self.value.bias is not None:
            nn.init.zeros_(self.value.bias)

    def forward(self, feature: Tensor, prior: Tensor) -> Tensor:
        """Return the injected feature.

        Args:
            feature: `F_i`, `(B, C, H, W)`.
            prior: `P_e`, `(B, 1, h, w)` in [0, 1]; resized to `H x W` when on another grid.

        Returns:
            `F_i''`, `(B, C, H, W)`.
        """
        size = feature.shape[-2:]
        activated = feature
        if self.use_prior:
            activated = feature * resize_prior(prior, (size[0], size[1])).to(feature.dtype)
        query, key, value = self.query(feature), self.key(activated), self.value(activated)
        attended = F.scaled_dot_product_attention(_tokens(query), _tokens(key), _tokens(value))
        # channels last, as the feature is on most backbones
        attended = attended.reshape(-1, *query.shape[-2:], query.shape[1]).permute(0, 3, 1, 2)
        attended = F.interpolate(attended, size=size, mode="bilinear", align_corners=False)
        return self.gamma * feature + attended


def resize_prior(prior: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale the prior to another grid, `(B, L, h, w)` to `(B, L, *size)`, without aliasing."""
    if tuple(prior.shape[-2:]) == tuple(size):
        return prior
    return F.interpolate(prior, size=size, mode="bilinear", align_corners=False, antialias=True)


def _tokens(x: Tensor) -> Tensor:
    # one head: exporters to ONNX know no attention without an axis for it
    return x.flatten(2).transpose(1, 2)[:, None]
