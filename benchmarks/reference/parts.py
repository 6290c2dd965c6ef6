"""The parts of the plain reference that no library has, under the names that a checkpoint uses.

They are declared here once more so that nothing of `tp_drseg.modules` is in the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from segment_anything.modeling import ImageEncoderViT
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.modeling.mask_decoder import MLP
from timm.models.tiny_vit import TinyVit
from torch import Tensor, nn

from tp_drseg.config import ImageEncoderConfig

WIDTH = 256
"""Channels of SAM's image embedding."""


def plain_vit(config: ImageEncoderConfig, image_size: int) -> ImageEncoderViT:
    """SAM's own encoder."""
    return ImageEncoderViT(
        img_size=image_size,
        embed_dim=config.embed_dims[0],
        depth=config.depths[0],
        num_heads=config.num_heads[0],
        window_size=config.window_sizes[0],
        global_attn_indexes=config.global_attn_indexes,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        out_chans=WIDTH,
        use_rel_pos=True,
    )


class PlainTiny(nn.Module):
    """MobileSAM's encoder: timm's TinyViT, the last stage at stride 1, and SAM's neck."""

    def __init__(self, config: ImageEncoderConfig) -> None:
        super().__init__()
        body = TinyVit(
            num_classes=0,
            embed_dims=config.embed_dims,
            depths=config.depths,
            num_heads=config.num_heads,
            window_sizes=config.window_sizes,
            drop_path_rate=0.0,
        )
        body.stages[3].downsample.conv2.conv.stride = (1, 1)
        self.patch_embed, self.stages = body.patch_embed, body.stages
        self.neck = nn.Sequential(
            nn.Conv2d(config.embed_dims[3], WIDTH, 1, bias=False),
            LayerNorm2d(WIDTH),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False),
            LayerNorm2d(WIDTH),
        )


