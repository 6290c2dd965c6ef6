"""Few file handles, and many photographs."""

from __future__ import annotations

import resource
from functools import partial

import numpy as np
import psutil

from benchmarks.reliability.child import in_child
from benchmarks.reliability.drawn import write_photographs
from benchmarks.reliability.faults.ground import Ground, check_whole, counts
from benchmarks.reliability.findings import Findings
from benchmarks.reliability.stand_in import StandIn

_MANY = 300
_SETTLED = 100
_GROWTH_KB = 100.0
"""A photograph; what is kept of each is a record of some kilobytes."""


def measure(ground: Ground, found: Findings) -> None:
    """Run with few handles; run over many photographs."""
    for handles in (9, 16, 64):

        def limit(handles: int = handles) -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (handles, handles))

        out = ground.fresh("handles-out")
        ended = in_child(partial(counts, ground.source, out), before=limit)
        found.check(ended.is_orderly, f"{handles} file handles: {ended.verdict}")
        check_whole(out, f"{handles} file handles", found)
        ground.check_mended(out, f"{handles} file handles", found)
    many, held = write_photographs(ground.fresh("many"), _MANY, width=400, height=300), []

    def work() -> list[tuple[float, int]]:
        process = psutil.Process()
        watch = StandIn(
            asked=lambda: held.append((process.memory_info().rss / 1024, process.num_fds()))
        )
        counts(many, ground.fresh("many-out"), watch)
        return held

    ended_many = in_child(work, timeout=600)
    samples = ended_many.value or []
    found.check(len(samples) == _MANY, f"{len(samples)} of {_MANY}: {ended_many.verdict}")
    if len(samples) > _SETTLED + 2:
        later = [kilobytes for kilobytes, _ in samples[_SETTLED:]]
        slope = float(np.polyfit(range(len(later)), later, 1)[0])
        found.figures["growth_kb_a_photograph"] = round(slope, 1)
        found.check(slope < _GROWTH_KB, f"memory grows by {slope:.0f} kB a photograph")
        open_files = [number for _, number in samples]
        least, most = min(open_files), max(open_files)
        found.check(most - least <= 6, f"from {least} to {most} files are open")
