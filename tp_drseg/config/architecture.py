"""What the network is made of: SAM's image encoder, CLIP, and what stands between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from tp_drseg.config.base import FrozenConfig, shown
from tp_drseg.config.clip import check_clip

EncoderKind = Literal["vit", "tiny_vit"]
DenseFeatures = Literal["value", "token"]
Tuning = Literal["injector", "adapter", "multi_scale_adapter", "lora", "none"]

_MOST_PARAMETERS = 3_000_000_000  # SAM's largest encoder has a fifth of them

Width = Annotated[int, Field(ge=1, le=4096)]
Depth = Annotated[int, Field(ge=1, le=64)]
Heads = Annotated[int, Field(ge=1, le=128)]
Window = Annotated[int, Field(ge=1, le=256)]
Block = Annotated[int, Field(ge=0, le=255)]
Blocks = Annotated[tuple[Block, ...], Field(max_length=256)]


def _check_blocks(name: str, blocks: tuple[int, ...], depth: int) -> None:
    if any(block >= depth for block in blocks) or len(set(blocks)) < len(blocks):
        raise ValueError(
            f"{name} must list different blocks of an encoder of {depth}, counted from 0, got "
            f"{shown(blocks)}."
        )


class ImageEncoderConfig(FrozenConfig):
    """Widths of SAM's image encoder.

    Attributes:
        kind: `vit` is Meta's, `tiny_vit` is MobileSAM's.
        embed_dims: Channels; one entry for `vit`, one a stage, four, for `tiny_vit`. So have the
            next three.
        depths: Blocks.
        num_heads: Heads of attention; they divide the channels.
        window_sizes: Side of the windows of attention, in cells.
        global_attn_indexes: Blocks of a `vit` whose attention spans the whole image, from 0.

    Example:
        >>> ENCODERS["vit_b"].replace(depths=(6,), global_attn_indexes=(2, 5)).depths
        (6,)
    """

    kind: EncoderKind
    embed_dims: tuple[Width, ...]
    depths: tuple[Depth, ...]
    num_heads: tuple[Heads, ...]
    window_sizes: tuple[Window, ...] = (14,)
    global_attn_indexes: Blocks = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        stages = 1 if self.kind == "vit" else 4
        for name in ("embed_dims", "depths", "num_heads", "window_sizes"):
            if len(getattr(self, name)) != stages:
                raise ValueError(
                    f"{name} must have {stages} numbers for kind {self.kind!r}, got "
                    f"{shown(getattr(self, name))}."
                )
        if any(dim % heads for dim, heads in zip(self.embed_dims, self.num_heads, strict=True)):
            raise ValueError(
                f"num_heads must divide embed_dims, got {self.num_heads} for {self.embed_dims}."
            )
        parameters = sum(12 * n * w * w for n, w in zip(self.depths, self.embed_dims, strict=True))
        if parameters > _MOST_PARAMETERS:
            raise ValueError(
                f"embed_dims and depths make an encoder of some {parameters:,} parameters; at most "
                f"{_MOST_PARAMETERS:,} are allowed."
            )
        _check_blocks("global_attn_indexes", self.global_attn_indexes, sum(self.depths))
        return self


ENCODERS: Mapping[str, ImageEncoderConfig] = {
    "tiny": ImageEncoderConfig(
        kind="tiny_vit",
        embed_dims=(64, 128, 160, 320),
        depths=(2, 2, 6, 2),
        num_heads=(2, 4, 5, 10),
        window_sizes=(7, 7, 14, 7),
    ),
    **{
        name: ImageEncoderConfig(
            kind="vit",
            embed_dims=(width,),
            depths=(depth,),
            num_heads=(heads,),
            global_attn_indexes=tuple(range(depth // 4 - 1, depth, depth // 4)),
        )
        for name, width, depth, heads in (
            ("vit_b", 768, 12, 12),
            ("vit_l", 1024, 24, 16),
            ("vit_h", 1280, 32, 16),
        )
    },
}
"""SAM's own encoders by size."""


