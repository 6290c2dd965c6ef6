"""`torch.compile`: the first photograph, and each one after it; to be run in a fresh process."""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.processes import in_fresh_process, peak_memory
from benchmarks.harness.ways import Setting, load_ours, timed


def compile_speed(setting: Setting, photograph: Path) -> dict[str, Any]:
    """Seconds of one photograph without, and cold and warm with compiled code."""
    with tempfile.TemporaryDirectory() as cache:
        cold = in_fresh_process(_run, setting, photograph, cache)
        again = in_fresh_process(_run, setting, photograph, cache)
    return {**cold, "cached": again["cold"]}


def _run(setting: Setting, photograph: Path, cache: str) -> dict[str, Any]:
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache  # empty: else a former run's code would be found
    model: Any = load_ours(setting)
    before = model.segment(photograph)
    eager = [timed(model.segment, photograph)[0] for _ in range(setting.runs)]
    model.compile()
    cold, after = timed(model.segment, photograph)
    warm = [timed(model.segment, photograph)[0] for _ in range(setting.runs)]
    return {
        "photographs": [photograph.name],
        "dtype_chosen": str(model.dtype).removeprefix("torch."),
        "eager": statistics.median(eager),
        "cold": cold,
        "warm": statistics.median(warm),
        "memory": peak_memory(),
        "probability_difference": max(
            float(np.abs(after[name].probability - before[name].probability).max())
            for name in before
        ),
    }
