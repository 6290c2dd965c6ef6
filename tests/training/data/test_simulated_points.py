from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tp_drseg.modules.points import BACKGROUND, BOTTOM_RIGHT, FOREGROUND, PADDING, TOP_LEFT
from tp_drseg.training.data.simulated_points import simulate_points

SCALE = 4
BOXES = {(2, 1, 5, 4), (8, 6, 12, 7)}  # left, top, right, bottom; ends exclusive


@pytest.fixture
def target() -> Tensor:
    """Two regions; a lesion that is absent; one that covers everything."""
    target = torch.zeros(3, 10, 14)
    for left, top, right, bottom in BOXES:
        target[0, top:bottom, left:right] = 1
    target[0, 3, 4] = 0.4  # too little to count; the region stays one
    target[2] = 1
    return target


def test_clicks_say_what_the_target_says(target: Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    counts = {"on": 0, "beside": 0, "box": 0}
    boxes = set()
    for _ in range(400):
        clicks = simulate_points(target, SCALE, generator)
        assert clicks.coords.shape == (3, 4, 2) and clicks.labels.shape == (3, 4)
        assert clicks.labels.dtype == torch.int64
        for lesion in range(3):
            on, beside, first, second = clicks.labels[lesion].tolist()
            assert on in (PADDING, FOREGROUND) and beside in (PADDING, BACKGROUND)
            assert (first, second) in ((PADDING, PADDING), (TOP_LEFT, BOTTOM_RIGHT))
            # the place of a click, from the corner of the first pixel of the target
            places = (clicks.coords[lesion] + 0.5) / SCALE
            for token, label, present in ((0, FOREGROUND, True), (1, BACKGROUND, False)):
                if clicks.labels[lesion, token] == label:
                    column, row = places[token].tolist()
                    assert column % 1 == row % 1 == 0.5
                    assert bool(target[lesion, int(row), int(column)] >= 0.5) is present
            if lesion == 0:
                assert (on == FOREGROUND) != (first == TOP_LEFT)
                counts["on"] += on == FOREGROUND
                counts["beside"] += beside == BACKGROUND
                counts["box"] += first == TOP_LEFT
                if first == TOP_LEFT:
                    boxes.add(tuple(places[2:].flatten().int().tolist()))
            if lesion == 1:
                assert on == first == PADDING
            if lesion == 2:
                assert beside == PADDING
                if first == TOP_LEFT:
                    assert places[2:].tolist() == [[0, 0], [14, 10]]
    assert all(count == pytest.approx(200, abs=45) for count in counts.values())
    assert boxes == BOXES


def test_the_generator_decides(target: Tensor) -> None:
    one, same, other = (
        simulate_points(target, SCALE, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(one.coords, same.coords) and torch.equal(one.labels, same.labels)
    assert not torch.equal(one.coords, other.coords)
