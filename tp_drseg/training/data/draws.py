"""Random draws: from a generator that is passed in, the same whatever the process's defaults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch

Item = TypeVar("Item")

CROP, STEP = 0, 1
"""Streams of one seed: the draws of a crop, and those that all crops of a step share."""


def generator_for(seed: int, stream: int, number: int) -> torch.Generator:
    """Return a generator that depends on these three numbers alone."""
    mixed = (seed * 2 + stream) * 0x9E3779B97F4A7C15 + number * 0xBF58476D1CE4E5B9
    return torch.Generator("cpu").manual_seed(mixed % 2**63)


def uniform(generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> float:
    """Draw a number from `[low, high)`."""
    # type and device are named: PyTorch's defaults, which a user may change, change the draws
    drawn = torch.rand((), generator=generator, dtype=torch.float32, device="cpu")
    return low + (high - low) * float(drawn)


def integer(generator: torch.Generator, bound: int) -> int:
    """Draw a whole number from 0 to `bound - 1`."""
    return int(torch.randint(bound, (), generator=generator, dtype=torch.int64, device="cpu"))


def some(generator: torch.Generator, bound: int, count: int) -> list[int]:
    """Draw at most `count` different whole numbers from 0 to `bound - 1`, in any order."""
    order = torch.randperm(bound, generator=generator, dtype=torch.int64, device="cpu")
    return order[:count].tolist()


def one_of(generator: torch.Generator, pool: Sequence[Item]) -> Item:
    """Draw an item, each as likely as the others."""
    return pool[integer(generator, len(pool))]


def weighted(generator: torch.Generator, weights: Sequence[float], count: int = 1) -> list[int]:
    """Draw `count` different places in `weights`, each as likely as its weight says."""
    given = torch.tensor(list(weights), dtype=torch.float32, device="cpu")
    return torch.multinomial(given, count, generator=generator).tolist()
