"""Adapters: what the paper compares the prior-aligned injector with. They know no prior."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

REDUCTION = 4
"""How many times narrower than the feature the bottleneck of an adapter is."""


class Adapter(nn.Module):
    """A bottleneck after a frozen block: `F + up(gelu(down(F)))`.

    Houlsby et al., "Parameter-Efficient Transfer Learning for NLP" (ICML 2019), with 1x1
    convolutions in place of linear maps. `up` starts at zero, hence a fresh adapter passes its
    input through unchanged.

    Args:
        dim: channels C of the block's feature.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        width = max(1, dim // REDUCTION)
        self.down = nn.Conv2d(dim, width, kernel_size=1)
        self.filters: nn.Module = nn.Identity()
        self.activation = nn.GELU()
        self.up = nn.Conv2d(width, dim, kernel_size=1)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)  # type: ignore[arg-type]

    def forward(self, feature: Tensor, prior: Tensor) -> Tensor:
        """Return the adapted feature.

        Args:
            feature: `F`, `(B, C, H, W)`.
            prior: not read; it is here so that an adapter can stand where an injector stands.

        Returns:
            `(B, C, H, W)`.
        """
        return feature + self.up(self.activation(self.filters(self.down(feature))))  # type: ignore[no-any-return]


class MultiScaleAdapter(Adapter):
    """An adapter that looks around each place at several scales within its bottleneck.

    The mean of parallel depth-wise convolutions of several kernel sizes is added to the narrow
    feature before the activation: the filters of Mona (Yin et al., "5%>100%: Breaking Performance
    Shackles of Full Fine-Tuning on Visual Recognition Tasks", CVPR 2025), without its scaled
    normalisation and without its 1x1 convolution behind the filters. The paper does not say which
    multi-scale adapter it compared with.

    Args:
        dim: see `Adapter`.
        kernels: sides of the depth-wise kernels, odd.
    """

    def __init__(self, dim: int, kernels: Sequence[int] = (3, 5, 7)) -> None:
        super().__init__(dim)
        self.filters = _Filters(self.down.out_channels, kernels)


class _Filters(nn.Module):
    def __init__(self, dim: int, kernels: Sequence[int]) -> None:
        super().__init__()
        self.depthwise = nn.ModuleList(
            nn.Conv2d(dim, dim, kernel, padding=kernel // 2, groups=dim) for kernel in kernels
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.stack([conv(x) for conv in self.depthwise]).mean(dim=0)
