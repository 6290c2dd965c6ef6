"""Random weights that depend on a seed alone, and leave the caller's generators as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed PyTorch's generator of the CPU for a block, in which new tensors are made there.

    Afterwards it is as it was before. Those of graphics cards are never touched, as
    `torch.manual_seed` would do.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        yield
