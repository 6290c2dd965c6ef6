"""How a photograph goes through a model, and from which probability on a pixel is lesion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from tp_drseg.config.base import FrozenConfig

DEFAULT_THRESHOLD = 0.5
"""Threshold of a lesion that has no operating point."""

TextKind = Literal["description", "name"]
Share = Annotated[float, Field(ge=0, le=1)]
LongText = Annotated[str, Field(max_length=20_000)]


class OperatingPoint(FrozenConfig):
    """From which probability on a pixel counts as lesion, and what that was seen to give.

    Attributes:
        threshold: The least probability of a lesion pixel, in [0, 1].
        sensitivity: Share of the lesion's pixels that were marked with it, pooled over the
            photographs it was chosen on, in [0, 1]; `None` when that was not measured.
        precision: Share of the marked pixels that were lesion, likewise; `None` also when no pixel
            was marked.
        chosen_on: The photographs it was chosen on, in words; empty when that is not known.

    Example:
        >>> OperatingPoint(threshold=0.4, sensitivity=0.75).threshold
        0.4
    """

    threshold: Share
    sensitivity: Share | None = None
    precision: Share | None = None
    chosen_on: LongText = ""


class InferenceConfig(FrozenConfig):
    """How a photograph goes through a model; none of it changes what the weights are.

    Attributes:
        working_diameter: Longest side of the field of view in the working frame, in pixels. 32 to
            4096.
        whole_field: Whether the network sees the whole working frame at once, whatever its size,
            which a `tiny_vit` can. Without it a frame that is larger than the image size of the
            architecture is cut into overlapping tiles.
        tile_overlap: Overlap of neighbouring tiles as a share of their side, in [0, 0.75].
        accurate: Whether the network is asked about the photograph's mirror images too, and its
            answers are averaged: four times the work.
        text: Whether a lesion is prompted by its explicit descriptions or by its name alone.
        operating_points: Operating point by lesion name.

    Example:
        >>> point = OperatingPoint(threshold=0.3)
        >>> config = InferenceConfig(operating_points={"haemorrhage": point})
        >>> config.threshold("haemorrhage"), config.threshold("microaneurysm")
        (0.3, 0.5)
    """

    working_diameter: Annotated[int, Field(ge=32, le=4096)] = 1024
    whole_field: bool = False
    tile_overlap: Annotated[float, Field(ge=0, le=0.75)] = 0.125
    accurate: bool = False
    text: TextKind = "description"
    operating_points: Mapping[str, OperatingPoint] = Field(default_factory=dict)

    @property
    def thresholds(self) -> dict[str, float]:
        """Threshold by lesion name, for the lesions that have an operating point."""
        return {name: point.threshold for name, point in self.operating_points.items()}

    def threshold(self, lesion: str) -> float:
        """Return the threshold of a lesion, by its catalog name: 0.5 without operating point."""
        point = self.operating_points.get(lesion)
        return DEFAULT_THRESHOLD if point is None else point.threshold
