"""Which operations the time of one photograph goes to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.harness.setting import Setting, dtype_name, load_ours

MOST = 10
"""How many operations are named."""


def profile_speed(setting: Setting, photograph: Path) -> dict[str, Any]:
    """Return the share of each of PyTorch's operations in the time of all of them."""
    model = load_ours(setting)
    model.segment_many(photograph)
    activities = [ProfilerActivity.CPU]
    on_card = model.device.type == "cuda"
    if on_card:
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as found:
        model.segment_many(photograph)
        if on_card:
            torch.cuda.synchronize()
    events = found.key_averages()
    key = "self_device_time_total" if on_card else "self_cpu_time_total"
    total = sum(getattr(event, key) for event in events)
    most = sorted(events, key=lambda event: getattr(event, key), reverse=True)[:MOST]
    return {
        "photographs": [photograph.name],
        "dtype_chosen": dtype_name(model.dtype),
        "milliseconds": total / 1000,
        "operations": [
            {"name": event.key, "calls": event.count, "share": getattr(event, key) / total}
            for event in most
        ],
    }
