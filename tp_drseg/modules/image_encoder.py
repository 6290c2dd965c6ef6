"""SAM's image encoder, taken block by block, with injectors or another tuning in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from segment_anything.modeling import ImageEncoderViT
from segment_anything.modeling.common import LayerNorm2d
from timm.models.tiny_vit import TinyVit
from torch import Tensor, nn

from tp_drseg.config import ImageEncoderConfig, Tuning
from tp_drseg.modules.adapter import Adapter, MultiScaleAdapter
from tp_drseg.modules.attention import fuse_sam, fuse_tiny_vit
from tp_drseg.modules.constants import EMBEDDING_DIM
from tp_drseg.modules.fused import fuse_layers
from tp_drseg.modules.injector import PriorAlignedInjector
from tp_drseg.modules.lora import add_lora
from tp_drseg.modules.precision import ExactParts, no_longer_than


class Backbone(Protocol):
    """What the injected encoder needs of an image encoder; all features are `(B, C, H, W)`."""

    block_dims: Sequence[int]
    detail_blocks: Sequence[int]

    def stem(self, images: Tensor) -> Tensor:
        """Return what comes before the first block."""

    def block(self, index: int, x: Tensor) -> Tensor:
        """One block, with the downsampling that stands before it, if any."""

    def block_name(self, index: int) -> str:
        """Return the name that a block's module has."""

    def learns(self, index: int) -> bool:
        """Whether something in a block, or in the downsampling before it, learns."""

    def exact_modules(self, stop: int) -> Sequence[nn.Module]:
        """Return what of stem and blocks before `stop` loses too much in half precision."""

    def head(self, x: Tensor) -> Tensor:
        """Return the neck: `(B, 256, H_e, W_e)`."""


class ViTBackbone(ImageEncoderViT):  # type: ignore[misc]
    """Meta's `ImageEncoderViT`, block by block, with `SAMBlock` and the same parameters."""

    detail_blocks: Sequence[int] = ()

    def __init__(self, config: ImageEncoderConfig, image_size: int) -> None:
        super().__init__(
            img_size=image_size,
            embed_dim=config.embed_dims[0],
            depth=config.depths[0],
            num_heads=config.num_heads[0],
            window_size=config.window_sizes[0],
            global_attn_indexes=config.global_attn_indexes,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            out_chans=EMBEDDING_DIM,
            use_rel_pos=True,
        )
        self.block_dims = [config.embed_dims[0]] * config.depths[0]
        fuse_sam(self)

    def stem(self, images: Tensor) -> Tensor:
        """Patches and their positions: `(B, C, H / 16, W / 16)`."""
        x: Tensor = self.patch_embed(images) + self.pos_embed
        return x.permute(0, 3, 1, 2)

    def block(self, index: int, x: Tensor) -> Tensor:
        """One transformer block, see `Backbone`."""
        out: Tensor = self.blocks[index](x.permute(0, 2, 3, 1))
        return out.permute(0, 3, 1, 2)

    def block_name(self, index: int) -> str:
        """See `Backbone`."""
        return f"blocks.{index}"

    def learns(self, index: int) -> bool:
        """See `Backbone`."""
        return _learns(self.blocks[index])

    def exact_modules(self, stop: int) -> Sequence[nn.Module]:
        """None: half precision serves a plain transformer well."""
        return ()

    def head(self, x: Tensor) -> Tensor:
        """Return the neck: `(B, 256, H / 16, W / 16)`."""
        return self.neck(x)  # type: ignore[no-any-return]


