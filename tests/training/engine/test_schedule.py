from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from tp_drseg.training.config import Schedule, TrainingConfig
from tp_drseg.training.engine.schedule import rate_of, scheduler_at, warm_constant, warm_cosine


def test_warm_cosine() -> None:
    factors = [warm_cosine(step, 200) for step in range(201)]
    assert factors[0] == 1 / 50 and factors[49] == factors[50] == 1
    assert factors[125] == pytest.approx(0.02 + 0.98 / 2)
    assert factors[200] == pytest.approx(0.02)
    assert all(a <= b for a, b in pairwise(factors[:51]))
    assert all(a >= b for a, b in pairwise(factors[50:]))
    assert warm_cosine(500, 200) == pytest.approx(0.02)
    assert warm_cosine(3, 10) == 4 / 50  # a run shorter than the warm-up
    assert warm_cosine(0, 10, warmup=0) == 1


def test_warm_constant() -> None:
    assert [warm_constant(step, 4) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert warm_constant(0, 0) == 1


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_rates_of_two_groups_from_any_step_on(schedule: Schedule) -> None:
    """Each group's highest rate times the factor of the step, to the bit, resumed or not."""
    rate = rate_of(TrainingConfig(steps=12, warmup=4, schedule=schedule), 12)
    for first in (0, 3, 11):
        groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.5, 0.125)]
        optimizer = torch.optim.AdamW(groups)
        scheduler = scheduler_at(optimizer, rate, first)
        for step in range(first, 12):
            found = [group["lr"] for group in optimizer.param_groups]
            assert found == [0.5 * rate(step), 0.125 * rate(step)]
            optimizer.step()
            scheduler.step()
