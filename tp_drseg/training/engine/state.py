"""A run's checkpoint: everything that the next step depends on, in one safetensors file."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from tp_drseg._runtime.files import atomic_write
from tp_drseg._runtime.json_text import parse_json
from tp_drseg.errors import TrainingError
from tp_drseg.training.engine.average import EMA

logger = logging.getLogger(__name__)

_ADAMW = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        step: How many steps are done.
        best: The highest mean of the validations so far; 0 without any.
    """

    step: int = 0
    best: float = 0.0


def save_state(
    path: Path,
    progress: Progress,
    settings: Mapping[str, Any],
    parameters: Mapping[str, nn.Parameter],
    average: EMA,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Write weights, their average and AdamW's moments, whole or not at all.

    Args:
        path: The file.
        progress: How far the run has come.
        settings: Those of the run, as JSON takes them; a run with others will not be resumed.
        parameters: What learns, by name.
        average: Their moving average, in the same order.
        optimizer: An AdamW over them that has made a step.

    Raises:
        OutputError: The file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for (name, parameter), mean in zip(parameters.items(), average.values, strict=True):
        tensors[f"weight/{name}"] = parameter.detach()
        tensors[f"average/{name}"] = mean
        for key in _ADAMW:
            tensors[f"{key}/{name}"] = optimizer.state[parameter][key].to(torch.float32)
    metadata = {
        "step": str(progress.step),
        "best": repr(progress.best),
        "settings": json.dumps(settings, sort_keys=True),
    }
    with atomic_write(path) as file:
        file.write(to_bytes({k: v.cpu().contiguous() for k, v in tensors.items()}, metadata))


def load_state(
    path: Path,
    steps: int,
    settings: Mapping[str, Any],
    parameters: Mapping[str, nn.Parameter],
    average: EMA,
    optimizer: torch.optim.Optimizer,
) -> Progress:
    """Put back what `save_state` wrote; nothing is changed when it raises.

    Args:
        path: The file.
        steps: How many the run has in all.
        settings: See `save_state`.
        parameters: See `save_state`.
        average: See `save_state`.
        optimizer: An AdamW over the parameters.

    Returns:
        How far the run had come.

    Raises:
        TrainingError: The file is damaged, or belongs to a run with other settings or parts.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
        progress = Progress(int(metadata["step"]), float(metadata["best"]))
        before = parse_json(metadata["settings"], "its settings", error=TrainingError)
    except (SafetensorError, OSError, KeyError, ValueError, TrainingError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(before, dict):
        raise _damaged(path, "its settings are no mapping")
    if not 0 < progress.step <= steps or not 0 <= progress.best < math.inf:
        raise _damaged(path, f"step {progress.step} of {steps}, best {progress.best}")
    _refuse_other_settings(path, before, json.loads(json.dumps(settings)))
    _check(path, tensors, progress.step, parameters)
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[f"weight/{name}"])
            # AdamW counts its steps on the CPU
            optimizer.state[parameter] = {
                key: tensors[f"{key}/{name}"].to("cpu" if key == "step" else parameter.device)
                for key in _ADAMW
            }
    average.restore([tensors[f"average/{name}"] for name in parameters], progress.step)
    logger.info("resumed %s after step %d", path.parent, progress.step)
    return progress


def _refuse_other_settings(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    if changed := [k for k in sorted({*before, *now}) if before.get(k) != now.get(k)]:
        some = "; ".join(f"{k} was {before.get(k)!r}, is {now.get(k)!r}" for k in changed)
        raise TrainingError(
            f"{path} belongs to a run with other settings: {some}. Choose another output folder, "
            f"or go back to the settings of that run."
        )


def _check(
    path: Path, tensors: Mapping[str, Tensor], step: int, parameters: Mapping[str, nn.Parameter]
) -> None:
    """Refuse tensors that no run with these parameters can have written."""
    if {key for key in tensors if key.startswith("weight/")} != {f"weight/{n}" for n in parameters}:
        raise TrainingError(
            f"{path} belongs to a run with other trained parts. Choose another output folder, or "
            f"delete that file to start anew."
        )
    scalar = torch.zeros((), dtype=torch.float32, device="cpu")
    expected: dict[str, Tensor] = {}
    for name, parameter in parameters.items():
        expected |= {f"{key}/{name}": parameter for key in ("weight", "average", *_ADAMW)}
        expected[f"step/{name}"] = scalar
    if wrong := sorted(expected.keys() ^ tensors.keys()):
        raise _damaged(path, f"{wrong[0]} is {'missing' if wrong[0] in expected else 'unknown'}")
    for key, value in tensors.items():
        form, kind = expected[key].shape, expected[key].dtype
        if value.shape != form or value.dtype != kind:
            raise _damaged(
                path,
                f"{key} is {tuple(value.shape)} {value.dtype}, and should be {tuple(form)} {kind}",
            )
        if not bool(value.isfinite().all()):
            raise _damaged(path, f"{key} holds values that are not finite")
        if key.startswith("exp_avg_sq/") and bool((value < 0).any()):
            raise _damaged(path, f"{key} holds a square below 0")
        if key.startswith("step/") and float(value) != step:
            raise _damaged(path, f"{key} is {float(value):g} after step {step}")


def _damaged(path: Path, why: str) -> TrainingError:
    return TrainingError(f"{path} is damaged: {why}. Delete that file to start anew.")
