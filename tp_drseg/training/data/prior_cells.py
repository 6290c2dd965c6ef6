"""The explicit prior of a crop: what inference makes of it on the whole photograph, cut."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from tp_drseg.inference.prior import cell_weights
from tp_drseg.modules.constants import EMBEDDING_STRIDE
from tp_drseg.training.data.geometric import Crop


class CellGrid:
    """The cells of the image embedding over a whole photograph, from which crops take theirs.

    Args:
        diameter: Longest side of the field of view in the working frame, in pixels.
        grid: Side of CLIP's grid.
    """

    def __init__(self, diameter: int, grid: int) -> None:
        self._weights = cell_weights(diameter, grid)
        # the last cell may pass the photograph, over which crops have their coordinates
        self._share = diameter / (len(self._weights) * EMBEDDING_STRIDE)

    def cut(self, priors: Tensor, crop: Crop, size: int) -> Tensor:
        """Return priors in the cells of a crop.

        Args:
            priors: `(L, g, g)` in [0, 1], on CLIP's grid.
            crop: The window.
            size: Cells along its side.

        Returns:
            `(L, size, size)` in [0, 1].
        """
        cells = self._weights @ priors @ self._weights.T
        x, y = (place * self._share for place in crop.centre)
        window = replace(crop, centre=(x, y), extent=crop.extent * self._share)
        return window.apply(cells, size).clamp_(0, 1)
