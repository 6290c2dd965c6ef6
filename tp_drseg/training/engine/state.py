"""A run's checkpoint: everything that the next step depends on, in one safetensors file."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from tp_drseg._runtime.files import atomic_write
from tp_drseg.errors import TrainingError

logger = logging.getLogger(__name__)

_ADAMW = ("step", "exp_avg", "exp_avg_sq")


def save_state(
    path: Path,
    step: int,
    settings: Mapping[str, Any],
    parameters: Mapping[str, nn.Parameter],
    average: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> None:
    """Writes weights, their average and AdamW's moments, whole or not at all.

    Args:
        path: the file.
        step: how many steps are done.
        settings: of the run, as JSON takes them; a run with others will not be resumed.
        parameters: what learns, by name.
        average: the moving average of each.
        optimizer: an AdamW over them that has made a step.

    Raises:
        OutputError: when the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for name, parameter in parameters.items():
        tensors[f"weight/{name}"] = parameter.detach()
        tensors[f"average/{name}"] = average[name]
        for key in _ADAMW:
            tensors[f"{key}/{name}"] = optimizer.state[parameter][key]
    metadata = {"step": str(step), "settings": json.dumps(settings, sort_keys=True)}
    with atomic_write(path) as file:
        file.write(to_bytes({k: v.cpu().contiguous() for k, v in tensors.items()}, metadata))


def load_state(
    path: Path,
    settings: Mapping[str, Any],
    parameters: Mapping[str, nn.Parameter],
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> int:
    """Puts back what `save_state` wrote and returns the number of steps done.

    Raises:
        TrainingError: when the file is damaged, or belongs to a run with other settings or parts.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
        step, before = int(metadata["step"]), json.loads(metadata["settings"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise TrainingError(
            f"{path} is damaged ({error}). Delete that file to start anew."
        ) from error
    now = json.loads(json.dumps(settings))
    if changed := [k for k in sorted({*before, *now}) if before.get(k) != now.get(k)]:
        some = "; ".join(f"{k} was {before.get(k)!r}, is {now.get(k)!r}" for k in changed)
        raise TrainingError(
            f"{path} belongs to a run with other settings: {some}. Choose another output folder, "
            f"or go back to the settings of that run."
        )
    shapes = {key: value.shape for key, value in tensors.items() if key.startswith("weight/")}
    if shapes != {f"weight/{name}": p.shape for name, p in parameters.items()}:
        raise TrainingError(
            f"{path} belongs to a run with other trained parts. Choose another output folder, or "
            f"delete that file to start anew."
        )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[f"weight/{name}"])
            average[name] = tensors[f"average/{name}"].to(parameter.device)
            # AdamW counts its steps on the CPU
            optimizer.state[parameter] = {
                key: tensors[f"{key}/{name}"].to("cpu" if key == "step" else parameter.device)
                for key in _ADAMW
            }
    logger.info("resumed %s after step %d", path.parent, step)
    return step
