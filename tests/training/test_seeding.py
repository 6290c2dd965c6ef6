from __future__ import annotations

import torch

from tp_drseg.training.seeding import seeded


def test_the_caller_s_generator_stays() -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    with seeded(7):
        one = torch.rand(4)
    with seeded(7):
        same = torch.rand(4)
    with seeded(8):
        other = torch.rand(4)
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_it_makes_tensors_on_the_processor_whatever_the_default_is() -> None:
    with seeded(7):
        expected = torch.rand(2)
    with torch.device("meta"), seeded(7):
        found = torch.rand(2)
    assert torch.equal(found, expected)
