"""What is measured of lesions on the grid: how many, how large, where, and how near the fovea.

Lengths are in disc diameters and areas in disc areas, both of the very disc of the photograph;
millimetres are given only where the pixel spacing is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tp_drseg.anatomy.grid import FIELDS, QUADRANTS, Grid
from tp_drseg.anatomy.landmarks import Anatomy
from tp_drseg.errors import ConfigError, ImageError
from tp_drseg.images import window_of

DISTANCES: Final = (0.5, 1.0, 2.0)
"""Disc diameters about the fovea within which lesions are counted."""

Unit = Literal["1", "px", "px2", "disc diameter", "disc area", "mm", "mm2"]


@dataclass(frozen=True)
class Scale:
    """What a pixel is.

    Attributes:
        disc_diameter: Of this eye, in px; None where no disc is seen.
        pixel_spacing: Millimetres of the retina that a pixel covers; None where not known.

    Raises:
        ConfigError: A spacing is not above 0.
    """

    disc_diameter: float | None = None
    pixel_spacing: float | None = None

    def __post_init__(self) -> None:
        if self.pixel_spacing is not None and not 0 < self.pixel_spacing < math.inf:
            raise ConfigError(
                f"The pixel spacing is in millimetres and above 0, got {self.pixel_spacing:g}."
            )

    def length(self, px: float | None) -> dict[Unit, float]:
        """Return a length in every unit that is known; nothing for None."""
        if px is None:
            return {}
        found: dict[Unit, float] = {"px": px}
        if self.disc_diameter is not None:
            found["disc diameter"] = px / self.disc_diameter
        if self.pixel_spacing is not None:
            found["mm"] = px * self.pixel_spacing
        return found

    def area(self, px: float) -> dict[Unit, float]:
        """Return an area in every unit that is known."""
        found: dict[Unit, float] = {"px2": px}
        if self.disc_diameter is not None:
            found["disc area"] = px / (math.pi / 4 * self.disc_diameter**2)
        if self.pixel_spacing is not None:
            found["mm2"] = px * self.pixel_spacing**2
        return found


@dataclass(frozen=True)
class Amount:
    """How much of a lesion is somewhere.

    Attributes:
        count: Number of separate regions.
        area_px: Number of pixels.
    """

    count: int
    area_px: int


@dataclass(frozen=True)
class Sizes:
    """How large the regions are: quantiles of the diameter of the circle of a region's area, in px.

    Attributes:
        smallest, lower_quartile, median, upper_quartile, largest: Linear between the two nearest.
    """

    smallest: float
    lower_quartile: float
    median: float
    upper_quartile: float
    largest: float


@dataclass(frozen=True)
class Measured:
    """One number with its unit.

    Attributes:
        lesion: Name of the lesion.
        quantity: `count`, `area`, `nearest` (to the fovea) or a size of regions such as
            `median diameter`.
        place: A quadrant, a field of the ETDRS grid, `within 1 disc diameter of the fovea`, or
            `photograph`.
        value: The number.
        unit: Of it; `1` for a count.

    Example:
        >>> from tp_drseg import Measured
        >>> Measured("haemorrhage", "count", "superior nasal", 3, "1").value
        3
    """

    lesion: str
    quantity: str
    place: str
    value: float
    unit: Unit


@dataclass(frozen=True)
class LesionMeasurements:
    """What is measured of one lesion on one photograph.

    Attributes:
        lesion: Its name.
        total: On the whole photograph.
        quadrants: By quadrant; empty where fovea or disc is not seen. A region counts where its
            centroid is, a pixel where it is itself.
        fields: By field of the ETDRS grid; likewise. What is outside of the grid is in none.
        within: By distance to the fovea in disc diameters; a region counts if any pixel of it is as
            near.
        nearest_px: Distance from the fovea to the nearest pixel; None without fovea or lesion.
        sizes: Of the regions; None without any.
        scale: What a pixel is.

    Example:
        >>> import numpy as np
        >>> from tp_drseg.anatomy import Anatomy, Disc, Point, measure
        >>> mask = np.zeros((100, 200), bool)
        >>> mask[50:54, 60:64] = True
        >>> anatomy = Anatomy(Disc(150, 50, diameter=20), Point(50, 50), eye="right")
        >>> found = measure({"hard exudate": mask}, anatomy)
        >>> found["hard exudate"].total
        Amount(count=1, area_px=16)
    """

    lesion: str
    total: Amount
    quadrants: Mapping[str, Amount]
    fields: Mapping[str, Amount]
    within: Mapping[float, Amount]
    nearest_px: float | None
    sizes: Sizes | None
    scale: Scale = field(repr=False)

    def values(self) -> Iterator[Measured]:
        """Yield every number, each in every unit that is known."""
        places = {"photograph": self.total, **self.quadrants, **self.fields}
        places |= {within_name(distance): amount for distance, amount in self.within.items()}
        for place, amount in places.items():
            yield Measured(self.lesion, "count", place, amount.count, "1")
            for unit, value in self.scale.area(amount.area_px).items():
                yield Measured(self.lesion, "area", place, value, unit)
        lengths = {"nearest": self.nearest_px}
        if self.sizes is not None:
            lengths |= {
                f"{name.replace('_', ' ')} diameter": value
                for name, value in vars(self.sizes).items()
            }
        for quantity, px in lengths.items():
            for unit, value in self.scale.length(px).items():
                yield Measured(self.lesion, quantity, "photograph", value, unit)


@dataclass(frozen=True)
class Measurements:
    """What is measured of all lesions that were asked for on one photograph.

    Attributes:
        lesions: By name.
        anatomy: What it was measured about.
        scale: What a pixel is.

    Example:
        >>> import numpy as np
        >>> from tp_drseg.anatomy import Anatomy, Disc, Point, measure
        >>> mask = np.zeros((100, 200), bool)
        >>> mask[50:54, 60:64] = True
        >>> anatomy = Anatomy(Disc(150, 50, diameter=20), Point(50, 50), eye="right")
        >>> found = measure({"hard exudate": mask}, anatomy)
        >>> found.values()[0].quantity
        'count'
    """

    lesions: Mapping[str, LesionMeasurements]
    anatomy: Anatomy
    scale: Scale

    def __getitem__(self, lesion: str) -> LesionMeasurements:
        """Return those of a lesion by its name in the catalog."""
        return self.lesions[lesion]

    def values(self) -> list[Measured]:
        """Return every number of every lesion, as a list that any format can code."""
        return [one for own in self.lesions.values() for one in own.values()]


def within_name(distance: float) -> str:
    """Return what the place within so many disc diameters of the fovea is called."""
    plural = "" if distance <= 1 else "s"
    return f"within {distance:g} disc diameter{plural} of the fovea"


def measure(
    masks: Mapping[str, NDArray[Any]], anatomy: Anatomy, *, pixel_spacing: float | None = None
) -> Measurements:
    """Measure the lesions of one photograph.

    Args:
        masks: `(H, W)` bool by name of the lesion, all of one photograph.
        anatomy: Of that photograph, in its pixels.
        pixel_spacing: Millimetres of the retina that a pixel covers, if that is known.

    Raises:
        ImageError: A mask is not `(H, W)`.
        ConfigError: The spacing is not above 0.

    Example:
        >>> import numpy as np
        >>> from tp_drseg.anatomy import Anatomy, Disc, Point, measure
        >>> mask = np.zeros((100, 200), bool)
        >>> mask[50:54, 60:64] = True
        >>> anatomy = Anatomy(Disc(150, 50, diameter=20), Point(50, 50), eye="right")
        >>> found = measure({"hard exudate": mask}, anatomy)["hard exudate"]
        >>> found.nearest_px, found.within[0.5].count, found.within[1.0].count
        (10.0, 1, 1)
    """
    diameter = None if anatomy.disc is None else anatomy.disc.diameter
    scale = Scale(diameter, pixel_spacing)
    grid = Grid.of(anatomy, pixel_spacing)
    return Measurements(
        {name: _measure_one(name, mask, anatomy, grid, scale) for name, mask in masks.items()},
        anatomy,
        scale,
    )


def _measure_one(
    name: str, mask: NDArray[Any], anatomy: Anatomy, grid: Grid | None, scale: Scale
) -> LesionMeasurements:
    if mask.ndim != 2:
        raise ImageError(f"The mask of {name} has shape {mask.shape}: expected (H, W).")
    points, owner = _pixels(mask.astype(bool, copy=False))
    areas = np.bincount(owner)
    count = len(areas)
    quadrants: dict[str, Amount] = {}
    fields: dict[str, Amount] = {}
    within: dict[float, Amount] = {}
    nearest = None
    if grid is not None:
        centroids = np.stack(
            [np.bincount(owner, column) / np.maximum(areas, 1) for column in points.T], axis=1
        )
        quadrants = _amounts(QUADRANTS, grid.quadrants(centroids), grid.quadrants(points))
        fields = _amounts(FIELDS, grid.fields(centroids), grid.fields(points))
    if anatomy.fovea is not None:
        away = np.hypot(points[:, 0] - anatomy.fovea.x, points[:, 1] - anatomy.fovea.y)
        nearest = float(away.min()) if count else None
        if scale.disc_diameter is not None:
            closest = np.full(count, np.inf)
            np.minimum.at(closest, owner, away)
            for distance in DISTANCES:
                limit = distance * scale.disc_diameter
                within[distance] = Amount(int((closest <= limit).sum()), int((away <= limit).sum()))
    diameters = 2 * np.sqrt(areas / np.pi)
    sizes = Sizes(*np.quantile(diameters, [0, 0.25, 0.5, 0.75, 1]).tolist()) if count else None
    total = Amount(count, len(points))
    return LesionMeasurements(name, total, quadrants, fields, within, nearest, sizes, scale)


def _pixels(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return x and y of a mask's pixels, `(N, 2)`, and the number of each one's region."""
    window = window_of(mask)
    labels, _ = ndimage.label(mask[window], structure=np.ones((3, 3), dtype=bool))
    rows, columns = np.nonzero(labels)
    owner = labels[rows, columns].astype(np.intp) - 1
    points = np.stack([columns + window[1].start, rows + window[0].start], axis=1)
    return points.astype(np.float64), owner


def _amounts(
    names: Sequence[str], of_regions: NDArray[np.intp], of_pixels: NDArray[np.intp]
) -> dict[str, Amount]:
    return {
        name: Amount(int((of_regions == number).sum()), int((of_pixels == number).sum()))
        for number, name in enumerate(names)
    }
