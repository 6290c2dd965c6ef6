"""Measuring in a process of its own, so that nothing of another measurement is in it."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

_PROCESSES = Path("/proc")


def in_fresh_process(function: Callable[..., Result], *arguments: object) -> Result:
    """What `function(*arguments)` returns in a new process; it must be picklable."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


class Worker:
    """A process that holds one way of answering, so that no other one's settings touch it."""

    def __init__(self, load: Callable[..., Callable[..., object]], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, context, _hold, (load, *arguments))

    def seconds(self, *question: object) -> float:
        """How long the answer to a question takes; the answer itself stays there."""
        return self._pool.submit(_answer, *question).result()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()


_held: list[Callable[..., object]] = []


def _hold(load: Callable[..., Callable[..., object]], *arguments: object) -> None:
    _held.append(load(*arguments))


def _answer(*question: object) -> float:
    start = time.perf_counter()
    _held[0](*question)
    return time.perf_counter() - start


def peak_memory(process: int | str = "self") -> float | None:
    """Most memory that a process has held so far, in MiB; None where nothing tells it.

    Not what `getrusage` says: on Linux a new process starts with its parent's peak there.
    """
    try:
        lines = (_PROCESSES / str(process) / "status").read_text().splitlines()
    except OSError:  # another system, or the process has just ended
        return None
    # that of one that has ended, but is not yet waited for, says no peak
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)


def forget_peak(process: int | str = "self") -> None:
    """Lets `peak_memory` count from now on; Linux only."""
    with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
        descriptor = os.open(_PROCESSES / str(process) / "clear_refs", os.O_WRONLY)
        try:
            os.write(descriptor, b"5")
        finally:
            os.close(descriptor)
