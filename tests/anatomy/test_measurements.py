"""Measurements of drawn lesions, against sums over single pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from tp_drseg.anatomy import FIELDS, QUADRANTS, Anatomy, Disc, Grid, Measured, Point, measure
from tp_drseg.errors import ConfigError, ImageError

ANATOMY = Anatomy(Disc(150, 90, diameter=40), Point(60, 100), eye="right")


def drawn(seed: int = 0) -> NDArray[np.bool_]:
    """Blots of many sizes, all over a picture."""
    noise = np.random.default_rng(seed).normal(size=(160, 220))
    smooth = ndimage.gaussian_filter(noise, 3)
    mask: NDArray[np.bool_] = smooth > np.quantile(smooth, 0.9)
    return mask


def test_areas_are_sums_over_pixels_and_counts_over_centroids() -> None:
    mask = drawn()
    found = measure({"x": mask}, ANATOMY)["x"]
    grid = Grid.of(ANATOMY)
    assert grid is not None
    by_quadrant = dict.fromkeys(QUADRANTS, 0)
    by_field = dict.fromkeys([*FIELDS, "none"], 0)
    for row, column in np.argwhere(mask):
        here = np.array([[column, row]])
        by_quadrant[QUADRANTS[grid.quadrants(here)[0]]] += 1
        by_field[[*FIELDS, "none"][grid.fields(here)[0]]] += 1
    by_field.pop("none")
    assert {name: amount.area_px for name, amount in found.quadrants.items()} == by_quadrant
    assert {name: amount.area_px for name, amount in found.fields.items()} == by_field
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    centres = ndimage.center_of_mass(mask, labels, range(1, count + 1))
    counts = dict.fromkeys(QUADRANTS, 0)
    for y, x in centres:
        counts[QUADRANTS[grid.quadrants(np.array([[x, y]]))[0]]] += 1
    assert {name: amount.count for name, amount in found.quadrants.items()} == counts
    assert found.total.count == count == sum(counts.values())
    assert found.total.area_px == mask.sum() == sum(by_quadrant.values())


def test_distances_are_to_the_nearest_pixel() -> None:
    mask = drawn(1)
    found = measure({"x": mask}, ANATOMY)["x"]
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    nearest = [
        min(math.hypot(x - 60, y - 100) for y, x in np.argwhere(labels == number))
        for number in range(1, count + 1)
    ]
    assert found.nearest_px == pytest.approx(min(nearest))
    for distance, amount in found.within.items():
        assert amount.count == sum(away <= 40 * distance for away in nearest)
        assert amount.area_px == sum(
            math.hypot(x - 60, y - 100) <= 40 * distance for y, x in np.argwhere(mask)
        )


def test_a_circle_of_a_disc_diameter_has_the_area_of_a_disc() -> None:
    rows, columns = np.mgrid[:400, :400]
    mask = np.hypot(columns - 200, rows - 200) <= 50
    anatomy = Anatomy(Disc(350, 200, diameter=100), Point(200, 200))
    found = measure({"x": mask}, anatomy, pixel_spacing=0.015)
    values = {(one.quantity, one.place, one.unit): one.value for one in found.values()}
    assert values["area", "photograph", "disc area"] == pytest.approx(1, abs=0.01)
    assert values["median diameter", "photograph", "disc diameter"] == pytest.approx(1, abs=0.01)
    assert values["median diameter", "photograph", "mm"] == pytest.approx(1.5, abs=0.02)
    assert values["area", "photograph", "mm2"] == pytest.approx(math.pi / 4 * 1.5**2, rel=0.01)
    assert values["nearest", "photograph", "px"] == 0


def test_without_a_spacing_nothing_is_in_millimetres() -> None:
    units = {one.unit for one in measure({"x": drawn()}, ANATOMY).values()}
    assert units == {"1", "px", "px2", "disc diameter", "disc area"}


def test_sizes_are_quantiles_of_the_regions() -> None:
    mask = np.zeros((50, 50), bool)
    for place, side in enumerate((1, 2, 3, 4, 5)):
        mask[10 * place : 10 * place + side, :side] = True
    sizes = measure({"x": mask}, ANATOMY)["x"].sizes
    assert sizes is not None
    diameters = [2 * side / math.sqrt(math.pi) for side in (1, 2, 3, 4, 5)]
    assert list(vars(sizes).values()) == pytest.approx(diameters)


def test_a_mask_without_lesions_has_no_lengths() -> None:
    found = measure({"x": np.zeros((160, 220), bool)}, ANATOMY)["x"]
    assert found.nearest_px is None
    assert found.sizes is None
    assert all(one.value == 0 for one in found.values())
    assert {one.quantity for one in found.values()} == {"count", "area"}


def test_without_a_disc_there_are_totals_and_the_distance_in_pixels() -> None:
    mask = drawn()
    found = measure({"x": mask}, Anatomy(fovea=Point(60, 100)))["x"]
    assert (found.quadrants, found.fields, found.within) == ({}, {}, {})
    assert found.total.area_px == mask.sum()
    assert found.nearest_px is not None
    nothing = measure({"x": mask}, Anatomy.unknown("It is a drawing."))["x"]
    assert nothing.nearest_px is None
    assert Measured("x", "count", "photograph", found.total.count, "1") in nothing.values()


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ImageError, match="expected \\(H, W\\)"):
        measure({"x": np.zeros((4, 4, 3), bool)}, ANATOMY)
    with pytest.raises(ConfigError, match="above 0"):
        measure({}, ANATOMY, pixel_spacing=0)
    with pytest.raises(ConfigError, match="above 0"):
        Disc(1, 1, diameter=0)
