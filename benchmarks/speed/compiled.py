"""`torch.compile`: the first photograph, and each one after it."""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.memory import PeakMemory
from benchmarks.harness.processes import in_fresh_process
from benchmarks.harness.setting import Setting, dtype_name, load_ours, timed


def compile_speed(setting: Setting, photograph: Path) -> dict[str, Any]:
    """Return the seconds of one photograph without, and cold and warm with compiled code."""
    with tempfile.TemporaryDirectory() as cache:
        cold = in_fresh_process(_run, setting, photograph, cache)
        again = in_fresh_process(_run, setting, photograph, cache)
    return {**cold, "cached": again["cold"]}


def _run(setting: Setting, photograph: Path, cache: str) -> dict[str, Any]:
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache  # empty: else a former run's code would be found
    with PeakMemory() as peak:
        model: Any = load_ours(setting)
        before = model.segment_many(photograph)
        eager = [timed(model.segment_many, photograph)[0] for _ in range(setting.runs)]
        model.compile()
        cold, after = timed(model.segment_many, photograph)
        warm = [timed(model.segment_many, photograph)[0] for _ in range(setting.runs)]
    return {
        "photographs": [photograph.name],
        "dtype_chosen": dtype_name(model.dtype),
        "eager": statistics.median(eager),
        "cold": cold,
        "warm": statistics.median(warm),
        "memory": peak.mebibytes,
        "probability_difference": max(
            float(np.abs(after[name].probability - before[name].probability).max())
            for name in before
        ),
    }
