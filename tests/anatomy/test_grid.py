"""The grid about the fovea, against plain trigonometry."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tp_drseg.anatomy import FIELDS, QUADRANTS, Anatomy, Disc, Grid, Point


def eye(side: str, turned: float = 0.0, diameter: float = 30.0) -> Anatomy:
    """An eye whose disc is 100 px nasal of the fovea at (200, 200), turned anticlockwise."""
    angle = math.radians(turned + (0 if side == "right" else 180))
    disc = Disc(200 + 100 * math.cos(angle), 200 - 100 * math.sin(angle), diameter)
    return Anatomy(disc, Point(200, 200), eye=side)  # type: ignore[arg-type]


def place(side: str, turned: float, degrees: float, away: float) -> tuple[float, float]:
    """A place by its angle from nasal towards superior, as that eye has it."""
    if side == "right":
        angle = math.radians(turned + degrees)
    else:
        angle = math.radians(turned + 180 - degrees)
    return 200 + away * math.cos(angle), 200 - away * math.sin(angle)


def expected_field(degrees: float, away: float, diameter: float) -> int:
    """By the definition: circles of 1, 3 and 6 mm with a disc of 1.5 mm, rays at 45 degrees."""
    mm = away / diameter * 1.5
    if mm > 3:
        return -1
    if mm <= 0.5:
        return FIELDS.index("central")
    ring = "inner" if mm <= 1.5 else "outer"
    for name, start in (("superior", 45), ("temporal", 135), ("inferior", 225)):
        if start < degrees % 360 < start + 90:
            return FIELDS.index(f"{ring} {name}")
    return FIELDS.index(f"{ring} nasal")


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("turned", [0.0, 7.0, -30.0, 90.0, 180.0])
def test_each_place_is_in_its_quadrant_and_field(side: str, turned: float) -> None:
    grid = Grid.of(eye(side, turned))
    assert grid is not None
    for degrees in np.arange(1.0, 360.0, 7.1):
        for away in (2.0, 9.5, 10.5, 25.0, 35.0, 55.0, 65.0):
            points = np.array([place(side, turned, degrees, away)])
            up = "superior" if 0 < degrees < 180 else "inferior"
            across = "temporal" if 90 < degrees < 270 else "nasal"
            assert QUADRANTS[grid.quadrants(points)[0]] == f"{up} {across}"
            assert grid.fields(points)[0] == expected_field(degrees, away, 30.0)


def test_an_eye_that_is_not_known_is_told_by_the_side_that_points_up() -> None:
    known, unknown = eye("left", 10), Anatomy(eye("left", 10).disc, eye("left", 10).fovea)
    assert Grid.of(known) == Grid.of(unknown)


def test_a_left_eye_is_the_mirror_image_of_a_right_one() -> None:
    right, left = Grid.of(eye("right")), Grid.of(eye("left"))
    assert right is not None
    assert left is not None
    points = np.random.default_rng(0).uniform(100, 300, (500, 2))
    mirrored = points * [-1, 1] + [400, 0]
    np.testing.assert_array_equal(right.fields(points), left.fields(mirrored))
    np.testing.assert_array_equal(right.quadrants(points), left.quadrants(mirrored))


def test_with_a_pixel_spacing_the_circles_are_in_millimetres() -> None:
    grid = Grid.of(eye("right", diameter=50), pixel_spacing=0.01)
    assert grid is not None
    assert grid.circles == pytest.approx((50, 150, 300))
    by_disc = Grid.of(eye("right", diameter=30))
    assert by_disc is not None
    assert by_disc.circles == pytest.approx((10, 30, 60))


def test_place_undoes_along() -> None:
    grid = Grid.of(eye("left", 13))
    assert grid is not None
    np.testing.assert_allclose(grid.along(np.array([grid.place(12, -5)])), [[12, -5]])


@pytest.mark.parametrize(
    "anatomy",
    [
        Anatomy(disc=Disc(1, 1, 5)),
        Anatomy(fovea=Point(1, 1)),
        Anatomy(Disc(1, 1, 5), Point(1, 1)),
        Anatomy(),
    ],
)
def test_there_is_no_grid_without_an_axis(anatomy: Anatomy) -> None:
    assert Grid.of(anatomy) is None
