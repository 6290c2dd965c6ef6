"""Low-rank updates of a frozen encoder's attention, through the package `peft`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from tp_drseg._runtime.extras import require
from tp_drseg.errors import ConfigError

RANK = 4
"""Rank of each update, as SAMed has it for SAM (Zhang and Liu, 2023)."""

_LAYERS = ("attn.qkv", "attn.proj")


def add_lora(backbone: nn.Module, blocks: Sequence[str], rank: int = RANK) -> None:
    """Give the attention of some blocks a low-rank update that learns: `W x + B A x`.

    Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (ICLR 2022), on the layers
    that make query, key and value, and on the one that comes after the attention. `B` starts at
    zero, hence a fresh update changes nothing. All else in the backbone is frozen.

    In a checkpoint the backbone's own tensors keep their names, and an updated layer `L` has
    `A` and `B` beside them as `L.lora_A.default.weight` and `L.lora_B.default.weight`. The tensors
    of a plain backbone can be loaded too; the updates then stay as they are.

    Args:
        backbone: is changed in place.
        blocks: names of its blocks, as `get_submodule` knows them; at least one.
        rank: of each update.

    Raises:
        ConfigError: when a block has no attention.
        MissingExtraError: when the extra `lora` is not installed.
    """
    modules = dict(backbone.named_modules())
    for block in blocks:
        for layer in _LAYERS:
            if not isinstance(modules.get(f"{block}.{layer}"), nn.Linear):
                raise ConfigError(
                    f"tuning 'lora' needs attention, and the encoder's block {block} has none. "
                    f"Leave it out of injector_blocks."
                )
    require("lora", "peft")
    import peft  # heavy, and wanted for this tuning alone

    targets = [f"{block}.{layer}" for block in blocks for layer in _LAYERS]
    config = peft.LoraConfig(r=rank, lora_alpha=rank, target_modules=targets)
    peft.inject_adapter_in_model(config, backbone)
    for target in targets:
        updated: Any = backbone.get_submodule(target)
        updated.register_state_dict_post_hook(_give_plain_names)
        updated.register_load_state_dict_pre_hook(_take_plain_names)


def _give_plain_names(layer: Any, tensors: dict[str, Any], prefix: str, _: Any) -> None:
    """After a save: peft's name of the layer within does not go into a checkpoint."""
    for name, _ in layer.base_layer.named_parameters():
        tensors[prefix + name] = tensors.pop(f"{prefix}base_layer.{name}")


def _take_plain_names(layer: Any, tensors: dict[str, Any], prefix: str, *_: Any) -> None:
    """Before a load: puts peft's name back, and keeps updates that are not given."""
    for name, _ in layer.base_layer.named_parameters():
        if prefix + name in tensors:
            tensors[f"{prefix}base_layer.{name}"] = tensors.pop(prefix + name)
    for name, value in layer.named_parameters():
        if ".lora_" in f".{name}":
            tensors.setdefault(prefix + name, value.detach())
