"""The loss of TP-DRSeg: soft IoU plus binary cross-entropy."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tp_drseg.lesions import LesionCatalog
from tp_drseg.training.config import TrainingConfig


def soft_iou_loss(logits: Tensor, target: Tensor, scored: Tensor | None = None) -> Tensor:
    """Return one minus the soft intersection over union of each mask.

    `1 - sum(p t) / sum(p + t - p t)` with `p = sigmoid(logits)`. Without any positive in the
    target the intersection has nothing to learn from: the loss is 0 and has no gradient, so that
    the cross-entropy alone drives.

    Args:
        logits: `(..., H, W)`.
        target: the same shape, in [0, 1].
        scored: the same shape, 0 where neither lesion nor background is known; all 1 by default.

    Returns:
        `(...)` in [0, 1].
    """
    probability = logits.sigmoid()
    if scored is not None:
        probability, target = probability * scored, target * scored
    intersection = (probability * target).sum(dim=(-2, -1))
    union = (probability + target - probability * target).sum(dim=(-2, -1))
    present = target.sum(dim=(-2, -1)) > 0
    ratio = intersection / torch.where(present, union, torch.ones_like(union))
    return torch.where(present, 1 - ratio, torch.zeros_like(ratio))


def segmentation_loss(
    logits: Tensor,
    target: Tensor,
    bce_weight: Tensor | float = 1.0,
    scored: Tensor | None = None,
    weight: Tensor | float = 1.0,
) -> Tensor:
    """Return `mean(weight (L_IoU + bce_weight L_BCE))` over masks; the paper has 1 for both.

    Args:
        logits: `(B, L, H, W)`.
        target: the same shape, in [0, 1]; a pixel that a lesion covers in part counts in part.
        bce_weight: weight of the cross-entropy, whose mean over a mask is small when the lesion
            covers one pixel in a thousand; one number, or one a mask, `(B, L)`.
        scored: see `soft_iou_loss`; a mask without any scored pixel has the loss 0.
        weight: of a mask as a whole; one number, or one a mask, `(B, L)`.
    """
    pixelwise = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    if scored is None:
        bce = pixelwise.mean(dim=(-2, -1))
    else:
        bce = (pixelwise * scored).sum(dim=(-2, -1)) / scored.sum(dim=(-2, -1)).clamp(min=1)
    return (weight * (soft_iou_loss(logits, target, scored) + bce_weight * bce)).mean()


def cross_entropy_weights(config: TrainingConfig, catalog: LesionCatalog) -> Tensor:
    """Return the weight of each lesion's cross-entropy, `(L,)`, in the catalog's order."""
    weights = [config.bce_weight] * len(catalog)
    for name, weight in config.bce_weights.items():
        weights[catalog.index(name)] = weight
    return torch.tensor(weights, dtype=torch.float32, device="cpu")
