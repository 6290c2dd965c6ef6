"""Measuring in a process of its own, so that nothing of another measurement is in it."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def in_fresh_process(function: Callable[..., Result], *arguments: object) -> Result:
    """What `function(*arguments)` returns in a new process; it must be picklable."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def peak_memory() -> float | None:
    """Most memory that this process has held so far, in MiB; None where nothing tells it.

    Not what `getrusage` says: on Linux a new process starts with its parent's peak there.
    """
    if not _STATUS.exists():
        return None
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def forget_peak() -> None:
    """Lets `peak_memory` count from now on; Linux only."""
    descriptor = os.open(_RESET, os.O_WRONLY)
    try:
        os.write(descriptor, b"5")
    finally:
        os.close(descriptor)
