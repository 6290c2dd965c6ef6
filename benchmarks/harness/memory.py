"""The most memory that a process holds, watched from a thread; the same on every system."""

from __future__ import annotations

import os
import threading

import psutil

PAUSE = 0.005
"""Seconds between two looks: short beside any layer of a model at working size."""


class PeakMemory:
    """Watches the resident memory of a process while it is open.

    Not what `getrusage` says: on Linux a new process starts with its parent's peak there.

    Args:
        process: its number, this process by itself.
    """

    def __init__(self, process: int | None = None) -> None:
        self._process = psutil.Process(os.getpid() if process is None else process)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._lock = threading.Lock()
        self._most = 0

    @property
    def mebibytes(self) -> float:
        """The peak so far, in MiB; 0 when the process was over before it was looked at."""
        self._look()
        return self._most / 2**20

    def forget(self) -> None:
        """Count from now on."""
        with self._lock:
            self._most = 0
        self._look()

    def __enter__(self) -> PeakMemory:
        """Begin to watch."""
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching."""
        self._stopped.set()
        self._thread.join()

    def _look(self) -> None:
        try:
            held = self._process.memory_info().rss
        except psutil.Error:  # it has just ended, or is not yet waited for
            return
        with self._lock:
            self._most = max(self._most, held)

    def _watch(self) -> None:
        while not self._stopped.wait(PAUSE):
            self._look()
