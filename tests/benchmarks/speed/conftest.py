"""Records as a measurement makes them, with round figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

RECORDS: dict[str, dict[str, Any]] = {
    "whole": {
        "photographs": ["a.jpg", "b.jpg"],
        "dtype_chosen": "bfloat16",
        "tiles": 1,
        "times": {
            count: {
                "plain": 30.0, "ours": ours, "ratio": 30.0 / ours,
                "plain_range": [29.0, 31.0], "ours_range": [ours, ours],
            }
            for count, ours in (("1", 5.0), ("4", 4.0))
        },
        "memory": {
            "plain": {"process": 2000.0, "card": None}, "ours": {"process": 1000.0, "card": None},
        },
        "logit_difference": 0.05, "logit_spread": 2.5, "probability_difference": 0.01,
        "dice": 0.985, "dice_least": 0.9, "dice_least_of": "hard exudate, 12 pixels in b.jpg",
    },
    "together": {
        "photographs": ["a.jpg"], "dtype_chosen": "bfloat16", "lesions": 4, "ratio": 2.0,
        "seconds": {
            "together": 4.0, "together_range": [3.5, 4.5],
            "one_by_one": 8.0, "one_by_one_range": [7.0, 9.0],
        },
        "memory": {
            "together": {"process": 1100.0, "card": None},
            "one_by_one": {"process": 1000.0, "card": None},
        },
    },
    "session": {
        "photographs": ["a.jpg"],
        "dtype_chosen": "bfloat16",
        "seconds": {"open": 1.0, "first": 4.0, "second": 2.5, "click": 0.4, "second_click": 0.4},
        "shares": {"second": 0.5, "click": 0.08, "second_click": 0.08},
        "probability_difference": 0.0,
    },
    "folder": {
        "photographs": ["a.jpg"], "dtype_chosen": "bfloat16", "count": 7, "done": 7,
        "seconds": 42.0, "model_in_run": 40.0, "model_alone": 35.0, "ratio": 1.05,
        "ratio_alone": 1.2, "peaks": [900.0] * 20 + [1200.0] * 5,
    },
    "startup": {
        "runs": 5,
        "seconds": {"help": 0.3, "typer": 0.1, "package": 0.1, "load": 3.0, "libraries": 2.0},
        "help_over_typer": 3.0, "load_over_libraries": 1.5,
    },
    "training": {
        "photographs": ["a"], "steps": 4, "prepared": 3.0, "ratio": 4.0,
        "ours": {"seconds": 2.0, "losses": [1.0]}, "plain": {"seconds": 8.0, "losses": [1.0]},
        "first_loss_difference": 1e-5, "loss_difference": 1e-4,
    },
    "compile": {
        "photographs": ["a.jpg"], "dtype_chosen": "bfloat16", "eager": 4.0, "cold": 90.0,
        "cached": 20.0, "warm": 2.0, "memory": 1500.0, "probability_difference": 0.001,
    },
    "card": {
        "dtype_chosen": "bfloat16", "compiled": False, "lesions": 4, "gflops": 4000.0,
        "peak_tflops": 1000.0, "floor_milliseconds": 4.0,
        "batches": {
            "1": {"milliseconds": 20.0, "memory": 2048.0, "share_of_floor": 0.2},
            "8": {"milliseconds": 10.0, "memory": 4096.0, "share_of_floor": 0.4},
        },
    },
    "profile": {
        "photographs": ["a.jpg"], "dtype_chosen": "bfloat16", "milliseconds": 4000.0,
        "operations": [{"name": "mkldnn::_linear_pointwise", "calls": 100, "share": 0.4}],
    },
}  # fmt: skip


RECORDS["kept"] = RECORDS["whole"]
RECORDS["tiled"] = {**RECORDS["whole"], "tiles": 4}


def _record(section: str, **changes: Any) -> dict[str, Any]:
    return {
        "section": section, "size": "tiny", "frame": "whole", "dtype": "auto", "device": "cpu",
        "threads": 2, "date": "2024-01-02",
        "command": f"python -m benchmarks.speed --only {section}",
        "machine": {"Processor": "A chip, 2 cores"}, "values": RECORDS[section], **changes,
    }  # fmt: skip


@pytest.fixture
def record() -> Callable[..., dict[str, Any]]:
    """`record(section, **changes)`: what was measured of a section."""
    return _record


@pytest.fixture
def values() -> Mapping[str, Mapping[str, Any]]:
    """The values of each section."""
    return RECORDS
