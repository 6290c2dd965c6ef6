"""From a framed photograph to probabilities: overlapping tiles, blended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from monai.inferers import sliding_window_inference
from torch import Tensor

from tp_drseg.inference.placed import PlacedClicks
from tp_drseg.modules.clicks import Clicks

if TYPE_CHECKING:
    from tp_drseg.inference.view import FundusView


@torch.inference_mode()
def tiled_probability(
    view: FundusView,
    priors: Tensor,
    classes: Sequence[int],
    placed: PlacedClicks | None = None,
) -> Tensor:
    """Probability of L lesions over the padded working frame.

    Tiles overlap, and their logits are blended with MONAI's Gaussian weights before the sigmoid.

    Args:
        view: the photograph.
        priors: in the padded working frame, `(1, L, h, w)` in [0, 1].
        classes: the place of each lesion in the catalog.
        placed: points and boxes; each tile gets those that lie in it.

    Returns:
        `(L, h, w)` in [0, 1].
    """
    model, side = view.model, view.model.config.image_size

    def predict(window: Tensor) -> Tensor:
        image, place, prior = window[:, :3], window[0, 3:5, 0, 0], window[:, 5:]
        features = model.shared(image)
        grid = F.adaptive_avg_pool2d(prior, model.config.grid)
        clicks = None
        if placed is not None:
            found = placed.in_tile((int(place[0]), int(place[1])), side)
            clicks = None if found is None else _to(found, model.device)
        # one lesion after the other: all at once would hold as many encoder passes in memory
        logits = [
            model.decode(
                features, grid[:, i : i + 1], torch.tensor([index], device=model.device), clicks
            )
            for i, index in enumerate(classes)
        ]
        return torch.cat(logits, dim=1)

    logits: Tensor = sliding_window_inference(
        torch.cat([view.working_image, _places(view), priors], dim=1),
        roi_size=(side, side),
        sw_batch_size=1,
        predictor=predict,
        overlap=_overlap(side, model.config.tile_overlap),
        mode="gaussian",
    )
    logits = F.interpolate(logits, size=view.padded_size, mode="bilinear", align_corners=False)
    return logits[0].sigmoid()


def _overlap(side: int, share: float) -> float:
    """The overlap for which tiles start on whole cells of the embedding.

    MONAI rounds a start down to the grid of the logits, so any other would shift their tile.
    """
    step = max(16, int(side * (1 - share)) // 16 * 16)
    # half a pixel more, as MONAI takes the whole part of what it multiplies out of this
    return max(0.0, 1 - (step + 0.5) / side)


def _places(view: FundusView) -> Tensor:
    """Column and row of each pixel, `(1, 2, h, w)`, so that a tile knows where it lies."""
    height, width = view.padded_size
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y])[None].to(view.model.device, torch.float32)


def _to(clicks: Clicks, device: torch.device) -> Clicks:
    return Clicks(clicks.coordinates.to(device), clicks.labels.to(device))