class PlainInjector(nn.Module):
    """Eq. 2 and 3."""

    def __init__(self, dim: int, stride: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(dim, dim, 1, stride)
        self.key = nn.Conv2d(dim, dim, 1, stride)
        self.value = nn.Conv2d(dim, dim, 1, stride)
        self.gamma = nn.Parameter(torch.ones(()))

    def forward(self, feature: Tensor, prior: Tensor | None) -> Tensor:
        """`F_i''` of `F_i`, `(1, C, H, W)`, and `P_e`; without a prior `F_act` is `F_i`."""
        activated = feature if prior is None else feature * on_grid(prior, feature)
        query, key, value = (
            conv(x).flatten(2).transpose(1, 2)
            for conv, x in ((self.query, feature), (self.key, activated), (self.value, activated))
        )
        weights = (query @ key.transpose(1, 2) / query.shape[-1] ** 0.5).softmax(dim=-1)
        stride = self.query.stride[0]
        height, width = (-(-side // stride) for side in feature.shape[-2:])
        attended = (weights @ value).transpose(1, 2).unflatten(2, (height, width))
        return self.gamma * feature + F.interpolate(attended, feature.shape[-2:], mode="bilinear")


class PlainGenerator(nn.Module):
    """Eq. 4."""

    def __init__(self, classes: int, grid: int, tokens: int) -> None:
        super().__init__()
        self.class_weight = nn.Parameter(torch.zeros(classes, WIDTH, WIDTH))
        self.class_bias = nn.Parameter(torch.zeros(classes, WIDTH))
        self.dense = nn.Conv2d(WIDTH, WIDTH, 1)
        self.sparse = nn.Linear(grid * grid, tokens)

    def forward(
        self, embedding: Tensor, prior: Tensor | None, lesion: int
    ) -> tuple[Tensor, Tensor]:
        """`E_s` and `E_d` of one lesion from `F_e` and `P_e`; without a prior `F_p` is `F_e`."""
        prompted = embedding if prior is None else embedding * on_grid(prior, embedding)
        weight = self.class_weight[lesion][:, :, None, None]
        group = F.conv2d(prompted, weight, self.class_bias[lesion])
        return self.sparse(group.flatten(2)).transpose(1, 2), self.dense(group)


class PlainDetail(nn.Module):
    """The detail head of `tiny`: a feature pyramid, from which the mask token chooses."""

    def __init__(self, dims: Sequence[int], width: int = 32) -> None:
        super().__init__()
        widths = (2 * width, 4 * width, 4 * width)
        self.lateral = nn.ModuleList(
            nn.Conv2d(dim, out, 1) for dim, out in zip(dims, widths, strict=True)
        )
        self.smooth = nn.ModuleList(
            nn.ModuleDict({"layers": nn.ModuleList(_smoothing(out) for _ in range(count))})
            for out, count in ((2 * width, 2), (4 * width, 1))
        )
        self.narrow = nn.ModuleList(
            [nn.Conv2d(4 * width, 2 * width, 1), nn.Conv2d(4 * width, 4 * width, 1)]
        )
        self.image = nn.Conv2d(3, width, 5, stride=2, padding=2)
        self.last = nn.Conv2d(2 * width, width, 1)
        self.fine = nn.Sequential(
            nn.GELU(), nn.Conv2d(width, width, 3, padding=1),
            nn.GELU(), nn.Conv2d(width, width, 3, padding=1), nn.GELU(),
        )  # fmt: skip
        self.choose = MLP(WIDTH, WIDTH, width, 3)

    def forward(self, image: Tensor, features: Sequence[Tensor], mask_token: Tensor) -> Tensor:
        """Logits `(1, 1, S / 2, S / 2)` to be added, from features of stride 4, 8 and 16."""
        x = F.gelu(self.lateral[2](features[2]))
        for level in (1, 0):
            x = self.lateral[level](features[level]) + _double(self.narrow[level](x))
            for layer in self.smooth[level]["layers"]:  # type: ignore[index]
                x = x + layer(x)
        fine = self.fine(self.image(image) + _double(self.last(x)))
        chosen: Tensor = self.choose(mask_token)[:, :, None, None] * fine
        return chosen.sum(dim=1, keepdim=True)


class PlainTower(nn.Module):
    """The small CLIP's image tower: TinyViT's first three stages and a head of convolutions."""

    def __init__(self, output_dim: int, width: int) -> None:
        super().__init__()
        body = TinyVit(
            num_classes=0,
            embed_dims=(64, 128, 160),
            depths=(2, 2, 6),
            num_heads=(2, 4, 5),
            window_sizes=(7, 7, 14),
            drop_path_rate=0.0,
        )
        self.trunk = nn.ModuleDict({"patch_embed": body.patch_embed, "stages": body.stages})
        self.head = nn.Sequential(
            LayerNorm2d(544), nn.Conv2d(544, width, 1), nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1), nn.GELU(), nn.Conv2d(width, output_dim, 1),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        """`(1, 3, H, W)`, normalised with ImageNet's statistics, to `(1, D, H / 16, W / 16)`."""
        stages: Any = self.trunk["stages"]
        first, second, third = stages
        fine = first(self.trunk["patch_embed"](images))
        middle = second(fine)
        pooled = [F.avg_pool2d(fine, 4), F.max_pool2d(fine, 4)]
        pooled += [F.avg_pool2d(middle, 2), F.max_pool2d(middle, 2), third(middle)]
        return self.head(torch.cat(pooled, dim=1))  # type: ignore[no-any-return]


def on_grid(prior: Tensor, feature: Tensor) -> Tensor:
    """The prior on the grid of a feature."""
    size = feature.shape[-2:]
    if prior.shape[-2:] == size:
        return prior
    return F.interpolate(prior, size=size, mode="bilinear", antialias=True)


def _smoothing(dim: int) -> nn.Module:
    return nn.Sequential(LayerNorm2d(dim), nn.GELU(), nn.Conv2d(dim, dim, 3, padding=1))


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear")
