"""The image tower of the small CLIP: the first stages of MobileSAM's TinyViT and a dense head."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from segment_anything.modeling.common import LayerNorm2d
from timm.models.tiny_vit import TinyVit
from torch import Tensor, nn

from tp_drseg.modules.attention import fuse_tiny_vit
from tp_drseg.modules.constants import CLIP_PIXEL_MEAN, CLIP_PIXEL_STD
from tp_drseg.modules.fused import fuse_layers
from tp_drseg.modules.precision import ExactParts

# what CLIP's normalisation is turned into: ImageNet's, which MobileSAM was trained with
_SAM_MEAN, _SAM_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class FundusTower(ExactParts):
    """One vector a patch of 16 pixels, from features of three resolutions.

    The trunk (TinyViT-5M's stem and first three stages) is meant to keep MobileSAM's weights;
    the head learns. A microaneurysm is a pixel or two of the finest features: their maximum over
    a patch goes in beside their mean.

    Args:
        output_dim: width of CLIP's joint space.
        width: hidden channels of the head.
    """

    scale: Tensor
    shift: Tensor
    exact_buffers = ("scale", "shift")
    patch = 16
    coarse_dim = 160

    def __init__(self, output_dim: int, width: int) -> None:
        super().__init__()
        body = TinyVit(
            num_classes=0,
            embed_dims=(64, 128, self.coarse_dim),
            depths=(2, 2, 6),
            num_heads=(2, 4, 5),
            window_sizes=(7, 7, 14),
            drop_path_rate=0.0,
        )
        fuse_tiny_vit(body)
        fuse_layers(body)
        self.trunk = nn.ModuleDict({"patch_embed": body.patch_embed, "stages": body.stages})
        self.head = nn.Sequential(
            LayerNorm2d(2 * 64 + 2 * 128 + self.coarse_dim),
            nn.Conv2d(2 * 64 + 2 * 128 + self.coarse_dim, width, kernel_size=1),
            nn.GELU(),
            nn.Conv2d(width, width, kernel_size=3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, output_dim, kernel_size=1),
        )
        ours, theirs = (
            torch.tensor(statistics, dtype=torch.float32)
            for statistics in ((CLIP_PIXEL_STD, CLIP_PIXEL_MEAN), (_SAM_STD, _SAM_MEAN))
        )
        self.register_buffer("scale", (ours[0] / theirs[0]).view(3, 1, 1), persistent=False)
        self.register_buffer(
            "shift", ((ours[1] - theirs[1]) / theirs[0]).view(3, 1, 1), persistent=False
        )

    def levels(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features of the three stages, one vector every 4, 8 and 16 pixels.

        Args:
            images: `(B, 3, H, W)`, normalised as CLIP's.

        Returns:
            `(B, 64, H / 4, W / 4)`, `(B, 128, H / 8, W / 8)` and `(B, 160, H / 16, W / 16)`.
        """
        normalised = images * self.scale + self.shift
        fine = self.trunk["patch_embed"](normalised.to(next(self.parameters()).dtype))
        stages = self.trunk["stages"]
        fine = stages[0](fine)  # type: ignore[index]
        middle = stages[1](fine)  # type: ignore[index]
        return fine, middle, stages[2](middle)  # type: ignore[index]

    def trunk_features(self, images: Tensor) -> Tensor:
        """`(B, 3, H, W)`, normalised as CLIP's, to `(B, 544, H / 16, W / 16)`."""
        return _pooled(*self.levels(images))

    def dense_and_coarse(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `dense` gives, and the coarsest level that it was made of."""
        levels = self.levels(images)
        return self.head(_pooled(*levels)), levels[2]

    def dense(self, images: Tensor) -> Tensor:
        """`(B, 3, H, W)`, normalised as CLIP's, to `(B, D, H / 16, W / 16)`."""
        return self.dense_and_coarse(images)[0]

    def forward(self, images: Tensor) -> Tensor:
        """CLIP's image feature, `(B, D)`: the mean over patches."""
        return self.dense(images).mean(dim=(-2, -1))


def _pooled(fine: Tensor, middle: Tensor, coarse: Tensor) -> Tensor:
    """All levels on the grid of the coarsest, `(B, 544, h, w)`."""
    return torch.cat(
        [
            F.avg_pool2d(fine, 4),
            F.max_pool2d(fine, 4),
            F.avg_pool2d(middle, 2),
            F.max_pool2d(middle, 2),
            coarse,
        ],
        dim=1,
    )
