"""Which parameters of a model learn, and how fast relative to each other."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from tp_drseg.errors import TrainingError
from tp_drseg.modules.network import TPDRSegNetwork

CLASS_GROUPS = ("prompt_generator.class_weight", "prompt_generator.class_bias")
"""Names of the parameters that have a row for each lesion."""

# while SAM's encoder is in evaluation mode, timm keeps what it makes of these in a cache
_NEVER = "attention_biases"


def parameter_groups(
    network: TPDRSegNetwork, factors: Mapping[str, float]
) -> dict[float, dict[str, nn.Parameter]]:
    """Set `requires_grad`, and group what learns by the factor of its learning rate.

    Args:
        network: The network. What it lets learn by itself has the factor 1.
        factors: By the beginning of parameters' names; the longest one that fits decides, and 0
            freezes.

    Returns:
        By factor, the parameters that learn by name.

    Raises:
        TrainingError: A beginning names nothing that can learn, such as CLIP, or nothing is left
            to learn.
    """
    own = {name for name, _ in network.trained_parameters()}
    # what the model itself closes elsewhere is used by nothing, or is CLIP
    openable = {
        name
        for name, _ in network.named_parameters()
        if (name in own or name.startswith("image_encoder.backbone.")) and not name.endswith(_NEVER)
    }
    for prefix in factors:
        if not any(name.startswith(prefix) for name in openable):
            parts = {".".join(name.split(".")[: 1 + name.startswith("image")]) for name in openable}
            raise TrainingError(
                f"training.lr_factors names {prefix!r}, but nothing that can learn has a name that "
                f"begins so. Parts are {', '.join(f'{part}.' for part in sorted(parts))} and what "
                f"is in them."
            )
    groups: dict[float, dict[str, nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        factor = 1.0 if name in own else 0.0
        matching = [prefix for prefix in factors if name.startswith(prefix)]
        if matching and name in openable:
            factor = factors[max(matching, key=len)]
        parameter.requires_grad_(factor > 0)
        if factor > 0:
            groups.setdefault(factor, {})[name] = parameter
    if not groups:
        raise TrainingError("Nothing learns: training.lr_factors closes every part.")
    return groups
