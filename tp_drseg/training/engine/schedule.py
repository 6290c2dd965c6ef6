"""Learning-rate schedules."""

from __future__ import annotations

import math

LEAST = 0.02
"""Where the cosine ends, as a share of the highest rate."""


def warm_cosine(step: int, steps: int, warmup: int = 50) -> float:
    """Factor of the learning rate: linear warm-up, then a cosine to 2 % of it."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return LEAST + (1 - LEAST) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def warm_constant(step: int, warmup: int = 50) -> float:
    """Factor of the learning rate: linear warm-up, then 1."""
    return min(1.0, (step + 1) / max(1, warmup))
