"""Memory that is freed and soon taken again stays with the process."""

from __future__ import annotations

import ctypes
import logging
import sys

logger = logging.getLogger(__name__)

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # from glibc's malloc.h
_KEPT = 2**31 - 1  # the largest value that mallopt takes


def keep_freed_memory() -> bool:
    """Asks glibc to keep freed memory, up to 2 GB of it, for what the process allocates next.

    By default glibc takes every large block afresh from the system and gives it back at once. A
    network on a processor then spends much of its time on the kernel's clearing of pages. This
    changes the whole process, so the library never does it by itself: the commands do, and a
    program of your own may, before it loads a model.

    Returns:
        whether it was done; elsewhere than on Linux with glibc nothing is changed.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library, such as musl
        return False
    # without single mappings everything comes from the heap, whose end is trimmed late
    done = bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _KEPT))
    logger.debug("freed memory is %s", "kept" if done else "given back")
    return done
