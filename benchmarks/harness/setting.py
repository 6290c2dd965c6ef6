"""Where and how a measurement runs, the model that it asks, and the timing of a call."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch

from tp_drseg.model import TPDRSeg

Given = ParamSpec("Given")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Setting:
    """Where and how a measurement runs.

    Attributes:
        checkpoint: folder of the model.
        device: `cpu`, `cuda` or `mps`.
        dtype: what `TPDRSeg.from_pretrained` is given.
        threads: PyTorch's, 0 for its own choice.
        runs: timed runs of each way.
    """

    checkpoint: Path
    device: str
    dtype: str
    threads: int
    runs: int


def set_threads(threads: int) -> None:
    """Set PyTorch's number of threads; 0 leaves it."""
    if threads:
        torch.set_num_threads(threads)


def load_ours(setting: Setting) -> TPDRSeg:
    """Return the package's model."""
    set_threads(setting.threads)
    return TPDRSeg.from_pretrained(
        str(setting.checkpoint), device=setting.device, dtype=setting.dtype
    )


def timed(
    call: Callable[Given, Result], *given: Given.args, **options: Given.kwargs
) -> tuple[float, Result]:
    """Return the seconds of a call whose result is in main memory, and the result."""
    start = time.perf_counter()
    result = call(*given, **options)
    return time.perf_counter() - start, result


def dtype_name(dtype: torch.dtype) -> str:
    """Return the name of a type without its module: `bfloat16`."""
    return str(dtype).removeprefix("torch.")
