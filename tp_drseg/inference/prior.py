"""From a framed photograph and texts to explicit priors on the grid of the image embedding.

Training takes the same way, so that what the network learned from is what it is asked with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tp_drseg.modules.constants import EMBEDDING_STRIDE
from tp_drseg.modules.explicit_prior import ExplicitPriorEncoder, min_max, similarity

_LEAST_COVER = 0.5
"""Share of one of a patch's pixels in the field of view from which on the patch is inside."""


@dataclass(frozen=True)
class CLIPFeatures:
    """What CLIP sees of one photograph.

    Attributes:
        dense: `P_v`, `(1, D, g, g)` float32 of unit length, on the square that the longest side
            of the field of view spans.
        inside: `(1, 1, g, g)` bool, the patches inside of the field of view.
        coarse: `(1, 160, g, g)`, what an anatomy head looks at; None where the tower has none.
    """

    dense: Tensor
    inside: Tensor
    coarse: Tensor | None = None

    def priors(
        self,
        encoder: ExplicitPriorEncoder,
        texts: Sequence[Sequence[str]],
        named: Sequence[str | None],
    ) -> Tensor:
        """Return the explicit prior `P_e` of each of L prompts, `(1, L, g, g)` in [0, 1].

        Args:
            encoder: What made these features.
            texts: Of each prompt.
            named: The lesion that each prompt names, if it does.
        """
        asked = zip(texts, named, strict=True)
        return self.priors_of(torch.stack([encoder.text_features(t, n) for t, n in asked]))

    def priors_of(self, text_features: Tensor) -> Tensor:
        """Return the same from text features `P_t`, `(L, D)` of unit length."""
        return min_max(similarity(self.dense, text_features), self.inside)


def clip_features(
    encoder: ExplicitPriorEncoder, pixels: NDArray[np.uint8], inside: NDArray[np.float32]
) -> CLIPFeatures:
    """Run CLIP's image tower over a whole field of view.

    Args:
        encoder: The explicit prior encoder; its `image_size` is the frame's longest side.
        pixels: `(h, w, 3)` uint8 RGB, the field of view.
        inside: `(h, w)` float32 in [0, 1], how much of each pixel is in the field of view.
    """
    side = encoder.image_size
    height, width = inside.shape
    padding = (0, side - width, 0, side - height)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    image = F.pad(image.float() / 255, padding)
    dense, coarse = encoder.image_and_coarse_features(image.to(encoder.pixel_mean.device))
    covered = F.adaptive_max_pool2d(
        F.pad(torch.from_numpy(inside)[None, None], padding), dense.shape[-2:]
    )
    return CLIPFeatures(dense, (covered >= _LEAST_COVER).to(dense.device), coarse)


def working_priors(priors: Tensor, diameter: int, padded_size: tuple[int, int]) -> Tensor:
    """Scale priors from CLIP's grid to the padded working frame, bilinear.

    Args:
        priors: `(..., L, g, g)` in [0, 1], over the square that the field of view spans.
        diameter: Longest side of the field of view in the working frame, in pixels.
        padded_size: Height and width of the padded working frame.

    Returns:
        `(..., L, h, w)` in [0, 1].
    """
    grown = F.interpolate(priors, size=(diameter, diameter), mode="bilinear", align_corners=False)
    height, width = padded_size
    return F.pad(grown, (0, max(0, width - diameter), 0, max(0, height - diameter)))[
        ..., :height, :width
    ]


def prior_cells(working: Tensor) -> Tensor:
    """Average priors `(..., h, w)` over the cells of the image embedding."""
    return F.avg_pool2d(working, EMBEDDING_STRIDE)


def cell_weights(diameter: int, grid: int) -> Tensor:
    """Return how much each of CLIP's cells gives to each cell of the image embedding.

    `working_priors` and `prior_cells` are linear and go along each axis on its own: one after the
    other they are `W @ P @ W.T` for a prior `P`, which is a small part of their work.

    Args:
        diameter: Longest side of the field of view in the working frame, in pixels.
        grid: Side `g` of CLIP's grid.

    Returns:
        `W`, `(n, g)` float32, with `n` whole cells over the diameter.
    """
    units = torch.eye(grid, dtype=torch.float32, device="cpu")[None, :, :, None]
    grown = F.interpolate(units, size=(diameter, 1), mode="bilinear", align_corners=False)
    padded = F.pad(grown, (0, 0, 0, -diameter % EMBEDDING_STRIDE))
    return F.avg_pool2d(padded, (EMBEDDING_STRIDE, 1))[0, :, :, 0].T.contiguous()
