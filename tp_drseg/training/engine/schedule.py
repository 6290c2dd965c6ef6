"""Learning-rate schedules: closed formulas of the step, for PyTorch's `LambdaLR`.

A chain of schedulers would give the same curve, but each step's rate from the one before: a run
that is resumed would then not get the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch.optim.lr_scheduler import LambdaLR

from tp_drseg.training.config import TrainingConfig

LEAST = 0.02
"""Where the cosine ends, as a share of the highest rate."""


def warm_cosine(step: int, steps: int, warmup: int = 50) -> float:
    """Return the factor of the learning rate: linear warm-up, then a cosine to 2 % of it."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return LEAST + (1 - LEAST) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def warm_constant(step: int, warmup: int = 50) -> float:
    """Return the factor of the learning rate: linear warm-up, then 1."""
    return min(1.0, (step + 1) / max(1, warmup))


def rate_of(config: TrainingConfig, steps: int) -> Callable[[int], float]:
    """Return the factor of the learning rate as a function of the step, counted from 0."""
    if config.schedule == "constant":
        return partial(warm_constant, warmup=config.warmup)
    return partial(warm_cosine, steps=steps, warmup=config.warmup)


def scheduler_at(
    optimizer: torch.optim.Optimizer, rate: Callable[[int], float], step: int
) -> LambdaLR:
    """Return a scheduler that has set the rates of step `step`, counted from 0.

    Args:
        optimizer: each group's `lr` is its highest rate.
        rate: see `rate_of`.
        step: the next one.
    """
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return LambdaLR(optimizer, rate, last_epoch=step - 1)
