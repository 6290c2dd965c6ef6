"""The grid about the fovea: quadrants, and the nine fields of the ETDRS.

The axis runs from the fovea to the disc, which is nasal; superior is at a right angle to it. So a
head that was tilted, or a photograph that was turned, turns the grid along, and left eyes are
mirror images of right ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from tp_drseg.anatomy.landmarks import Anatomy

Quadrant = Literal["superior nasal", "superior temporal", "inferior nasal", "inferior temporal"]
QUADRANTS: Final[tuple[Quadrant, ...]] = (
    "superior nasal",
    "superior temporal",
    "inferior nasal",
    "inferior temporal",
)
FIELDS: Final = (
    "central",
    "inner superior",
    "inner nasal",
    "inner inferior",
    "inner temporal",
    "outer superior",
    "outer nasal",
    "outer inferior",
    "outer temporal",
)
"""The fields of the ETDRS grid (ETDRS report 10, 1991)."""

CIRCLES_MM: Final = (0.5, 1.5, 3.0)
"""Radii of the grid's circles, which are 1, 3 and 6 mm across."""
DISC_MM: Final = 1.5
"""Diameter of the disc that the ETDRS took to draw its circles where nothing else is known."""


@dataclass(frozen=True)
class Grid:
    """Quadrants and fields about a fovea, in a photograph's pixels.

    Attributes:
        fovea: Its x and y, in px, as for a `Point`.
        nasal: Unit vector towards the disc.
        superior: Unit vector at a right angle to it.
        circles: Radii of the ETDRS circles, in px, from the smallest.
    """

    fovea: tuple[float, float]
    nasal: tuple[float, float]
    superior: tuple[float, float]
    circles: tuple[float, float, float]

    @classmethod
    def of(cls, anatomy: Anatomy, pixel_spacing: float | None = None) -> Grid | None:
        """Return the grid of an eye; None where fovea or disc is not seen.

        Args:
            anatomy: Of the photograph. Its eye says which side of the axis is superior; where the
                eye is not known, that is the side that points up.
            pixel_spacing: Millimetres of the retina that a pixel covers, where that is known. The
                circles are then those of the ETDRS in mm; else they are drawn with a disc of
                1.5 mm, as the ETDRS drew them.
        """
        disc, fovea = anatomy.disc, anatomy.fovea
        if disc is None or fovea is None:
            return None
        away = math.hypot(disc.x - fovea.x, disc.y - fovea.y)
        if away == 0:
            return None
        x, y = (disc.x - fovea.x) / away, (disc.y - fovea.y) / away
        # y points down: in an upright right eye nasal is (1, 0) and superior (0, -1)
        is_right = x >= 0 if anatomy.eye is None else anatomy.eye == "right"
        superior = (y, -x) if is_right else (-y, x)
        px_per_mm = disc.diameter / DISC_MM if pixel_spacing is None else 1 / pixel_spacing
        inner, middle, outer = (radius * px_per_mm for radius in CIRCLES_MM)
        return cls((fovea.x, fovea.y), (x, y), superior, (inner, middle, outer))

    def along(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Return points `(N, 2)` of the photograph as `(N, 2)`: px nasal and px superior."""
        off = np.asarray(points, dtype=np.float64) - self.fovea
        # one by one: a product of matrices rounds by how many points there are
        axes = (self.nasal, self.superior)
        return np.stack([off[:, 0] * x + off[:, 1] * y for x, y in axes], axis=1)

    def place(self, nasal: float, superior: float) -> tuple[float, float]:
        """Return the x and y of a place that is so many px nasal and superior of the fovea."""
        x, y = self.fovea
        return (
            x + nasal * self.nasal[0] + superior * self.superior[0],
            y + nasal * self.nasal[1] + superior * self.superior[1],
        )

    def quadrants(self, points: NDArray[Any]) -> NDArray[np.intp]:
        """Return the number of each point's quadrant in `QUADRANTS`, `(N,)`.

        A point on the axis counts as superior, one on the other line as nasal.
        """
        nasal, superior = self.along(points).T
        number: NDArray[np.intp] = 2 * (superior < 0).astype(np.intp) + (nasal < 0)
        return number

    def fields(self, points: NDArray[Any]) -> NDArray[np.intp]:
        """Return the number of each point's field in `FIELDS`, `(N,)`; -1 outside of the grid.

        A point on a circle counts as inside of it, one on a ray as nasal or temporal.
        """
        nasal, superior = self.along(points).T
        distance = np.hypot(nasal, superior)
        vertical = np.abs(superior) > np.abs(nasal)
        sector = np.where(
            vertical, np.where(superior > 0, 0, 2), np.where(nasal >= 0, 1, 3)
        ).astype(np.intp)
        inner, middle, outer = self.circles
        found = np.where(distance <= middle, 1 + sector, 5 + sector)
        found = np.where(distance <= inner, 0, found)
        return np.where(distance <= outer, found, -1)
