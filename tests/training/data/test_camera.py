from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tp_drseg.training.data import camera
from tp_drseg.training.data.camera import random_camera
from tp_drseg.training.data.photometric import random_photometric


@pytest.fixture
def image() -> Tensor:
    """A gradient with a dark spot, and a black border at the left."""
    y, x = torch.meshgrid(*[torch.linspace(0, 1, 48)] * 2, indexing="ij")
    image = torch.stack([0.4 + 0.3 * x, 0.3 + 0.2 * y, 0.2 + 0.0 * x])
    image[:, 20:24, 20:24] = 0.1
    image[:, :, :5] = 0
    return image


def test_no_strength_changes_nothing(image: Tensor) -> None:
    for change in camera._CHANGES:
        found = change(image, torch.Generator().manual_seed(1), 0.0)
        torch.testing.assert_close(found, image, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["_cast", "_haze", "_uneven", "_coarse", "_noise"])
def test_each_change_grows_with_its_strength(image: Tensor, name: str) -> None:
    change = getattr(camera, name)
    for seed in range(8):
        mild, strong = (
            float((change(image, torch.Generator().manual_seed(seed), s) - image).abs().mean())
            for s in (0.3, 1.5)
        )
        assert mild <= strong + 1e-4
    assert strong > 0.002


def test_haze_takes_contrast(image: Tensor) -> None:
    found = camera._haze(image, torch.Generator().manual_seed(3), 1.0)
    assert found.std() < image.std()


def test_a_coarse_image_is_smooth(image: Tensor) -> None:
    noisy = torch.rand(image.shape, generator=torch.Generator().manual_seed(0))
    found = camera._coarse(noisy, torch.Generator().manual_seed(0), 2.0)
    assert (found[:, :, 1:] - found[:, :, :-1]).abs().mean() < 0.8 * (
        noisy[:, :, 1:] - noisy[:, :, :-1]
    ).abs().mean()


def test_some_changes_at_a_time_from_the_generator_alone(image: Tensor) -> None:
    before = torch.random.get_rng_state()
    one, again = (random_camera(image, torch.Generator().manual_seed(5), 1.0) for _ in range(2))
    assert torch.equal(one, again) and torch.equal(torch.random.get_rng_state(), before)
    generator = torch.Generator().manual_seed(0)
    found = [random_camera(image, generator, 1.0) for _ in range(60)]
    assert all(x.min() >= 0 and x.max() <= 1 for x in found)
    unchanged = sum(torch.equal(x, image) for x in found)
    assert 1 <= unchanged <= 20  # 0.65 to the fifth power of 60 is 7
    assert all(float((x - image).abs().mean()) < 0.35 for x in found)


def test_the_surround_stays_black(image: Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        assert not random_photometric(image, generator, camera=1.5)[:, :, :5].any()
    plain, none = (
        random_photometric(image, torch.Generator().manual_seed(2), **more)
        for more in ({}, {"camera": 0.0})
    )
    assert torch.equal(plain, none)
