from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from tp_drseg.training.data.geometric import Crop, random_crop


def crop(
    centre: tuple[float, float] = (0.5, 0.5),
    extent: float = 1.0,
    angle: float = 0.0,
    mirrored: bool = False,
) -> Crop:
    return Crop(centre, extent, angle, mirrored)


@pytest.fixture
def image() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8, generator=generator)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected.float(), rtol=0, atol=1e-2)


def test_the_whole_is_the_photograph(image: Tensor) -> None:
    found = crop().apply(image, 32)
    assert found.dtype == torch.float32
    close(found, image)


def test_turned_and_mirrored(image: Tensor) -> None:
    turned = crop(angle=math.pi / 2).apply(image, 32)
    close(turned, torch.rot90(image, 1, (1, 2)))
    close(crop(angle=math.pi).apply(image, 32), torch.rot90(image, 2, (1, 2)))
    close(crop(mirrored=True).apply(image, 32), image.flip(2))
    both = crop(angle=math.pi / 2, mirrored=True).apply(image, 32)
    close(both, turned.flip(2))


def test_windows(image: Tensor) -> None:
    close(crop((0.75, 0.25), 0.5).apply(image, 16), image[:, :16, 16:])
    wide = crop((0.5, 0.5), 2.0).apply(image, 64)
    close(wide[:, 16:48, 16:48], image)
    wide[:, 16:48, 16:48] = 0
    close(wide, torch.zeros(3, 64, 64))


def test_an_image_stays_as_sharp_as_it_is(image: Tensor) -> None:
    """Bicubic gives the pixels themselves where the window's pixels lie on theirs."""
    found = crop((0.5, 0.25), 0.5).apply(image, 16, "bicubic")
    close(found, image[:, :16, 8:24])
    turned = crop((0.5, 0.5), 0.5, angle=math.pi / 2).apply(image, 16, "bicubic")
    close(turned, torch.rot90(image[:, 8:24, 8:24], 1, (1, 2)))
    # a shift by half a pixel blurs less than the mean of two would
    wave = (torch.arange(32) % 4 < 2).float().expand(1, 32, 32) * 255
    shifted = crop((0.5 + 0.5 / 32, 0.5), 0.5)
    sharp, soft = (shifted.apply(wave, 16, mode) for mode in ("bicubic", "bilinear"))
    assert sharp.std() > 1.05 * soft.std()


def test_a_window_beside_the_photograph_is_black(image: Tensor) -> None:
    for centre in ((3.0, 0.5), (-2.0, 0.5), (0.5, 4.0), (-5.0, -5.0)):
        found = crop(centre, 0.5, angle=0.3).apply(image, 8)
        assert found.shape == (3, 8, 8) and not found.any()


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(
    ("centre", "extent", "angle"),
    [((0.5, 0.5), 0.7, 0.4), ((0.1, 0.9), 0.5, -2.0), ((0.6, 0.3), 1.3, 3.0), ((0, 1), 0.2, 1.0)],
)
def test_against_interpolation_at_computed_places(
    image: Tensor, centre: tuple[float, float], extent: float, angle: float, mirrored: bool
) -> None:
    size = 24
    found = crop(centre, extent, angle, mirrored).apply(image, size)
    step = (np.arange(size) + 0.5) / size - 0.5  # from the window's centre, in windows
    v, u = np.meshgrid(step, step, indexing="ij")
    u = -u if mirrored else u
    x = centre[0] + extent * (math.cos(angle) * u - math.sin(angle) * v)
    y = centre[1] + extent * (math.sin(angle) * u + math.cos(angle) * v)
    for channel in range(3):
        expected = ndimage.map_coordinates(
            image[channel].numpy().astype(float),
            [y * 32 - 0.5, x * 32 - 0.5],
            order=1,
            mode="grid-constant",
        )
        np.testing.assert_allclose(found[channel], expected, atol=0.05)


def test_the_same_geometry_at_any_resolution() -> None:
    """A map of places, x and y in [0, 1], gives the same places whatever its resolution."""

    def places(side: int) -> Tensor:
        step = (torch.arange(side) + 0.5) / side
        y, x = torch.meshgrid(step, step, indexing="ij")
        return torch.stack([x, y])

    window = crop((0.45, 0.55), 0.5, angle=0.7, mirrored=True)
    fine, coarse = window.apply(places(96), 20), window.apply(places(20), 20)
    torch.testing.assert_close(fine, coarse, rtol=0, atol=1e-5)
    # and a coarser sampling is the mean of a finer one
    half = torch.nn.functional.avg_pool2d(window.apply(places(96), 40), 2)
    torch.testing.assert_close(fine, half, rtol=0, atol=1e-5)


def test_random_crops_lie_near_the_target() -> None:
    target = torch.zeros(100, 100, dtype=torch.uint8)
    target[10, 90] = 1
    generator = torch.Generator().manual_seed(0)
    crops = [random_crop(target, 0.1, generator) for _ in range(1000)]
    shifts = [(found.centre[i] - PLACE[i]) / found.extent for found in crops for i in (0, 1)]
    assert max(map(abs, shifts)) <= 0.35 and min(shifts) < -0.34 and max(shifts) > 0.34
    extents = np.log([found.extent / 0.1 for found in crops])
    assert 0.67 <= np.exp(extents.min()) < 0.69 and 1.37 < np.exp(extents.max()) <= 1.4
    middle = math.log(0.67 * 1.4) / 2
    assert (extents < middle).mean() == pytest.approx(0.5, abs=0.06)
    assert sum(found.mirrored for found in crops) == pytest.approx(500, abs=60)
    quarters = np.histogram([found.angle for found in crops], 4, (-math.pi, math.pi))[0]
    assert quarters.sum() == 1000 and quarters.min() > 190


PLACE = (0.905, 0.105)  # x and y of the pixel


def test_random_crops_as_they_are_asked_for() -> None:
    target = torch.zeros(50, 50, dtype=torch.uint8)
    target[20:30, 20:30] = 1
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        found = random_crop(target, 0.2, generator, (2.0, 2.5), turn=False)
        assert 0.4 <= found.extent <= 0.5 and found.angle == 0 and not found.mirrored
        assert all(abs(c - 0.5) <= 0.1 + 0.35 * found.extent for c in found.centre)


def test_a_crop_as_large_as_the_photograph_is_all_of_it() -> None:
    target = torch.zeros(50, 50, dtype=torch.uint8)
    target[0, 0] = 1
    found = random_crop(target, 1.0, torch.Generator(), (1.0, 1.0), turn=False)
    assert found == Crop((0.5, 0.5), 1.0, 0.0, False)
