"""Loading the two ways that are compared, and timing a call."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from benchmarks.reference.network import PlainTPDRSeg
    from tp_drseg.model import TPDRSeg

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
    """Sets PyTorch's number of threads; 0 leaves it."""
    import torch

    if threads:
        torch.set_num_threads(threads)


def load_ours(setting: Setting) -> TPDRSeg:
    """The package's model."""
    from tp_drseg.model import TPDRSeg

    set_threads(setting.threads)
    return TPDRSeg.from_pretrained(
        str(setting.checkpoint), device=setting.device, dtype=setting.dtype
    )


def load_plain(setting: Setting) -> PlainTPDRSeg:
    """The plain reference, in float32 whatever the setting's dtype."""
    from benchmarks.reference.network import PlainTPDRSeg

    set_threads(setting.threads)
    return PlainTPDRSeg.from_folder(setting.checkpoint, setting.device)


def timed(call: Callable[..., Result], *given: Any, **options: Any) -> tuple[float, Result]:
    """Seconds of a call whose result is in main memory, and the result."""
    start = time.perf_counter()
    result = call(*given, **options)
    return time.perf_counter() - start, result
