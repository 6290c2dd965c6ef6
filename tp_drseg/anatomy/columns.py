"""Anatomy, measurements and signs as the cells of tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tp_drseg.anatomy.grid import FIELDS, QUADRANTS
from tp_drseg.anatomy.landmarks import Anatomy
from tp_drseg.anatomy.measurements import DISTANCES, Amount, LesionMeasurements, Scale
from tp_drseg.anatomy.signs import Signs

_PLACES: Final = (
    *(name.replace(" ", "_") for name in (*QUADRANTS, *FIELDS)),
    *(f"within_{distance:g}_dd" for distance in DISTANCES),
)
ANATOMY_COLUMNS: Final = ("eye", "disc_x", "disc_y", "disc_diameter", "fovea_x", "fovea_y")
SIGN_COLUMNS: Final = (
    "microaneurysms",
    "haemorrhage_quadrants",
    "many_haemorrhages",
    "macular_oedema_risk",
    "cotton_wool_spots",
)
MEASUREMENT_COLUMNS: Final = (
    "area_da",
    "area_mm2",
    "nearest_to_fovea_dd",
    "nearest_to_fovea_mm",
    "median_diameter_dd",
    "largest_diameter_dd",
    *(f"{place}_{what}" for place in _PLACES for what in ("count", "area_da")),
)
"""Of one lesion. `dd` is in disc diameters, `da` in disc areas, `mm` only with a known spacing."""


def anatomy_cells(anatomy: Anatomy) -> dict[str, str | float | None]:
    """Return eye, disc and fovea in original pixels; None where they are not seen."""
    disc, fovea = anatomy.disc, anatomy.fovea
    return {
        "eye": anatomy.eye,
        "disc_x": None if disc is None else round(disc.x, 1),
        "disc_y": None if disc is None else round(disc.y, 1),
        "disc_diameter": None if disc is None else round(disc.diameter, 1),
        "fovea_x": None if fovea is None else round(fovea.x, 1),
        "fovea_y": None if fovea is None else round(fovea.y, 1),
    }


def sign_cells(signs: Signs) -> dict[str, int | None]:
    """Return the value of each sign: a number, or 1 and 0 for yes and no; None where not known."""
    values = (sign.value for sign in signs.all())
    return {
        name: None if value is None else int(value)
        for name, value in zip(SIGN_COLUMNS, values, strict=True)
    }


def measurement_cells(found: LesionMeasurements) -> dict[str, int | float | None]:
    """Return what is measured of one lesion; what cannot be is None."""
    scale, sizes = found.scale, found.sizes
    nearest = scale.length(found.nearest_px)
    cells: dict[str, int | float | None] = {
        "area_da": _rounded(scale.area(found.total.area_px).get("disc area")),
        "area_mm2": _rounded(scale.area(found.total.area_px).get("mm2")),
        "nearest_to_fovea_dd": _rounded(nearest.get("disc diameter")),
        "nearest_to_fovea_mm": _rounded(nearest.get("mm")),
        "median_diameter_dd": _diameter(scale, None if sizes is None else sizes.median),
        "largest_diameter_dd": _diameter(scale, None if sizes is None else sizes.largest),
    }
    places: Mapping[str, Amount] = {
        **{name.replace(" ", "_"): one for name, one in found.quadrants.items()},
        **{name.replace(" ", "_"): one for name, one in found.fields.items()},
        **{f"within_{distance:g}_dd": one for distance, one in found.within.items()},
    }
    for place in _PLACES:
        amount = places.get(place)
        cells[f"{place}_count"] = None if amount is None else amount.count
        area = None if amount is None else scale.area(amount.area_px).get("disc area")
        cells[f"{place}_area_da"] = _rounded(area)
    return cells


def _diameter(scale: Scale, px: float | None) -> float | None:
    return _rounded(scale.length(px).get("disc diameter"))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
