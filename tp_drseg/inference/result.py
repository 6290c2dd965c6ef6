"""What segmenting one lesion on one photograph gives."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tp_drseg.errors import ImageError, PromptError
from tp_drseg.export import Layer, draw_layers, lesion_colour, save_map, save_mask, save_picture
from tp_drseg.images import Frame, Region, area_percent, find_regions
from tp_drseg.inference.summary import SegmentationSummary, pack_mask
from tp_drseg.lesions.match import Match

_SHOWN_SIDE: Final = 640  # px, longest side of the picture in a notebook


@dataclass(frozen=True)
class Origin:
    """What made a result.

    Attributes:
        model_id: Name of a packaged model, name on the Hub, or folder; empty for a model that was
            only built.
        revision: Its revision on the Hub, if it has one.
        device: Where it ran, such as `cpu` or `cuda:0`.
        dtype: What it computed in, such as `float32`.

    Example:
        >>> from tp_drseg import TPDRSeg
        >>> TPDRSeg.from_pretrained(device="cpu").origin.dtype
        'float32'
    """

    model_id: str = ""
    revision: str | None = None
    device: str = "cpu"
    dtype: str = "float32"


@dataclass(frozen=True, eq=False)
class Segmentation:
    """One lesion on one photograph, in the photograph's own pixels.

    Attributes:
        lesion: Name of the lesion in the model's catalog.
        abbreviation: Its short name.
        texts: The descriptions that made the explicit prior, exactly as used.
        threshold: Least probability of a lesion pixel, in [0, 1].
        probability: `(H, W)` float32 in [0, 1], probability of the lesion at each pixel.
        working_prior: `(h, w)` float32 in [0, 1], the explicit prior in the working frame.
        frame: The working frame.
        field_of_view: `(H, W)` bool, the pixels that show the retina; at least one.
        image: `(H, W, 3)` uint8 RGB, the photograph as read.
        doubt: Why the photograph does not look like one of a fundus; None if it does.
        origin: The model, device and type that made it.
        match: Where words led to the lesion, how well they fit it and the others; or how a
            description that reads as that of no lesion was read; None where it
            was asked for by its name.

    Raises:
        ImageError: An array has a wrong shape or type, or the field of view is empty.

    Example:
        >>> from tp_drseg import TPDRSeg
        >>> model = TPDRSeg.from_pretrained()
        >>> result = model.segment("examples/retina_with_lesions.jpg", "hard exudate")
        >>> result.mask.shape == result.image.shape[:2]
        True
        >>> result.at(0.9).area_px <= result.at(0.5).area_px
        True
        >>> largest = max(result.regions, key=lambda region: region.area_px)
    """

    lesion: str
    abbreviation: str
    texts: tuple[str, ...]
    threshold: float
    probability: NDArray[np.float32] = field(repr=False)
    working_prior: NDArray[np.float32] = field(repr=False)
    frame: Frame = field(repr=False)
    field_of_view: NDArray[np.bool_] = field(repr=False)
    image: NDArray[np.uint8] = field(repr=False)
    doubt: str | None = None
    origin: Origin = Origin()
    match: Match | None = None

    def __post_init__(self) -> None:
        size = self.image.shape[:2]
        for name, shape, dtype in (
            ("image", (*size, 3), np.uint8),
            ("probability", size, np.float32),
            ("field_of_view", size, np.bool_),
            ("working_prior", self.frame.size, np.float32),
        ):
            array = getattr(self, name)
            if array.shape != shape or array.dtype != dtype:
                raise ImageError(
                    f"The {name} of a segmentation must be {np.dtype(dtype)} of shape {shape}, "
                    f"got {array.dtype} of shape {array.shape}."
                )
        if not self.field_of_view.any():
            raise ImageError("The field of view of a segmentation is empty.")

    def __repr__(self) -> str:
        height, width = self.probability.shape
        return (
            f"Segmentation({self.lesion!r}, {width} x {height} px, {len(self.regions)} regions, "
            f"{self.area_percent:.3f} % of the field of view, threshold {self.threshold:g})"
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be computed again."""
        derived = ("mask", "prior", "regions", "_mean_and_max")
        return {name: value for name, value in vars(self).items() if name not in derived}

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """`(H, W)` bool, read-only: probability at or above the threshold, inside the field."""
        mask = (self.probability >= self.threshold) & self.field_of_view
        mask.flags.writeable = False  # it is kept, and the numbers below come from it
        return mask

    @cached_property
    def prior(self) -> NDArray[np.float32]:
        """`(H, W)` float32 in [0, 1], the explicit prior (the paper's `P_e`), upsampled."""
        return self.frame.restore(self.working_prior, self.field_of_view)

    @property
    def text(self) -> str:
        """The descriptions, joined by a vertical bar."""
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
    def regions(self) -> tuple[Region, ...]:
        """The separate lesion regions, row by row; pixels that touch at a corner are one region."""
        return find_regions(self.mask, self.probability)

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

    def at(self, threshold: float) -> Segmentation:
        """Return the same result at another threshold; the arrays are shared.

        Args:
            threshold: Least probability of a lesion pixel, in [0, 1].

        Raises:
            PromptError: The threshold is out of range.
        """
        if not 0 <= threshold <= 1:  # also refuses NaN
            raise PromptError(f"The threshold is a probability in [0, 1], got {threshold:g}.")
        return replace(self, threshold=float(threshold))

    def summary(self) -> SegmentationSummary:
        """Return what is light enough to send between processes: figures, regions, the mask."""
        return SegmentationSummary(
            lesion=self.lesion,
            abbreviation=self.abbreviation,
            texts=self.texts,
            threshold=self.threshold,
            size=(self.probability.shape[0], self.probability.shape[1]),
            area_px=self.area_px,
            area_percent=self.area_percent,
            regions=self.regions,
            mean_probability=self.mean_probability,
            max_probability=self.max_probability,
            doubt=self.doubt,
            model_id=self.origin.model_id,
            revision=self.origin.revision,
            packed_mask=pack_mask(self.mask),
        )

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
            ValueError: `fill` or `line_width` is out of range.
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
            path: The file to write. Masks and maps end in `.png`; overlays may also end in
                `.jpg` or `.tif`.
            content: `"mask"` as 8-bit grey, 0 and 255; `"probability"` and `"prior"` as 8-bit
                grey, 0..255 for [0, 1]; `"overlay"` in colour.

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
        raise ValueError(f"content must be mask, probability, prior or overlay, got {content!r}.")

    def _repr_png_(self) -> bytes:
        """Show the overlay in a notebook, scaled down."""
        return to_png(self.overlay())


def to_png(picture: Image.Image) -> bytes:
    """Return a picture as PNG, scaled down to what a notebook shows."""
    picture.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()
