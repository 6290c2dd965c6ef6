from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.reference.network import PlainTPDRSeg
from benchmarks.reference.photograph import segment_plain
from benchmarks.speed.agreement import Agreement
from tp_drseg.model import TPDRSeg


def test_agreement_sees_what_differs(
    tmp_path: Path, checkpoint: Callable[..., TPDRSeg], example: Path
) -> None:
    model = checkpoint(tmp_path, "vit")
    name = model.catalog.names[0]
    answer = segment_plain(PlainTPDRSeg.from_folder(tmp_path), example, [name], keep=True)
    results = model.segment_many(example, [name])
    same = Agreement()
    same.add_logits(model, answer)
    same.add_masks("a.jpg", answer, results, {})
    found = same.values()
    assert found["logit_difference"] < 1e-4 < 0.1 < found["logit_spread"]
    assert found["dice"] > 0.999

    with torch.inference_mode():
        answer.tiles[name][0].logits[..., 3, 4] += 0.5
    half = np.median(answer.probability[name][answer.inside])
    answer.probability[name] = np.where(answer.probability[name] > half, 1.0, 0.0).astype("f4")
    other = Agreement()
    other.add_logits(model, answer)
    other.add_masks("a.jpg", answer, results, {name: 0.0})
    found = other.values()
    assert found["logit_difference"] == pytest.approx(0.5, abs=1e-3)
    assert found["probability_difference"] > 0.4
    assert found["dice"] == 1.0  # a threshold of 0 marks all
    assert found["dice_least_of"] == ""
