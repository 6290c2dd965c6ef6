"""A second lesion and a click on an open photograph, beside the first lesion."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.setting import Setting, dtype_name, load_ours, timed
from tp_drseg import Prompt

FIRST, SECOND = "haemorrhage", "hard exudate"


def session_speed(setting: Setting, photographs: Sequence[Path]) -> dict[str, Any]:
    """Return the median seconds of each question to an open photograph; check the answers."""
    model = load_ours(setting)
    model.segment_many(photographs[0])
    seconds: dict[str, list[float]] = {
        name: [] for name in ("open", "first", "second", "click", "second_click")
    }
    difference = 0.0
    for path in photographs:
        whole = model.segment(path, SECOND)
        for _ in range(setting.runs):
            taken, session = timed(model.load_image, path)
            seconds["open"].append(taken)
            with session:
                taken, _ = timed(session.segment, FIRST)
                seconds["first"].append(taken)
                taken, second = timed(session.segment, SECOND)
                seconds["second"].append(taken)
                places = np.argsort(second.probability, axis=None)[[-1, -1000]]
                clicks: list[tuple[float, float]] = []
                for place, name in zip(places, ("click", "second_click"), strict=True):
                    y, x = np.unravel_index(place, second.probability.shape)
                    clicks.append((float(x), float(y)))
                    taken, _ = timed(
                        session.segment,
                        Prompt(SECOND, point_coords=clicks, point_labels=[1] * len(clicks)),
                    )
                    seconds[name].append(taken)
            found = float(np.abs(second.probability - whole.probability).max())
            difference = max(difference, found)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    before = medians["open"] + medians["first"]
    return {
        "photographs": [path.name for path in photographs],
        "dtype_chosen": dtype_name(model.dtype),
        "seconds": medians,
        "shares": {name: medians[name] / before for name in ("second", "click", "second_click")},
        "probability_difference": difference,
    }
