"""The numbers behind a verdict on a photograph's quality, all taken at one scale.

Each is read from the field of view scaled to 1024 px across, where a microaneurysm is about five
pixels wide, so that it hardly depends on the size of the file. The green channel is read, in which
lesions and vessels stand out most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tp_drseg.images.framing import Framed

QUALITY_DIAMETER: Final = 1024
"""Longest side in px of the working frame that the numbers are taken in."""

_FINE: Final = (1.0, 2.0)  # px, of the Gaussians whose difference shows microaneurysms
_COARSE: Final = (4.0, 8.0)  # px, likewise vessels and haemorrhages
_SMOOTH: Final = 40.0  # px: beyond vessels and disc, light alone
_RIM: Final = 24  # px: the border's edge is no detail of the retina
_RED_TO_GREEN: Final = (1.5, 3.5)  # usual ratios of the means, from 22 photographs of two cameras
_BLUE_TO_GREEN: Final = 0.9
_CLIPPED: Final = 250  # grey level from which on nothing more is told apart


@dataclass(frozen=True)
class QualityNumbers:
    """What is measured of a photograph's quality.

    Attributes:
        resolution: Longest side of the field of view in the file, in px.
        sharpness: Mean detail at the scale of microaneurysms as a share of that at the scale of
            vessels; blur lowers it.
        brightness: Median level of the green channel, in [0, 1].
        clipped: Share of the field of view where the green channel is at its upper end, in [0, 1].
        contrast: Mean detail at the scale of vessels as a share of the brightness; haze lowers it.
        unevenness: How much light alone varies: the range of 90 % of the field of view, as a share
            of the brightness.
        cast: The factor by which the mean of red over green, or of blue over green, leaves what is
            usual; 1 where it does not.
        field_seen: Area of the field of view as a share of the circle of its diameter, in [0, 1].
    """

    resolution: int
    sharpness: float
    brightness: float
    clipped: float
    contrast: float
    unevenness: float
    cast: float
    field_seen: float


def measure_quality(framed: Framed) -> QualityNumbers:
    """Measure a photograph's quality.

    Args:
        framed: The photograph, framed with `QUALITY_DIAMETER`.
    """
    inside = framed.inside >= 0.5
    pixels = framed.pixels
    green = pixels[..., 1].astype(np.float32)
    core = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1] > _RIM
    if not core.any():
        core = inside
    weight = inside.astype(np.float32)
    # outside of the field is filled in, so that its edge is no detail
    filled = np.where(inside, green, _blurred(green, weight, _SMOOTH))
    fine, coarse = (_detail(filled, *scales)[core].mean() for scales in (_FINE, _COARSE))
    light = _blurred(green, weight, _SMOOTH)[core]
    low, high = np.percentile(light, (5, 95))
    values = green[inside]
    median = float(np.median(values))
    return QualityNumbers(
        resolution=framed.field_of_view.diameter,
        sharpness=float(fine / max(coarse, 1e-3)),
        brightness=median / 255,
        clipped=float((values >= _CLIPPED).mean()),
        contrast=float(coarse / max(median, 1.0)),
        unevenness=float((high - low) / max(float(np.median(light)), 1.0)),
        cast=_cast(pixels[inside]),
        field_seen=_field_seen(framed),
    )


def _detail(values: NDArray[np.float32], small: float, large: float) -> NDArray[np.float32]:
    difference: NDArray[np.float32] = np.abs(
        ndimage.gaussian_filter(values, small) - ndimage.gaussian_filter(values, large)
    )
    return difference


def _blurred(
    values: NDArray[np.float32], weight: NDArray[np.float32], sigma: float
) -> NDArray[np.float32]:
    """Blur what is inside alone."""
    step = 8  # light changes slowly: a small copy will do
    small = [ndimage.zoom(part, 1 / step, order=1) for part in (values * weight, weight)]
    total, share = (ndimage.gaussian_filter(part, sigma / step) for part in small)
    mean = total / np.maximum(share, 1e-3)
    factors = [n / m for n, m in zip(values.shape, mean.shape, strict=True)]
    grown: NDArray[np.float32] = ndimage.zoom(mean, factors, order=1)
    return grown


def _cast(colours: NDArray[np.uint8]) -> float:
    red, green, blue = colours.mean(axis=0, dtype=np.float64) + 1  # black has no colour
    low, high = _RED_TO_GREEN
    return float(max(1.0, low * green / red, red / green / high, blue / green / _BLUE_TO_GREEN))


def _field_seen(framed: Framed) -> float:
    field = framed.field_of_view
    return float(min(1.0, field.area / (np.pi / 4 * field.diameter**2)))
