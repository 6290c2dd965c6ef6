"""A photograph as the networks take it, the same for training and for inference."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tp_drseg.images.field_of_view import FieldOfView
from tp_drseg.images.frame import Frame


@dataclass(frozen=True, eq=False)
class Framed:
    """A photograph whose field of view is scaled to a working diameter.

    The parts are made when they are first asked for, and kept: CLIP's picture and the working
    image of one photograph need not the same ones. Two threads may make different parts at once.

    Attributes:
        image: ``(H, W, 3)`` uint8 RGB, original pixels.
        field_of_view: Where the retina is in it.
        frame: The geometry between the original pixels and the working ones.
    """

    image: NDArray[np.uint8] = field(repr=False)
    field_of_view: FieldOfView = field(repr=False)
    frame: Frame

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """``(h, w, 3)`` uint8 RGB: the box around the field of view, scaled (bicubic)."""
        return self.frame.apply(self.image)

    @cached_property
    def inside(self) -> NDArray[np.float32]:
        """``(h, w)`` float32 in [0, 1]: the share of each working pixel in the field of view."""
        return self.frame.apply_mask(self.field_of_view.mask)


def frame_photograph(image: NDArray[np.uint8], field_of_view: FieldOfView, diameter: int) -> Framed:
    """Frame a photograph's field of view so that its longest side has a given length.

    Args:
        image: ``(H, W, 3)`` uint8 RGB, original pixels.
        field_of_view: Where the retina is in it.
        diameter: Longest side of the working frame in px.

    Returns:
        The framed photograph; nothing is scaled before it is asked for.

    Raises:
        ConfigError: The diameter is below 1.

    Example:
        >>> import numpy as np
        >>> from tp_drseg.images import FieldOfView, frame_photograph
        >>> image = np.zeros((60, 90, 3), np.uint8)
        >>> framed = frame_photograph(image, FieldOfView.from_mask(np.ones((60, 90), bool)), 30)
        >>> framed.pixels.shape
        (20, 30, 3)
    """
    return Framed(image, field_of_view, Frame.fit(field_of_view, diameter))


def pad_to_square(values: NDArray[Any], side: int) -> NDArray[Any]:
    """Pad an array with zeros at the right and the bottom.

    Args:
        values: ``(h, w)`` or ``(h, w, C)``; neither ``h`` nor ``w`` is larger than ``side``.
        side: Height and width of the square, in px.

    Returns:
        ``(side, side)`` or ``(side, side, C)`` of the same type.
    """
    height, width = values.shape[:2]
    padding = ((0, side - height), (0, side - width), *[(0, 0)] * (values.ndim - 2))
    return np.pad(values, padding)
