from __future__ import annotations

from itertools import pairwise

import torch

from tp_drseg.training.data.photometric import random_photometric


def test_what_changes_and_what_stays() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(3, 16, 16, generator=generator) * 0.9 + 0.05
    image[:, :4] = 0  # the surround
    results = [random_photometric(image, generator) for _ in range(40)]
    for found in results:
        assert found.shape == image.shape and found.dtype == torch.float32
        assert found.min() >= 0 and found.max() <= 1
        assert not found[:, :4].any()
    changes = [float((found - image).abs().mean()) for found in results]
    assert max(changes) < 0.4 and sum(change > 0.01 for change in changes) > 30
    assert all(not torch.equal(one, other) for one, other in pairwise(results))


def test_it_comes_from_the_generator_alone() -> None:
    image = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    before = torch.random.get_rng_state()
    again = [random_photometric(image, torch.Generator().manual_seed(5)) for _ in range(2)]
    assert torch.equal(*again)
    assert torch.equal(torch.random.get_rng_state(), before)
