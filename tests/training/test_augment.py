from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from tp_drseg.training.augment import Crop, random_crop, random_light


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


def test_random_crops_seek_lesions_half_of_the_time() -> None:
    masks = torch.zeros(3, 100, 100, dtype=torch.uint8)
    masks[0, 10, 90] = 1  # one pixel
    masks[2, 80:95, 80:95] = 1  # many; the second lesion is absent
    field = torch.zeros(1, 100, 100, dtype=torch.uint8)
    field[0, 80:95, 5:20] = 1
    places = [(0.905, 0.105), (0.875, 0.875), (0.125, 0.875)]
    generator = torch.Generator().manual_seed(0)
    crops = [random_crop(masks, field, 0.1, generator) for _ in range(1000)]
    counts = [0, 0, 0]
    for found in crops:
        distances = [max(abs(found.centre[0] - x), abs(found.centre[1] - y)) for x, y in places]
        nearest = int(np.argmin(distances))
        counts[nearest] += 1
        assert distances[nearest] <= 0.35 * found.extent + 0.08
    assert counts[0] == pytest.approx(250, abs=50)
    assert counts[1] == pytest.approx(250, abs=50)
    assert counts[2] == pytest.approx(500, abs=60)
    extents = [found.extent / 0.1 for found in crops]
    assert 0.74 < min(extents) < 0.8 and 1.25 < max(extents) < 1.34
    assert sum(found.mirrored for found in crops) == pytest.approx(500, abs=60)
    quarters = np.histogram([found.angle for found in crops], 4, (-math.pi, math.pi))[0]
    assert quarters.sum() == 1000 and quarters.min() > 190


def test_without_lesion_anywhere_in_the_field_of_view() -> None:
    field = torch.zeros(1, 50, 50, dtype=torch.uint8)
    field[0, 20:30, 20:30] = 1
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        found = random_crop(torch.zeros(2, 50, 50, dtype=torch.uint8), field, 0.2, generator)
        assert all(abs(c - 0.5) <= 0.1 + 0.35 * found.extent for c in found.centre)


def test_light() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(3, 16, 16, generator=generator)
    image[:, :4] = 0  # the surround
    results = [random_light(image, generator) for _ in range(20)]
    for found in results:
        assert found.shape == image.shape and found.min() >= 0 and found.max() <= 1
        assert not found[:, :4].any()
        assert not torch.allclose(found, image, atol=0.01)
        # order of brightness is kept within a channel
        flat, order = found[0].flatten(), image[0].flatten().argsort()
        seen = flat[order][flat[order] > 0]
        assert (seen.diff() >= -1e-6).all()
    assert all(not torch.equal(one, other) for one, other in pairwise(results))
    again = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
    assert torch.equal(random_light(image, again[0]), random_light(image, again[1]))
