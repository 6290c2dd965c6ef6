"""What stays frozen in the composed model, and what learns."""

from __future__ import annotations

from typing import Any

import pytest
import torch

KINDS = pytest.mark.parametrize("small_config", ["tiny_vit", "vit"], indirect=True)
LEARNS = ("image_encoder.injectors.", "prompt_generator.", "mask_decoder.", "detail_head.")
UNUSED = (
    "mask_decoder.iou_prediction_head.",
    *(f"mask_decoder.output_hypernetworks_mlps.{i}." for i in (1, 2, 3)),
)


@KINDS
def test_training_mode_leaves_the_frozen_parts_alone(small_model: Any) -> None:
    for mode in (True, False, True):
        small_model.train(mode)
        for frozen in (small_model.explicit_prior, small_model.image_encoder.backbone):
            assert not any(module.training for module in frozen.modules())
        for part in ("mask_decoder", "prompt_generator"):
            assert getattr(small_model, part).training is mode
        assert small_model.image_encoder.injectors.training is mode


@KINDS
def test_what_learns(small_model: Any) -> None:
    learns = dict(small_model.trained_parameters())
    expected = {
        name
        for name, _ in small_model.named_parameters()
        if name.startswith(LEARNS) and not name.startswith(UNUSED)
    }
    assert learns.keys() == expected
    assert (
        any(n.startswith("detail_head.") for n in learns) is small_model.config.architecture.detail
    )


@KINDS
def test_all_that_learns_gets_a_gradient_and_nothing_else(small_model: Any, stir: Any) -> None:
    model = stir(small_model).train()
    priors = model.explicit_prior(torch.rand(2, 3, 64, 64), ["red dots", "yellow spots"])
    logits = model(255 * torch.rand(2, 3, 64, 64), priors, torch.tensor([0, 2]))
    side = 32 if model.config.architecture.detail else 16
    assert logits.shape == (2, 2, side, side)
    logits.square().mean().backward()
    learns = {name for name, _ in model.trained_parameters()}
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == (name in learns), name
