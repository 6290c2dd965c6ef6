"""The two towers of a frozen open_clip CLIP, read densely."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from open_clip.modified_resnet import ModifiedResNet
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn

from tp_drseg.config import DenseFeatures
from tp_drseg.errors import ConfigError
from tp_drseg.modules.fundus_tower import FundusTower
from tp_drseg.modules.text_tower import TextTower, refuse_long


class SmallCLIP(nn.Module):
    """The CLIP of the size `tiny`: two towers of ours and the scale of their cosine.

    Args:
        architecture: its `vision_cfg` has `tower: tiny_vit` and its `text_cfg` `tower: minilm`;
            their other entries are the arguments of `FundusTower` and `TextTower`.
    """

    def __init__(self, architecture: Mapping[str, Any]) -> None:
        super().__init__()
        vision, text = dict(architecture["vision_cfg"]), dict(architecture["text_cfg"])
        towers = vision.pop("tower", None), text.pop("tower", None)
        if towers != ("tiny_vit", "minilm"):
            raise ConfigError(
                f"clip.architecture names the towers {towers}: a small CLIP has the image tower "
                f'"tiny_vit" and the text tower "minilm", and open_clip\'s own CLIPs name none.'
            )
        width = architecture["embed_dim"]
        self.visual = FundusTower(width, **vision)
        self.text = TextTower(width, **text)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))  # CLIP's own start


def build_clip(architecture: Mapping[str, Any]) -> nn.Module:
    """Return a CLIP with random weights, built from its config without any download.

    It is a `SmallCLIP` where a tower is named, else open_clip's.

    Raises:
        ConfigError: when the config does not fit, or a tower is of another library (which might
            fetch weights).
    """
    towers = [architecture["vision_cfg"], architecture["text_cfg"]]
    for name, tower, foreign in zip(
        ("vision_cfg", "text_cfg"), towers, ("timm_model_name", "hf_model_name"), strict=True
    ):
        if foreign in tower:
            raise ConfigError(f"clip.architecture.{name} must not have {foreign}.")
    if any("tower" in tower for tower in towers):
        try:
            return SmallCLIP(architecture)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"clip.architecture does not fit: {error}.") from error
    try:
        clip = open_clip.CLIP(
            embed_dim=architecture["embed_dim"],
            vision_cfg=dict(architecture["vision_cfg"]),
            text_cfg=dict(architecture["text_cfg"]),
            quick_gelu=architecture.get("quick_gelu", False),
        )
    except Exception as error:  # open_clip checks little, so a wrong value may raise anything
        raise ConfigError(f"open_clip does not take this clip.architecture: {error}.") from error
    if not isinstance(clip.visual, (VisionTransformer, ModifiedResNet)):
        raise ConfigError("clip.architecture must have a ViT, ResNet or tiny_vit image tower.")
    return clip  # type: ignore[no-any-return]


def tokenize(clip: Any, texts: Sequence[str]) -> Tensor:
    """Return the tokens of T texts as `clip` reads them, `(T, n)` int64; on the CPU.

    Raises:
        PromptError: when a text is longer than the text tower reads.
    """
    if isinstance(clip, SmallCLIP):
        return clip.text.tokenize(texts)
    length = clip.context_length
    tokenizer = _tokenizer(length)
    for text in texts:
        refuse_long(text, len(tokenizer.encode(text)), length - 2)  # beside start and end
    return tokenizer(list(texts))  # type: ignore[no-any-return]


@lru_cache(maxsize=4)
def _tokenizer(context_length: int) -> Any:
    # reading the vocabulary takes longer than a small text tower
    return SimpleTokenizer(context_length=context_length)


def encode_text(clip: Any, tokens: Tensor) -> Tensor:
    """CLIP's text features; of open_clip's CLIP what `clip.encode_text(tokens)` gives.

    That one is read no further than needed: the feature is that of a text's end, and attention
    looks back alone, so what stands after the end of the longest text, most of the context as a
    rule, changes nothing.

    Args:
        clip: what `build_clip` gives.
        tokens: `(T, n)` int64, what `tokenize` gives.

    Returns:
        `(T, D)`.
    """
    if isinstance(clip, SmallCLIP):
        return clip.text(tokens)  # type: ignore[no-any-return]
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
