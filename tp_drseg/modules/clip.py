"""The two towers of a frozen open_clip CLIP, read densely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from textwrap import shorten
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from open_clip.modified_resnet import ModifiedResNet
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn

from tp_drseg.config import DenseFeatures
from tp_drseg.errors import ConfigError, PromptError
from tp_drseg.modules.fundus_tower import FundusTower


def build_clip(architecture: Mapping[str, Any]) -> nn.Module:
    """Return an open_clip CLIP with random weights, built from its config without any download.

    A `vision_cfg` with `tower: tiny_vit` asks for `FundusTower` in place of open_clip's own image
    towers; its other entries are that tower's arguments.

    Raises:
        ConfigError: when open_clip does not take the config, or a tower is of another library
            (which might fetch weights).
    """
    vision = dict(architecture["vision_cfg"])
    tower = vision.pop("tower", None)
    if tower not in (None, "tiny_vit"):
        raise ConfigError(f'clip.architecture names an unknown image tower {tower!r}: "tiny_vit".')
    for tower_config, foreign in (("vision_cfg", "timm_model_name"), ("text_cfg", "hf_model_name")):
        if foreign in architecture[tower_config]:
            raise ConfigError(f"clip.architecture.{tower_config} must not have {foreign}.")
    try:
        if tower is not None:
            image_tower = FundusTower(architecture["embed_dim"], **vision)
            vision = {"layers": 1, "width": 64, "patch_size": 16, "image_size": 16}
        clip = open_clip.CLIP(
            embed_dim=architecture["embed_dim"],
            vision_cfg=vision,
            text_cfg=dict(architecture["text_cfg"]),
            quick_gelu=architecture.get("quick_gelu", False),
        )
    except Exception as error:  # open_clip checks little, so a wrong value may raise anything
        raise ConfigError(f"open_clip does not take this clip.architecture: {error}.") from error
    if tower is not None:
        clip.visual = image_tower
    if not isinstance(clip.visual, (FundusTower, VisionTransformer, ModifiedResNet)):
        raise ConfigError("clip.architecture must have a ViT, ResNet or tiny_vit image tower.")
    return clip  # type: ignore[no-any-return]


def tokenize(texts: Sequence[str], context_length: int) -> Tensor:
    """Return CLIP's byte-pair tokens, `(T, context_length)` int64, in open_clip's vocabulary.

    Raises:
        PromptError: A text has more tokens than CLIP reads.
    """
    tokenizer, most = _tokenizer(context_length), context_length - 2  # beside start and end
    for text in texts:
        if (count := len(tokenizer.encode(text))) > most:
            raise PromptError(
                f"A description has {count} tokens (pieces of words), and CLIP reads at most "
                f"{most}: shorten {shorten(text, 60)!r}, or give its parts as several descriptions."
            )
    return tokenizer(list(texts))  # type: ignore[no-any-return]


@lru_cache(maxsize=4)
def _tokenizer(context_length: int) -> Any:
    # reading the vocabulary takes longer than a small text tower
    return SimpleTokenizer(context_length=context_length)


def encode_text(clip: Any, tokens: Tensor) -> Tensor:
    """CLIP's text features, what `clip.encode_text(tokens)` gives, read no further than needed.

    The feature is that of a text's end, and attention looks back alone: what stands after the end
    of the longest text, most of the context as a rule, changes nothing.

    Args:
        clip: open_clip's `CLIP`.
        tokens: `(T, context_length)` int64.

    Returns:
        `(T, D)`.
    """
    if clip.attn_mask is None or clip.text_pool_type != "argmax":
        return clip.encode_text(tokens)  # type: ignore[no-any-return]
    ends = tokens.argmax(dim=-1)  # the end has the highest number of all tokens
    length = int(ends.max()) + 1
    kind = clip.transformer.get_cast_dtype()
    x = clip.token_embedding(tokens[:, :length]).to(kind)
    x = x + clip.positional_embedding[:length].to(kind)
    x = clip.ln_final(clip.transformer(x, attn_mask=clip.attn_mask[:length, :length]))
    x = x[torch.arange(len(x), device=x.device), ends]
    projection = clip.text_projection
    if projection is None:
        return x  # type: ignore[no-any-return]
    return projection(x) if isinstance(projection, nn.Linear) else x @ projection  # type: ignore[no-any-return]


def dense_image_features(visual: Any, images: Tensor, features: DenseFeatures) -> Tensor:
    """One vector a patch in CLIP's joint space, that is after the last norm and projection.

    Args:
        visual: open_clip's `VisionTransformer` or `ModifiedResNet`, or `FundusTower`, whose
            only features are dense.
        images: `(B, 3, H, W)`, normalised; H and W multiples of the patch size (32 for a ResNet).
            They are turned into the tower's type.
        features: `value` for the value path of the last attention layer, in which each token
            attends to itself alone (Zhou et al., MaskCLIP, ECCV 2022), since the plain tokens
            have been mixed for the pooled token's sake; `token` for the plain tokens of a ViT's
            last layer.

    Returns:
        `(B, D, H / patch, W / patch)`, not normalised.

    Raises:
        ConfigError: for the plain tokens of a ResNet, whose attention pool has none.
    """
    if isinstance(visual, FundusTower):
        return visual.dense(images)
    if isinstance(visual, VisionTransformer):
        return _dense_vit(visual, images, features)
    if features == "token":
        raise ConfigError('clip.features "token" needs a ViT image tower; use "value".')
    return _dense_resnet(visual, images)


def _dense_vit(visual: Any, images: Tensor, features: DenseFeatures) -> Tensor:
    x = visual.conv1(images.to(visual.conv1.weight.dtype))
    height, width = x.shape[-2:]
    x = x.flatten(2).transpose(1, 2)
    class_token = visual.class_embedding.to(x.dtype).expand(len(x), 1, -1)
    x = torch.cat([class_token, x], dim=1)
    x = x + position_embedding(visual, (height, width)).to(x.dtype)
    x = visual.ln_pre(x)
    *blocks, last = visual.transformer.resblocks
    for block in blocks:
        x = block(x)
    x = _value_path(last, x) if features == "value" else last(x)
    x = visual.ln_post(x[:, 1:]) @ visual.proj
    return x.transpose(1, 2).unflatten(2, (height, width))  # type: ignore[no-any-return]


def _dense_resnet(visual: Any, images: Tensor) -> Tensor:
    x = visual.stem(images.to(visual.conv1.weight.dtype))
    for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
        x = layer(x)
    pool = visual.attnpool
    x = pool.c_proj(pool.v_proj(x.movedim(1, -1)))
    return x.movedim(-1, 1)  # type: ignore[no-any-return]


def position_embedding(visual: Any, grid: tuple[int, int]) -> Tensor:
    """Return the tower's position embedding for a grid of patches, `(1 + h * w, C)`; bicubic."""
    embedding: Tensor = visual.positional_embedding
    if tuple(visual.grid_size) == grid:
        return embedding
    first, rest = embedding[:1], embedding[1:]
    rest = rest.T.reshape(1, -1, *visual.grid_size)
    rest = F.interpolate(rest, size=grid, mode="bicubic", align_corners=False)
    return torch.cat([first, rest[0].flatten(1).T])


def _value_path(block: Any, x: Tensor) -> Tensor:
    attention = block.attn
    width = attention.embed_dim
    value = F.linear(
        block.ln_1(x), attention.in_proj_weight[2 * width :], attention.in_proj_bias[2 * width :]
    )
    x = x + block.ls_1(attention.out_proj(value))
    return x + block.ls_2(block.mlp(block.ln_2(x)))  # type: ignore[no-any-return]
