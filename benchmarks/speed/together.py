"""All lesions of a photograph in one call beside one call for each lesion: time and memory."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.harness.processes import Worker, in_fresh_process
from benchmarks.harness.setting import Setting
from benchmarks.harness.turns import take_turns, with_range
from benchmarks.speed.ways import one_by_one, ours, peak_memory
from tp_drseg.checkpoints.store import read_config

WAYS = {"together": ours, "one_by_one": one_by_one}


def together_speed(setting: Setting, photographs: Sequence[Path]) -> dict[str, Any]:
    """Return the seconds and peaks of memory of both ways, each in processes of its own."""
    names = read_config(setting.checkpoint / "config.json").lesions.names
    memory = {
        name: in_fresh_process(peak_memory, load, setting, photographs[0], names)
        for name, load in WAYS.items()
    }
    with ExitStack() as stack:
        ways = {name: stack.enter_context(Worker(load, setting)) for name, load in WAYS.items()}
        (seconds,) = take_turns(ways, photographs, [names], setting.runs)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    return {
        "photographs": [path.name for path in photographs],
        "lesions": len(names),
        "seconds": with_range(seconds),
        "ratio": medians["one_by_one"] / medians["together"],
        "memory": memory,
    }
