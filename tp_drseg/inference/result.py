"""What segmenting one lesion on one photograph gives."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tp_drseg.errors import ImageError
from tp_drseg.export import (
    Layer,
    add_legend,
    draw_layers,
    lesion_colour,
    save_map,
    save_mask,
    save_picture,
)
from tp_drseg.images.measure import area_percent, count_regions


@dataclass(frozen=True, eq=False)
class Segmentation:
    """One lesion on one photograph, in the photograph's own pixels.

    Attributes:
        lesion: Name of the lesion in the model's catalog.
        texts: The descriptions that made the explicit prior, exactly as used.
        threshold: Least probability of a lesion pixel, in [0, 1].
        probability: (H, W) float32 in [0, 1], probability of the lesion at each pixel.
        make_prior: Gives ``prior``; what many never look at is not made for every result.
        field_of_view: (H, W) bool, the pixels that show the retina; at least one.
        image: (H, W, 3) uint8 RGB, the photograph as read.
        model_id: Which model: name of a packaged one, name on the Hub, or folder.
        revision: Its revision on the Hub, if it has one.

    Raises:
        ImageError: An array has a wrong shape or type, or the field of view is empty.
    """

    lesion: str
    texts: tuple[str, ...]
    threshold: float
    probability: NDArray[np.float32] = field(repr=False)
    make_prior: Callable[[], NDArray[np.float32]] = field(repr=False)
    field_of_view: NDArray[np.bool_] = field(repr=False)
    image: NDArray[np.uint8] = field(repr=False)
    model_id: str
    revision: str | None

    def __post_init__(self) -> None:
        size = self.image.shape[:2]
        for name, shape, dtype in (
            ("image", (*size, 3), np.uint8),
            ("probability", size, np.float32),
            ("field_of_view", size, np.bool_),
        ):
            array = getattr(self, name)
            if array.shape != shape or array.dtype != dtype:
                raise ImageError(
                    f"{name} of a segmentation must be {np.dtype(dtype)} of shape {shape}, "
                    f"got {array.dtype} of shape {array.shape}"
                )
        if not self.field_of_view.any():
            raise ImageError("the field of view of a segmentation is empty")

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W) bool, read-only: probability at or above the threshold, in the field of view."""
        mask = (self.probability >= self.threshold) & self.field_of_view
        mask.flags.writeable = False  # it is kept, and the numbers below come from it
        return mask

    @cached_property
    def prior(self) -> NDArray[np.float32]:
        """(H, W) float32 in [0, 1], the explicit prior (the paper's ``P_e``), upsampled."""
        return self.make_prior()

    @property
    def text(self) -> str:
        """The descriptions, joined by `` | ``."""
        return " | ".join(self.texts)

    @property
    def area_px(self) -> int:
        """Number of lesion pixels."""
        return int(np.count_nonzero(self.mask))

    @property
    def area_percent(self) -> float:
        """Lesion pixels in percent of the field of view, in [0, 100]."""
        return area_percent(self.mask, self.field_of_view)

    @cached_property
    def regions(self) -> int:
        """Number of separate lesion regions; pixels that touch at a corner are one region."""
        return count_regions(self.mask)

    @property
    def mean_probability(self) -> float:
        """Mean probability over the field of view, in [0, 1]."""
        return self._mean_and_max[0]

    @property
    def max_probability(self) -> float:
        """Highest probability in the field of view, in [0, 1]."""
        return self._mean_and_max[1]

    @cached_property
    def _mean_and_max(self) -> tuple[float, float]:
        inside = self.probability[self.field_of_view]
        return float(inside.mean(dtype=np.float64)), float(inside.max())

    def overlay(
        self,
        *,
        colour: tuple[int, int, int] | None = None,
        fill: float = 0.2,
        line_width: int | None = None,
    ) -> Image.Image:
        """Draw the mask on the photograph.

        Args:
            colour: Red, green and blue, each 0..255; by default the lesion's own.
            fill: Share of the colour in the lesion's tint, in [0, 1]; 0 draws the outline only.
            line_width: Width of the outline in pixels; by default it grows with the image.

        Returns:
            An RGB picture of the size of the photograph.

        Raises:
            ValueError: ``fill`` or ``line_width`` is out of range.
        """
        layer = Layer(self.mask, colour or lesion_colour(self.lesion))
        return draw_layers(self.image, [layer], fill=fill, line_width=line_width)

    def save(
        self,
        path: str | os.PathLike[str],
        content: Literal["mask", "probability", "prior", "overlay"] = "mask",
    ) -> Path:
        """Write one picture of this result, whole or not at all.

        Args:
            path: The file to write. Masks and maps end in ``.png``; overlays may also end in
                ``.jpg`` or ``.tif``.
            content: ``"mask"`` as 8-bit grey, 0 and 255; ``"probability"`` and ``"prior"`` as
                8-bit grey, 0..255 for [0, 1]; ``"overlay"`` in colour.

        Returns:
            The path written.

        Raises:
            OutputError: The name's ending does not fit, or the file cannot be written.
            ValueError: There is no such content.
        """
        if content == "mask":
            return save_mask(self.mask, path)
        if content == "probability":
            return save_map(self.probability, path)
        if content == "prior":
            return save_map(self.prior, path)
        if content == "overlay":
            return save_picture(self.overlay(), path)
        raise ValueError(f"content must be mask, probability, prior or overlay, got {content!r}")

    def measurements(self) -> dict[str, Any]:
        """What ``lesions.csv`` says of this result, by column: all but the image's name."""
        return {
            "lesion": self.lesion,
            "text": self.text,
            "threshold": self.threshold,
            "regions": self.regions,
            "area_px": self.area_px,
            "area_percent_of_field_of_view": round(self.area_percent, 6),
            "mean_probability": round(self.mean_probability, 6),
            "max_probability": round(self.max_probability, 6),
            "model": self.model_id,
            "revision": self.revision,
        }


def overlay_all(
    results: Mapping[str, Segmentation] | Iterable[Segmentation], *, fill: float = 0.2
) -> Image.Image:
    """Draw several lesions of one photograph on it, with a legend below.

    Args:
        results: What ``segment`` returned for several lesions, all of the same photograph.
        fill: Share of the colour in each lesion's tint, in [0, 1].

    Returns:
        An RGB picture, as wide as the photograph and higher by the legend.

    Raises:
        ValueError: There is no result, or they are of photographs of different size.
    """
    results = list(results.values() if isinstance(results, Mapping) else results)
    if not results:
        raise ValueError("there is no result to draw")
    layers = [
        Layer(
            result.mask,
            lesion_colour(result.lesion),
            f"{result.lesion}: {result.regions} region{'' if result.regions == 1 else 's'}, "
            f"{result.area_percent:.2f} % of the field of view",
        )
        for result in results
    ]
    return add_legend(draw_layers(results[0].image, layers, fill=fill), layers)
