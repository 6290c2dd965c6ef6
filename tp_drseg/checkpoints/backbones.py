"""Pretrained SAM and CLIP: reading their files, and loading them into a network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.transformer import QuickGELU
from safetensors.torch import load_file
from torch import Tensor, nn

from tp_drseg._runtime.json_text import read_json
from tp_drseg.errors import CheckpointError
from tp_drseg.modules.fundus_tower import FundusTower
from tp_drseg.modules.network import TPDRSegNetwork

_SIZE_OF_WIDTH = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}


def read_sam(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a SAM checkpoint that the user named; nothing but tensors is unpickled.

    Raises:
        CheckpointError: when the file is missing, truncated, or not a SAM checkpoint.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no SAM checkpoint at {path}.")
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a broken file
        raise CheckpointError(f"{path} is not a readable SAM checkpoint: {error}") from error
    if not isinstance(weights, dict) or not any(
        isinstance(name, str) and name.startswith("mask_decoder.") for name in weights
    ):
        raise CheckpointError(f"{path} holds no SAM: it has no mask_decoder.")
    return weights


def sam_size(weights: Mapping[str, Tensor]) -> str:
    """Tell the size that a SAM checkpoint has.

    Raises:
        CheckpointError: for an image encoder of an unknown width.
    """
    if "image_encoder.patch_embed.seq.0.c.weight" in weights:
        return "tiny"
    position = weights.get("image_encoder.pos_embed")
    width = 0 if position is None else position.shape[-1]
    if width not in _SIZE_OF_WIDTH:
        raise CheckpointError(f"This SAM's image encoder has an unknown width: {width}.")
    return _SIZE_OF_WIDTH[width]


def load_sam(network: TPDRSegNetwork, weights: Mapping[str, Tensor]) -> None:
    """Load SAM's three parts, strictly.

    The dense head of the prompt generator starts at SAM's embedding for "no mask given", which
    its decoder is used to.

    Raises:
        CheckpointError: A tensor is missing, unexpected or misshapen; it is named.
    """
    parts = {
        "image_encoder": network.image_encoder.backbone,
        "prompt_encoder": network.prompt_encoder,
        "mask_decoder": network.mask_decoder,
    }
    for part, module in parts.items():
        prefix = part + "."
        own = {k[len(prefix) :]: v for k, v in weights.items() if k.startswith(prefix)}
        if part == "image_encoder" and network.architecture.image_encoder.kind == "tiny_vit":
            own = rename_mobile_sam(own)
        _load(module, own, f"SAM's {part}")
    with torch.no_grad():
        no_mask: Tensor = network.prompt_encoder.no_mask_embed.weight[0]
        nn.init.normal_(network.prompt_generator.dense.weight, std=1e-3)
        network.prompt_generator.dense.bias.copy_(no_mask)  # type: ignore[union-attr]


def load_clip(network: TPDRSegNetwork, weights: Mapping[str, Tensor], name: str) -> None:
    """Load both towers of a CLIP, strictly.

    Raises:
        CheckpointError: A tensor is missing, unexpected or misshapen; it is named.
    """
    _load(network.explicit_prior.clip, weights, f"CLIP {name}")


def load_trunk(tower: FundusTower, weights: Mapping[str, Tensor]) -> None:
    """Load the first stages of MobileSAM's image encoder into the small CLIP's image tower.

    Raises:
        CheckpointError: for a missing or misshapen tensor; it is named.
    """
    prefix = "image_encoder."
    encoder = {k[len(prefix) :]: v for k, v in weights.items() if k.startswith(prefix)}
    own = {
        k: v
        for k, v in rename_mobile_sam(encoder).items()
        if not k.startswith(("stages.3.", "neck."))
    }
    _load(tower.trunk, own, "MobileSAM's image encoder")


def rename_mobile_sam(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn MobileSAM's names for TinyViT's tensors into timm's.

    MobileSAM counts a downsampling to the stage before it, timm to the stage after it. The
    classifier head, which MobileSAM keeps but never runs, is left out.
    """
    renamed: dict[str, Tensor] = {}
    for key, value in weights.items():
        if key.startswith(("head.", "norm_head.")):
            continue
        key = re.sub(r"^patch_embed\.seq\.0\.", "patch_embed.conv1.", key)
        key = re.sub(r"^patch_embed\.seq\.2\.", "patch_embed.conv2.", key)
        key = re.sub(
            r"^layers\.(\d)\.downsample\.", lambda m: f"stages.{int(m[1]) + 1}.downsample.", key
        )
        key = re.sub(r"^layers\.", "stages.", key)
        renamed[re.sub(r"\.c\.", ".conv.", key)] = value
    return renamed


def read_clip(name: str) -> tuple[Mapping[str, Any], dict[str, Tensor]]:
    """Read the architecture and tensors of a CLIP that goes by a name.

    See `TPDRSeg.from_backbones` for what the name may be.

    Raises:
        CheckpointError: when the CLIP cannot be found or read.
    """
    folder = Path(name)
    if folder.is_dir():
        try:
            architecture = read_json(folder / "clip_config.json")
            weights = load_file(folder / "clip.safetensors")
        except Exception as error:  # safetensors raises its own kinds
            raise CheckpointError(f"{folder} holds no readable CLIP: {error}") from error
        if not isinstance(architecture, dict):
            raise CheckpointError(f"{folder / 'clip_config.json'} must be a JSON object.")
        return architecture, weights
    if name.startswith("hf-hub:"):
        model_name, pretrained = name, None
    elif ":" in name:
        model_name, _, pretrained = name.partition(":")
        if not Path(pretrained).is_file():
            raise CheckpointError(f"There is no CLIP checkpoint at {pretrained}.")
    else:
        model_name, _, pretrained = name.partition("/")
    try:
        architecture = open_clip.get_model_config(model_name)
        clip = open_clip.create_model(
            model_name, pretrained=pretrained, require_pretrained=True, weights_only=True
        )
    except Exception as error:  # the Hub client and open_clip raise many kinds
        raise CheckpointError(
            f"CLIP {name!r} cannot be loaded: {error}. Give a folder with a trained small CLIP, "
            f"NAME/TAG or NAME:FILE in open_clip's terms, or hf-hub:org/name."
        ) from error
    # open_clip turns QuickGELU on for OpenAI's weights whatever the named config says
    quick = any(isinstance(module, QuickGELU) for module in clip.modules())
    return {**architecture, "quick_gelu": quick}, clip.state_dict()


def _load(module: nn.Module, weights: Mapping[str, Tensor], what: str) -> None:
    try:
        module.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise CheckpointError(f"{what} does not fit: {error}") from error
