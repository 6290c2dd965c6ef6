"""Joining the processes of a run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tp_drseg._runtime.device import pick_device
from tp_drseg._runtime.extras import require
from tp_drseg.errors import TrainingError
from tp_drseg.training.config import TrainingConfig

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def launch(config: TrainingConfig, device: str = "auto") -> Fabric:
    """Join the processes of a run: those that `torchrun` started, or this one alone.

    Args:
        config: how the run goes.
        device: `auto`, `cpu`, `cuda` or `mps`.

    Raises:
        ConfigError: The device cannot be used here.
        TrainingError: The processes cannot share a step's crops evenly.
        MissingExtraError: The extra `train` is not installed.
    """
    require("train", "lightning_fabric")
    from lightning_fabric import Fabric

    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if config.batch_size % (world * config.micro_batch):
        raise TrainingError(
            f"training.batch_size ({config.batch_size}) must be a multiple of the number of "
            f"processes ({world}) times training.micro_batch ({config.micro_batch})."
        )
    fabric = Fabric(
        accelerator=pick_device(device).type, devices=local, num_nodes=max(1, world // local)
    )
    fabric.launch()
    return fabric
