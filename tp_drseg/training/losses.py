"""The loss of TP-DRSeg: soft IoU plus binary cross-entropy."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def soft_iou_loss(logits: Tensor, target: Tensor) -> Tensor:
    """One minus the soft intersection over union of each mask.

    `1 - sum(p t) / sum(p + t - p t)` with `p = sigmoid(logits)`. Without any positive in the
    target the intersection has nothing to learn from: the loss is 0 and has no gradient, so that
    the cross-entropy alone drives.

    Args:
        logits: `(..., H, W)`.
        target: the same shape, in [0, 1].

    Returns:
        `(...)` in [0, 1].
    """
    probability = logits.sigmoid()
    intersection = (probability * target).sum(dim=(-2, -1))
    union = (probability + target - probability * target).sum(dim=(-2, -1))
    present = target.sum(dim=(-2, -1)) > 0
    ratio = intersection / torch.where(present, union, torch.ones_like(union))
    return torch.where(present, 1 - ratio, torch.zeros_like(ratio))


def segmentation_loss(logits: Tensor, target: Tensor, bce_weight: float = 1.0) -> Tensor:
    """`L = mean(L_IoU + bce_weight * L_BCE)` over masks; the paper has `bce_weight` 1.

    Args:
        logits: `(B, L, H, W)`.
        target: the same shape, in [0, 1]; a pixel that a lesion covers in part counts in part.
        bce_weight: weight of the cross-entropy, whose mean over a mask is small when the lesion
            covers one pixel in a thousand.
    """
    bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(dim=(-2, -1))
    return (soft_iou_loss(logits, target) + bce_weight * bce).mean()
