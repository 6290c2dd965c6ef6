from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tp_drseg.training.engine.losses import segmentation_loss, soft_iou_loss


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-x)))


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0)) * 3


@pytest.fixture
def target() -> Tensor:
    """Parts of pixels too; nothing at all for one mask."""
    target = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(1))
    target[target < 0.6] = 0
    target[1, 2] = 0
    return target


def test_soft_iou(logits: Tensor, target: Tensor) -> None:
    found = soft_iou_loss(logits, target)
    assert found.shape == (2, 3)
    for b in range(2):
        for i in range(3):
            p, t = sigmoid(logits[b, i].double().numpy()), target[b, i].double().numpy()
            expected = 0.0 if (b, i) == (1, 2) else 1 - (p * t).sum() / (p + t - p * t).sum()
            assert float(found[b, i]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("weight", [0.0, 1.0, 10.0])
def test_segmentation_loss(logits: Tensor, target: Tensor, weight: float) -> None:
    p, t = sigmoid(logits.double().numpy()), target.double().numpy()
    bce = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(axis=(-2, -1))
    iou = soft_iou_loss(logits, target).double().numpy()
    found = float(segmentation_loss(logits, target, weight))
    assert found == pytest.approx((iou + weight * bce).mean(), rel=1e-5)


def test_perfect_and_opposite() -> None:
    target = torch.zeros(1, 1, 4, 4)
    target[..., :2] = 1
    logits = (target * 2 - 1) * 40
    assert float(soft_iou_loss(logits, target)) == pytest.approx(0, abs=1e-6)
    assert float(soft_iou_loss(-logits, target)) == pytest.approx(1, abs=1e-6)
    assert float(segmentation_loss(logits, target)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("extreme", [0.0, 100.0, -100.0])
def test_without_lesion_only_the_cross_entropy_drives(extreme: float) -> None:
    logits = torch.full((1, 1, 4, 4), extreme, requires_grad=True)
    target = torch.zeros(1, 1, 4, 4)
    loss = soft_iou_loss(logits, target).sum()
    assert loss.item() == 0
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None and not logits.grad.any()
    logits.grad = None
    segmentation_loss(logits, target).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    # the gradient of the mean cross-entropy alone: sigmoid / number of pixels
    torch.testing.assert_close(logits.grad, logits.detach().sigmoid() / 16)


def test_a_lesion_that_is_wholly_missed_is_finite() -> None:
    logits = torch.full((1, 1, 4, 4), -200.0, requires_grad=True)
    target = torch.zeros(1, 1, 4, 4)
    target[0, 0, 0, 0] = 1
    loss = segmentation_loss(logits, target)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.isfinite() and logits.grad is not None and logits.grad.isfinite().all()


def test_only_scored_pixels_count(logits: Tensor, target: Tensor) -> None:
    scored = torch.ones_like(target)
    scored[..., :3] = 0
    found = segmentation_loss(logits, target, 10.0, scored)
    cut = segmentation_loss(logits[..., 3:], target[..., 3:], 10.0)
    assert float(found) == pytest.approx(float(cut), rel=1e-5)
    changed = torch.where(scored > 0, logits, -logits)
    opposite = torch.where(scored > 0, target, 1 - target)
    assert torch.equal(segmentation_loss(changed, opposite, 10.0, scored), found)


def test_a_mask_without_scored_pixels_gives_no_loss_and_no_gradient(target: Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 5, 7, generator=generator).requires_grad_()
    scored = torch.ones_like(target)
    scored[0, 1] = 0
    segmentation_loss(logits, target, 10.0, scored).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert not logits.grad[0, 1].any() and logits.grad[0, 0].any()
    only = torch.zeros_like(target)
    assert segmentation_loss(logits, target, 10.0, only).item() == 0


def test_a_weight_for_each_mask(logits: Tensor, target: Tensor) -> None:
    weights = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    found = segmentation_loss(logits, target, weights)
    one_by_one = [
        segmentation_loss(logits[b, i][None, None], target[b, i][None, None], float(weights[b, i]))
        for b in range(2)
        for i in range(3)
    ]
    assert float(found) == pytest.approx(float(torch.stack(one_by_one).mean()), rel=1e-5)


def test_a_weight_of_each_mask_as_a_whole(logits: Tensor, target: Tensor) -> None:
    weight = torch.tensor([[1.0, 0.0, 0.5], [2.0, 0.01, 1.0]])
    found = segmentation_loss(logits, target, 10.0, weight=weight)
    one_by_one = [
        float(weight[b, i]) * float(segmentation_loss(logits[b, i], target[b, i], 10.0))
        for b in range(2)
        for i in range(3)
    ]
    assert float(found) == pytest.approx(sum(one_by_one) / 6, rel=1e-5)
