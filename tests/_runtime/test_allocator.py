from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from tp_drseg._runtime import allocator
from tp_drseg._runtime.allocator import freed_memory_kept

GLIBC = pytest.mark.skipif(allocator._glibc() is None, reason="needs Linux with glibc")

PAGES = """
import resource
from contextlib import nullcontext
from tp_drseg._runtime.allocator import freed_memory_kept

def faults(within):
    "Of ten blocks of 100 MB, once that much has been freed before."
    counts = []
    with within:
        for _ in range(11):
            bytearray(100_000_000)
            counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
    return counts[-1] - counts[0]

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

before = resident()
print(faults(freed_memory_kept()), faults(nullcontext()), faults(freed_memory_kept()))
print(resident() - before)
"""


@GLIBC
def test_freed_pages_are_used_again_and_given_back_in_the_end() -> None:
    kept, given_back, kept_again, grown = map(
        int, subprocess.check_output([sys.executable, "-c", PAGES]).split()
    )
    assert kept < 100 and kept_again < 100
    assert given_back > 1000
    assert grown < 50_000_000


HEAP = """
import re, sys, threading
from pathlib import Path
from tp_drseg._runtime.allocator import one_heap

def heap():
    "KiB of the main heap that are in memory."
    found = re.search(r"\\[heap\\]\\n(?:.*\\n)*?Rss: +(\\d+)", Path("/proc/self/smaps").read_text())
    return int(found[1])

if sys.argv[1] == "one":
    one_heap()
before, kept = heap(), []
thread = threading.Thread(target=lambda: kept.extend(bytes([n]) * 100_000 for n in range(200)))
thread.start()
thread.join()
print(heap() - before)
"""


@GLIBC
def test_threads_may_share_one_heap() -> None:
    """A thread takes 20 MB in small blocks."""
    one, several = (
        int(subprocess.check_output([sys.executable, "-c", HEAP, mode]))
        for mode in ("one", "several")
    )
    assert one > 15_000 > 5_000 > several


def test_the_last_of_several_blocks_gives_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks within blocks, and beside each other in threads."""
    seen: list[str] = []

    def record(values: dict[int, int]) -> bool:
        seen.append("keep" if values is allocator._KEEP else "give back")
        return False

    monkeypatch.setattr(allocator, "_set", record)
    entered, leave = threading.Event(), threading.Event()

    def beside() -> None:
        with freed_memory_kept():
            entered.set()
            leave.wait()

    thread = threading.Thread(target=beside)
    with freed_memory_kept():
        with pytest.raises(RuntimeError), freed_memory_kept():
            raise RuntimeError
        thread.start()
        entered.wait()
    assert seen == ["keep"]
    leave.set()
    thread.join()
    assert seen == ["keep", "give back"]


@pytest.mark.parametrize(
    ("variables", "mmap_max"),
    [
        ({}, 65536),
        ({"MALLOC_MMAP_MAX_": "12"}, 12),
        ({"GLIBC_TUNABLES": "glibc.malloc.arena_max=1:glibc.malloc.mmap_max=0x10"}, 16),
        ({"MALLOC_MMAP_MAX_": "odd"}, 65536),
    ],
)
def test_what_was_asked_of_the_process_is_put_back(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], mmap_max: int
) -> None:
    seen: list[dict[int, int]] = []
    monkeypatch.setattr(allocator, "_set", lambda values: seen.append(values))
    for name in ("MALLOC_MMAP_MAX_", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with freed_memory_kept():
        pass
    assert [values[allocator._MMAP_MAX] for values in seen] == [0, mmap_max]


def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    allocator._glibc.cache_clear()
    with freed_memory_kept():
        assert not allocator._set(allocator._KEEP)
    allocator._glibc.cache_clear()
