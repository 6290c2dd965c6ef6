"""One job at a time in a thread, while the caller goes on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Worker(Generic[Result]):
    """A thread that holds one job, or its result, and no more.

    Use it in a ``with`` block, whose end waits for the job, so that no thread outlives it. An error
    of a job is raised where its result would be taken.

    Args:
        name: The thread's name, for debuggers.
    """

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._job: Future[Result] | None = None

    def start(self, work: Callable[..., Result], *arguments: object) -> None:
        """Start a job, after waiting for the one before, whose result is dropped."""
        if self._job is not None:
            self.take()
        self._job = self._pool.submit(work, *arguments)

    def take(self) -> Result:
        """Wait for the job and return its result, which is not kept.

        Raises:
            RuntimeError: No job was started since the last one was taken.
        """
        if self._job is None:
            raise RuntimeError("There is no job to wait for.")
        result = self._job.result()
        self._job = None  # it would keep the result in memory
        return result

    def __enter__(self) -> Worker[Result]:
        return self

    def __exit__(self, *_: object) -> None:
        # Not the thread's own join alone: when Ctrl-C interrupts it, Python up to 3.12 takes the
        # running thread for one that has ended.
        while self._job is not None and not self._job.done():
            with suppress(KeyboardInterrupt):  # only an error leaves the block with a job running
                wait([self._job])
        self._pool.shutdown()