class CLIPConfig(FrozenConfig):
    """The frozen CLIP behind the explicit prior.

    Attributes:
        architecture: open_clip's model config (`embed_dim`, `vision_cfg`, `text_cfg`,
            `quick_gelu`), from which the towers are built without any download.
        image_size: Side in pixels of the square into which the whole field of view is scaled;
            position embeddings are interpolated when it is not the tower's own. 1 to 4096.
        features: `value`, the value path of the last attention layer (as MaskCLIP does), or
            `token`, the plain tokens of the last layer.

    Example:
        >>> CLIPConfig(architecture=SMALL_CLIP, image_size=1024).features
        'value'
    """

    architecture: Mapping[str, JsonValue]
    image_size: Annotated[int, Field(ge=1, le=4096)]
    features: DenseFeatures = "value"

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_clip(self.architecture, self.image_size)
        return self


VIT_B_16: Mapping[str, JsonValue] = {
    "embed_dim": 512,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 16},
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 512,
        "heads": 8,
        "layers": 12,
    },
}
"""open_clip's `ViT-B-16-quickgelu`, the paper's CLIP."""

SMALL_CLIP: Mapping[str, JsonValue] = {
    "embed_dim": 96,
    "quick_gelu": False,
    "vision_cfg": {"tower": "tiny_vit", "width": 192},
    "text_cfg": {
        "tower": "minilm",
        "vocab_size": 30522,
        "width": 384,
        "heads": 12,
        "layers": 6,
        "context_length": 128,
        "pooled_layers": [2, 4, 6],
        "examples": 3328,
        "concepts": [
            "microaneurysm",
            "haemorrhage",
            "hard exudate",
            "soft exudate",
            "optic disc",
            "blood vessel",
            "fovea",
            "healthy retina",
            "another finding",
            "everyday thing",
            "no words",
            "another language",
        ],
    },
}
"""The small CLIP of the `tiny` size: MiniLM reads the text, MobileSAM's first stages the image."""


class ArchitectureConfig(FrozenConfig):
    """What the network is made of; together with the number of lesions it decides its tensors.

    Attributes:
        image_encoder: SAM's image encoder.
        clip: The CLIP behind the explicit prior.
        image_size: Side of the square tile that the image encoder sees, in pixels: a multiple of
            16 from 16 to 4096.
        tuning: What stands after the encoder blocks `injector_blocks`: `injector`, the paper's;
            `adapter`, `multi_scale_adapter` or `lora`, which it is compared with and which know no
            prior (`lora` is part of the blocks and needs the extra of that name); or `none`.
        injector_blocks: After which encoder blocks an injector stands; `None` for every block,
            empty for no injector at all.
        injector_stride: Stride of the injector's query, key and value convolutions (Eq. 3).
        injector_prior: Whether the prior gates the injector's key and value (Eq. 2).
        generator_prior: Whether the prior gates the prompt generator's input (Eq. 4).
        sparse_tokens: How many sparse embeddings the prompt generator makes, 1 to 256.
        detail: Whether a detail head adds to the logits at half of the tile's resolution
            (`tiny_vit` only; not part of the paper).
        anatomy: Whether an anatomy head finds disc and fovea (with the small CLIP's `tiny_vit`
            image tower only; not part of the paper).

    Example:
        >>> clip = CLIPConfig(architecture=SMALL_CLIP, image_size=1024)
        >>> ArchitectureConfig(image_encoder=ENCODERS["tiny"], clip=clip, image_size=512).grid
        32
    """

    image_encoder: ImageEncoderConfig
    clip: CLIPConfig
    image_size: Annotated[int, Field(ge=16, le=4096, multiple_of=16)] = 1024
    tuning: Tuning = "injector"
    injector_blocks: Blocks | None = None
    injector_stride: Annotated[int, Field(ge=1, le=16)] = 4
    injector_prior: bool = True
    generator_prior: bool = True
    sparse_tokens: Annotated[int, Field(ge=1, le=256)] = 8
    detail: bool = False
    anatomy: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.detail and self.image_encoder.kind != "tiny_vit":
            raise ValueError("detail needs an image encoder with a stride-4 stage: tiny_vit.")
        vision = self.clip.architecture["vision_cfg"]
        if self.anatomy and not (isinstance(vision, Mapping) and vision.get("tower")):
            raise ValueError("anatomy needs a CLIP with the image tower tiny_vit.")
        if self.injector_blocks is not None:
            depth = sum(self.image_encoder.depths)
            _check_blocks("injector_blocks", self.injector_blocks, depth)
        return self

    @property
    def grid(self) -> int:
        """Side of the image embedding, in cells."""
        return self.image_size // 16
