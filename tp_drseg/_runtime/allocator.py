"""Memory that is freed and soon taken again stays with the process."""

from __future__ import annotations

import ctypes
import functools
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

logger = logging.getLogger(__name__)

# from glibc's malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -3, -4, -8
_KEEP = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1}
# where glibc's own adaptation ends up in a process that frees large blocks
_DEFAULTS = {_MMAP_MAX: 65536, _MMAP_THRESHOLD: 32 << 20, _TRIM_THRESHOLD: 64 << 20}
_NAMES = {
    _MMAP_MAX: "mmap_max",
    _MMAP_THRESHOLD: "mmap_threshold",
    _TRIM_THRESHOLD: "trim_threshold",
}


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """While the block runs, glibc keeps freed memory for what the process allocates next.

    By default it takes every large block afresh from the system and gives it back at once. A
    network on a processor then spends much of its time on the kernel's clearing of pages. When the
    last of such blocks ends, in whichever thread, all that is free goes back to the system, and the
    settings are what they were: those of the environment, or glibc's own.

    The setting is one of the whole process, so nothing in this library makes it unasked; the
    commands do. Elsewhere than on Linux with glibc, nothing changes.

    Example:
        >>> from tp_drseg import TPDRSeg, freed_memory_kept
        >>> model = TPDRSeg.from_pretrained()
        >>> with freed_memory_kept():
        ...     result = model.segment("examples/retina_with_lesions.jpg", "EX")
    """
    _blocks.enter()
    try:
        yield
    finally:
        _blocks.leave()


def one_heap() -> None:
    """Let all threads that start from now on take memory from one heap.

    Of a thread's own heap glibc gives less back, and a long run grows. It is for the whole process
    and for good, so only a process that is ours does it: that of the command.
    """
    _set({_ARENA_MAX: 1})


class _Blocks:
    """Those that are running: the process has one setting for all of its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0

    def enter(self) -> None:
        with self._lock:
            self._running += 1
            if self._running == 1:
                _set(_KEEP)

    def leave(self) -> None:
        with self._lock:
            self._running -= 1
            if self._running == 0 and _set(_settings_before()) and (library := _glibc()):
                library.malloc_trim(0)


_blocks = _Blocks()


def _settings_before() -> dict[int, int]:
    """Return what the environment asks of glibc, and its own values for the rest."""
    tunables = os.environ.get("GLIBC_TUNABLES", "").split(":")
    asked = {name: value for name, _, value in (item.partition("=") for item in tunables)}
    settings = dict(_DEFAULTS)
    for option, name in _NAMES.items():
        older = os.environ.get(f"MALLOC_{name.upper()}_", "")
        with suppress(ValueError):
            settings[option] = int(asked.get(f"glibc.malloc.{name}", older), 0)
    return settings


def _set(values: dict[int, int]) -> bool:
    library = _glibc()
    return library is not None and all([library.mallopt(*item) for item in values.items()])


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    """Return the C library, if it is the one that has these options."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL(None)
        _ = library.mallopt, library.malloc_trim
    except (OSError, AttributeError):  # another C library, such as musl
        logger.debug("freed memory goes back to the system: this is not glibc")
        return None
    return library
