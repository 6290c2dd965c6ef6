from __future__ import annotations

from itertools import pairwise

import pytest

from tp_drseg.training.engine.schedule import warm_constant, warm_cosine


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
