"""The colours of a retina, told apart from those of other pictures.

Blood absorbs green and blue light and lets red through: in a colour photograph of a retina the
vessels stand out in green and hardly in red, whatever the white balance, and the channels are no
functions of each other, as those of a grey picture are under any tint.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from tp_drseg.images.field_of_view import FieldOfView

_DIAMETER: Final = 512  # px, about, of the field of view in the copy that is looked at
_DETAIL: Final = (1.5, 8.0)  # px there, of the Gaussians whose difference shows vessels
_BROAD: Final = 5.0  # px there: noise and a JPEG's blocks are gone
_RIM: Final = 12  # px there
# Residual of red after a cubic function of green, in grey levels: photographs have 6 and more,
# with nine tenths of their colour taken away 0.68, grey pictures under a tint 0.53 at most.
_TINT_RESIDUAL: Final = 0.6
_LEAST_SHADING: Final = 4.0  # grey levels: an even area has no colours to compare
# Detail in red over that in green and in blue; a dozen photographs have at most 0.57 and 0.8.
_SMOOTH_TO_GREEN: Final = 0.65
_SMOOTH_TO_BLUE: Final = 1.2
_LASER_RED: Final = 1.3  # red over green at most, in pictures of a red and a green laser
_LASER_BLUE: Final = 0.03  # blue over green at most


@dataclass(frozen=True)
class Colours:
    """What is measured of the colours inside a field of view.

    Attributes:
        means: Of red, green and blue, in grey levels.
        brightness: Mean of the brightest channel, in grey levels.
        difference: Mean difference of the brightest and darkest channel, in grey levels.
        not_red: Share of the pixels of which red is not the strongest channel, in [0, 1].
        detail: Deviation at the scale of vessels over the mean, of red, green and blue.
        residual: What a function of green does not explain of red, in grey levels.
        shading: Deviation of green beyond the scale of noise, in grey levels.
    """

    means: tuple[float, float, float]
    brightness: float
    difference: float
    not_red: float
    detail: tuple[float, float, float]
    residual: float
    shading: float

    @classmethod
    def of(cls, image: NDArray[np.uint8], field_of_view: FieldOfView) -> Colours | None:
        """Measure the colours of a photograph; None where its field of view is too small.

        Args:
            image: `(H, W, 3)` uint8 RGB.
            field_of_view: Of it.
        """
        step = max(1, math.floor(field_of_view.diameter / _DIAMETER))
        left, top, right, bottom = field_of_view.box
        box = (slice(top, bottom), slice(left, right))
        small = np.asarray(Image.fromarray(image[box]).reduce(step))
        inside = field_of_view.mask[box][::step, ::step]
        small = small[: inside.shape[0], : inside.shape[1]]
        if not inside.any():
            return None
        core = ndimage.binary_erosion(inside, iterations=_RIM, border_value=1)
        pixels = small.astype(np.float32)
        channels = small[inside].astype(np.float32).T
        residual, shading = _residual_and_shading(pixels, core if core.any() else inside)
        highest = channels.max(axis=0)
        red, green, blue = (float(mean) for mean in channels.mean(axis=1))
        return cls(
            means=(red, green, blue),
            brightness=float(highest.mean()),
            difference=float((highest - channels.min(axis=0)).mean()),
            not_red=float((channels[0] <= channels[1:].max(axis=0)).mean()),
            detail=_detail(pixels, core if core.any() else inside),
            residual=residual,
            shading=shading,
        )

    def is_tinted_grey(self) -> bool:
        """Tell whether it is a grey picture under a tint."""
        return self.residual < _TINT_RESIDUAL and self.shading > _LEAST_SHADING

    def is_of_two_lasers(self) -> bool:
        """Tell whether it has the colours of a scanner with a red and a green laser alone."""
        red, green, blue = self.means
        return red < _LASER_RED * green and blue < _LASER_BLUE * green

    def is_smoothest_in_red(self) -> bool:
        """Tell whether detail is weak in red, as that of vessels and lesions of a retina is."""
        red, green, blue = self.detail
        return 0 < red < min(_SMOOTH_TO_GREEN * green, _SMOOTH_TO_BLUE * blue)


def _detail(pixels: NDArray[np.float32], where: NDArray[np.bool_]) -> tuple[float, float, float]:
    small, large = _DETAIL
    found = []
    for channel in np.moveaxis(pixels, -1, 0):
        band = ndimage.gaussian_filter(channel, small) - ndimage.gaussian_filter(channel, large)
        found.append(float(band[where].std() / max(1.0, float(channel[where].mean()))))
    return found[0], found[1], found[2]


def _residual_and_shading(
    pixels: NDArray[np.float32], where: NDArray[np.bool_]
) -> tuple[float, float]:
    red, green = (ndimage.gaussian_filter(pixels[..., c], _BROAD)[where] for c in (0, 1))
    if np.ptp(green) < 1:
        return float(red.std()), float(green.std())
    # with full=True a fit of fewer degrees, as of few shades, is no warning
    fitted, _ = Polynomial.fit(green.astype(np.float64), red, 3, full=True)
    off = red - fitted(green)
    return float(off.std()), float(green.std())
