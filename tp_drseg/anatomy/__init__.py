"""Where things are in an eye: disc, fovea, the grid about them, and what is measured on it."""

from tp_drseg.anatomy.grid import FIELDS, QUADRANTS, Grid
from tp_drseg.anatomy.landmarks import Anatomy, Disc, Eye, Point
from tp_drseg.anatomy.measurements import (
    Amount,
    LesionMeasurements,
    Measured,
    Measurements,
    Scale,
    Sizes,
    measure,
)
from tp_drseg.anatomy.signs import Sign, Signs, read_signs

__all__ = [
    "FIELDS",
    "QUADRANTS",
    "Amount",
    "Anatomy",
    "Disc",
    "Eye",
    "Grid",
    "LesionMeasurements",
    "Measured",
    "Measurements",
    "Point",
    "Scale",
    "Sign",
    "Signs",
    "Sizes",
    "measure",
    "read_signs",
]
