from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tp_drseg.training.engine.average import EMA


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.999])
def test_an_average_against_its_formula(decay: float) -> None:
    generator = torch.Generator().manual_seed(0)
    parameters = [nn.Parameter(torch.randn(n, generator=generator)) for n in (3, 2)]
    expected = [p.detach().clone() for p in parameters]
    average = EMA(parameters, decay)
    assert all(map(torch.equal, average.values, expected))
    for step in range(1, 15):
        with torch.no_grad():
            for parameter in parameters:
                parameter.add_(torch.randn(parameter.shape, generator=generator))
        average.update()
        kept = min(decay, (1 + step) / (10 + step))
        expected = [
            kept * mean + (1 - kept) * p.detach()
            for mean, p in zip(expected, parameters, strict=True)
        ]
        torch.testing.assert_close(average.values, expected)
    if decay == 0:
        assert all(map(torch.equal, average.values, parameters))


def test_a_decay_that_rises() -> None:
    parameter = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    average = EMA([parameter], 0.5, steps=40)
    expected = 0.0
    for step in range(1, 41):
        with torch.no_grad():
            parameter.fill_(step)
        average.update()
        decay = 1 - 0.5 * (1 + math.cos(math.pi * step / 40)) / 2
        kept = min(decay, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * step
        assert float(average.values[0]) == pytest.approx(expected)
    assert kept == pytest.approx(41 / 50)


def test_swapped_twice_nothing_has_changed() -> None:
    parameter = nn.Parameter(torch.tensor([1.0, 2.0]))
    average = EMA([parameter], 0.9)
    with torch.no_grad():
        parameter.fill_(5)
    average.swap()
    assert parameter.tolist() == [1, 2] and average.values[0].tolist() == [5, 5]
    average.swap()
    assert parameter.tolist() == [5, 5] and average.values[0].tolist() == [1, 2]


def test_going_on() -> None:
    """An average that is put back goes on with the decay of its age."""
    one, other = (nn.Parameter(torch.tensor([1.0])) for _ in range(2))
    straight = EMA([one], 0.9)
    for value in (2.0, 3.0, 4.0):
        with torch.no_grad():
            one.fill_(value)
        straight.update()
    again = EMA([other], 0.9)
    with torch.no_grad():
        other.copy_(one)
    again.restore(straight.values, 3)
    for average, parameter in ((straight, one), (again, other)):
        with torch.no_grad():
            parameter.fill_(9)
        average.update()
    assert torch.equal(straight.values[0], again.values[0])
