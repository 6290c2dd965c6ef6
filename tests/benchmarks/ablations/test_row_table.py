from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from benchmarks.ablations.row_table import summary
from tp_drseg.evaluation.bootstrap import percentile_interval


def result(row: str, area: float, draws: Sequence[float | None]) -> dict[str, Any]:
    return {
        "row": row,
        "fields": {},
        "learned_parameters": 1_234_567,
        "training_seconds": 3.0,
        "scores": {
            "mean": {"average_precision": area, "dice_per_image": None},
            "lesions": [{"lesion": "haemorrhage", "average_precision": area}],
        },
        "draws": {"average_precision": draws, "dice_per_image": [None] * len(draws)},
    }


def test_differences_are_paired() -> None:
    full = [0.2, 0.5, 0.8, None]
    lower = [0.1, 0.41, 0.72, 0.3]
    rows = {r["row"]: r for r in summary([result("lora", 0.4, lower), result("full", 0.5, full)])}
    low, high = percentile_interval(np.array([-0.1, -0.09, -0.08]))
    found = rows["lora"]
    assert found["average_precision_difference"] == pytest.approx(-0.1)
    assert found["average_precision_difference_interval"] == pytest.approx([low, high])
    assert found["dice_per_image_difference"] is None
    assert "average_precision_difference" not in rows["full"]
    assert found["paper_dice"] == 44.22 and rows["full"]["paper_average_precision"] == 50.55
    alone = summary([result("lora", 0.4, lower)])[0]
    assert "average_precision_difference" not in alone