class TinyViTBackbone(nn.Module):
    """MobileSAM's TinyViT, block by block: timm's `TinyVit`, its last stage at stride 1.

    The stages together have as many blocks as the sum of `depths`; the last two stages work on
    the grid of the embedding, the first at a quarter of the image's resolution.
    """

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
        fuse_tiny_vit(body)
        fuse_layers(body)
        body.stages[-1].downsample.conv2.conv.stride = (1, 1)
        self.patch_embed = body.patch_embed
        self.stages = body.stages
        self.neck = nn.Sequential(
            nn.Conv2d(config.embed_dims[-1], EMBEDDING_DIM, kernel_size=1, bias=False),
            LayerNorm2d(EMBEDDING_DIM),
            nn.Conv2d(EMBEDDING_DIM, EMBEDDING_DIM, kernel_size=3, padding=1, bias=False),
            LayerNorm2d(EMBEDDING_DIM),
        )
        self.places = [(s, b) for s, depth in enumerate(config.depths) for b in range(depth)]
        self.block_dims = [config.embed_dims[s] for s, _ in self.places]
        # the last block at each of the strides 4, 8 and 16
        self.detail_blocks = [sum(config.depths[: stage + 1]) - 1 for stage in range(3)]

    def stem(self, images: Tensor) -> Tensor:
        """Return the two strided convolutions: `(B, C, H / 4, W / 4)`."""
        return self.patch_embed(images)  # type: ignore[no-any-return]

    def block(self, index: int, x: Tensor) -> Tensor:
        """One block of one stage, see `Backbone`."""
        stage_index, block_index = self.places[index]
        stage: Any = self.stages[stage_index]
        if stage_index == 0:
            return stage.blocks[block_index](x)  # type: ignore[no-any-return]
        if block_index == 0:
            x = stage.downsample(x)
        return stage.blocks[block_index](x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # type: ignore[no-any-return]

    def block_name(self, index: int) -> str:
        """See `Backbone`."""
        stage_index, block_index = self.places[index]
        return f"stages.{stage_index}.blocks.{block_index}"

    def learns(self, index: int) -> bool:
        """See `Backbone`."""
        stage_index, block_index = self.places[index]
        stage: Any = self.stages[stage_index]
        before = block_index == 0 < stage_index  # the first stage has no downsampling
        return _learns(stage.blocks[block_index]) or (before and _learns(stage.downsample))

    def exact_modules(self, stop: int) -> Sequence[nn.Module]:
        """All: convolutions, batch norms and residuals add their roundings up."""
        modules: list[nn.Module] = [self.patch_embed]
        for stage_index, block_index in self.places[:stop]:
            stage: Any = self.stages[stage_index]
            if block_index == 0 < stage_index:
                modules.append(stage.downsample)
            modules.append(stage.blocks[block_index])
        return modules

    def head(self, x: Tensor) -> Tensor:
        """Return the neck: `(B, 256, H / 16, W / 16)`."""
        return self.neck(x)  # type: ignore[no-any-return]


def _dtype(module: nn.Module) -> torch.dtype:
    return next(module.parameters()).dtype


def _learns(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())


def build_backbone(config: ImageEncoderConfig, image_size: int) -> nn.Module:
    """Return the image encoder of a config, with random weights."""
    if config.kind == "vit":
        return ViTBackbone(config, image_size)
    return TinyViTBackbone(config)


@dataclass(frozen=True)
class ImageFeatures:
    """What one image gives every lesion alike: all that comes before the first tuning.

    Attributes:
        feature: `(B, C, H, W)`, the output of the block before the first injector.
        detail: what the detail head reads: outputs of the backbone's `detail_blocks`, the finest
            first; and once the head has seen them, its own features alone.
    """

    feature: Tensor
    detail: tuple[Tensor, ...] = ()

    def split(self) -> list[ImageFeatures]:
        """Return the images one by one, B = 1."""
        return [
            ImageFeatures(self.feature[i, None], tuple(x[i, None] for x in self.detail))
            for i in range(len(self.feature))
        ]


class InjectedImageEncoder(ExactParts):
    """A SAM image encoder whose chosen blocks are followed by prior-aligned injectors.

    In place of the injectors another tuning can stand; a fresh one of any kind leaves the
    encoder's output as it is. What follows a block is in `injectors`; the low-rank updates of
    `lora` are inside the chosen blocks themselves.

    Args:
        backbone: a `Backbone`; it is frozen and kept in evaluation mode. A training run may open
            some of its blocks again.
        injector_blocks: after which blocks an injector stands; None for every block.
        injector_stride: see `PriorAlignedInjector`.
        use_prior: see `PriorAlignedInjector`.
        tuning: what stands there, see `TPDRSegConfig`.

    Raises:
        ConfigError: for `lora` without `peft`, or on a block without attention.

    Example:
        >>> import torch
        >>> from tp_drseg import TPDRSeg
        >>> encoder = TPDRSeg.from_pretrained().network.image_encoder
        >>> features = encoder.encode_image(torch.rand(1, 3, 1024, 1024))
        >>> encoder.inject(features.feature, prior=torch.rand(1, 1, 64, 64)).shape
        torch.Size([1, 256, 64, 64])
    """

    def __init__(
        self,
        backbone: Any,
        injector_blocks: Sequence[int] | None = None,
        injector_stride: int = 4,
        use_prior: bool = True,
        tuning: Tuning = "injector",
    ) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(False).eval()
        dims: Sequence[int] = backbone.block_dims
        depth = len(dims)
        blocks = range(depth) if injector_blocks is None else sorted(set(injector_blocks))
        if tuning == "none":
            blocks = []
        make: Mapping[str, Callable[[int], nn.Module]] = {
            "injector": lambda dim: PriorAlignedInjector(dim, injector_stride, use_prior),
            "adapter": Adapter,
            "multi_scale_adapter": MultiScaleAdapter,
        }
        self.injectors = nn.ModuleDict(
            {str(i): make[tuning](dims[i]) for i in blocks if tuning in make}
        )
        # how many blocks come before anything that is tuned; without any tuning it is all of them
        self.untuned = min(blocks, default=depth - 1) + 1
        if tuning == "lora" and blocks:
            add_lora(backbone, [backbone.block_name(i) for i in blocks])
            self.untuned -= 1  # the update is in the block, not after it

    def exact_modules(self) -> Sequence[nn.Module]:
        """Return what the backbone names of the blocks before the first tuning."""
        return self.backbone.exact_modules(self.untuned)  # type: ignore[no-any-return]

    def train(self, mode: bool = True) -> InjectedImageEncoder:
        """Only the injectors follow the mode; the statistics of SAM's encoder stay as they are."""
        super().train(mode)
        self.backbone.eval()
        return self

    def compile(self) -> None:
        """Lets `torch.compile` make fast code of the encoder, at its first use, which takes long.

        It has to be made again for another size of batch or image.
        """
        self._start = torch.compile(self._start, dynamic=False)  # type: ignore[method-assign]
        self.inject = torch.compile(self.inject, dynamic=False)  # type: ignore[method-assign]

    def encode_image(self, images: Tensor) -> ImageFeatures:
        """Run the part that no prior touches, once an image.

        Blocks before the first one that learns make no graph, since nothing in them asks for a
        gradient.

        Args:
            images: `(B, 3, S, S)`, normalised as SAM expects.
        """
        # an injector may stand before a detail block, whose shared output knows no prior
        last = max(self.untuned - 1, *self.backbone.detail_blocks, -1)
        frozen = 0
        while frozen <= last and not self.backbone.learns(frozen):
            frozen += 1
        x, outputs = self._start(images.to(_dtype(self.backbone)), frozen)
        for index in range(frozen, last + 1):
            x = outputs[index] = self._shared_block(index, x)
        detail = tuple(outputs[index] for index in self.backbone.detail_blocks)
        return ImageFeatures(self._shortened(outputs[self.untuned - 1]), detail)

    def _start(self, images: Tensor, stop: int) -> tuple[Tensor, dict[int, Tensor]]:
        """Return what the last block before `stop` gives, and by block what is used; -1: stem."""
        x = self.backbone.stem(images)
        wanted = (self.untuned - 1, *self.backbone.detail_blocks)
        outputs = {-1: x} if -1 in wanted else {}
        for index in range(stop):
            x = self._shared_block(index, x)
            if index in wanted:
                outputs[index] = x
        return x, outputs

    def _shared_block(self, index: int, x: Tensor) -> Tensor:
        x = x if index < self.untuned else self._shortened(x)
        return self.backbone.block(index, x)  # type: ignore[no-any-return]

    def _shortened(self, x: Tensor) -> Tensor:
        """From the type of the blocks before the first tuning to that of the others."""
        return no_longer_than(x, _dtype(self.backbone.neck))

    def inject(self, feature: Tensor, prior: Tensor) -> Tensor:
        """Return the part from the first injector on.

        Args:
            feature: `ImageFeatures.feature`, one item a prompt.
            prior: `P_e`, `(B, 1, h, w)` in [0, 1].

        Returns:
            the image embedding `F_e`, `(B, 256, S / 16, S / 16)`.
        """
        # the layout that every block works on; a feature that was repeated has lost it
        x = feature.contiguous(memory_format=torch.channels_last)
        for index in range(max(self.untuned - 1, 0), len(self.backbone.block_dims)):
            if index >= self.untuned:
                x = self.backbone.block(index, x)
            if str(index) in self.injectors:
                x = self.injectors[str(index)](x, prior)
        return self.backbone.head(x)  # type: ignore[no-any-return]

    def forward(self, images: Tensor, prior: Tensor) -> Tensor:
        """`inject(encode_image(images).feature, prior)`."""
        return self.inject(self.encode_image(images).feature, prior)
