"""Whether a lesion's descriptions point CLIP at it, before anything is learned."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from tp_drseg.errors import TrainingError
from tp_drseg.training.data.crops import Crops

logger = logging.getLogger(__name__)

_WEAK = 0.05
"""Below this contrast the descriptions hardly point at the lesion."""


@torch.inference_mode()
def prior_contrast(crops: Crops, lesion: str) -> float:
    """Tell how well a lesion's prior alone tells its masks from the rest of the photographs.

    Args:
        crops: The training photographs.
        lesion: Its name in the catalog.

    Returns:
        Mean of the prior on the lesion minus its mean beside it, over all photographs, in
        [-1, 1]. At or below 0 the descriptions do not point CLIP at the lesion.

    Raises:
        TrainingError: No training photograph shows the lesion.
    """
    index = crops.catalog.index(lesion)
    text = F.normalize(crops.texts[index].mean(dim=0), dim=0)[None]
    sums = torch.zeros(2, 2, dtype=torch.float64, device="cpu")
    for image, features in zip(crops.images, crops.features, strict=True):
        prior = features.priors_of(text)[0, 0]
        mask = image.masks[index][None, None].to(torch.float32)
        shown = F.adaptive_max_pool2d(mask, prior.shape)[0, 0].bool()
        for row, place in enumerate((shown, ~shown & features.inside[0, 0])):
            sums[row] += sums.new_tensor([float(prior[place].sum()), float(place.sum())])
    if not sums[0, 1]:
        raise TrainingError(
            f"No training photograph shows {lesion}. Add masks of it, or leave it out."
        )
    on, beside = (sums[:, 0] / sums[:, 1].clamp(min=1)).tolist()
    return float(on - beside)


def warn_of_weak_descriptions(crops: Crops, lesions: Sequence[str]) -> None:
    """Log how well each lesion's prior points at it, and warn where it hardly does.

    Raises:
        TrainingError: No training photograph shows one of them.
    """
    for lesion in lesions:
        contrast = prior_contrast(crops, lesion)
        logger.info("prior of %s: %+.2f higher on it than beside it", lesion, contrast)
        if contrast < _WEAK:
            logger.warning(
                "The descriptions of %s hardly point at it: the prior is %+.2f higher on it than "
                "beside it. Describe its colour, shape and place in other words.", lesion, contrast,
            )  # fmt: skip
