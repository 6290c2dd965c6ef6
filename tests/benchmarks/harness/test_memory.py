from __future__ import annotations

import mmap
import time

from benchmarks.harness.memory import PAUSE, PeakMemory

SIZE = 128  # MiB


def test_the_peak_is_that_of_the_time_since_it_was_forgotten() -> None:
    with PeakMemory() as peak:
        before = peak.mebibytes
        # straight from the system: what the process has freed before may still be its own
        with mmap.mmap(-1, SIZE * 2**20) as block:
            for page in range(0, len(block), mmap.PAGESIZE):
                block[page] = 1
            time.sleep(20 * PAUSE)
        during = peak.mebibytes
        peak.forget()
        after = peak.mebibytes
    assert during - before > 0.8 * SIZE
    assert during - after > 0.8 * SIZE


def test_a_process_that_is_over_holds_nothing_more() -> None:
    watch = PeakMemory()
    with watch as peak:
        seen = peak.mebibytes
    assert 0 < seen <= watch.mebibytes
