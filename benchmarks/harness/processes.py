"""Measuring in a process of its own, so that nothing of another measurement is in it."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def in_fresh_process(function: Callable[..., Result], *arguments: object) -> Result:
    """Return what `function(*arguments)` returns in a new process; all must be picklable."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


class Worker:
    """A process that holds one way of answering, so that no other one's settings touch it.

    Args:
        load: makes, in that process, what answers questions.
        arguments: of `load`.
    """

    def __init__(self, load: Callable[..., Callable[..., object]], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, context, _hold, (load, arguments))

    def seconds(self, *question: object) -> float:
        """Return how long the answer to a question takes; the answer itself stays there."""
        return self._pool.submit(_answer, *question).result()

    def __enter__(self) -> Worker:
        """Return the worker itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._pool.shutdown()


_held: list[Callable[..., object]] = []


def _hold(load: Callable[..., Callable[..., object]], arguments: tuple[object, ...]) -> None:
    _held.append(load(*arguments))


def _answer(*question: object) -> float:
    start = time.perf_counter()
    _held[0](*question)
    return time.perf_counter() - start
