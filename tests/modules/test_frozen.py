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
def test_training_mode_leaves_the_frozen_parts_alone(small_network: Any) -> None:
    network = small_network
    for mode in (True, False, True):
        network.train(mode)
        for frozen in (
            network.explicit_prior,
            network.image_encoder.backbone,
        ):
            assert not any(module.training for module in frozen.modules())
        for part in ("mask_decoder", "prompt_generator"):
            assert getattr(network, part).training is mode
        assert network.image_encoder.injectors.training is mode


@KINDS
def test_what_learns(small_network: Any) -> None:
    learns = dict(small_network.trained_parameters())
    expected = {
        name
        for name, _ in small_network.named_parameters()
        if name.startswith(LEARNS) and not name.startswith(UNUSED)
    }
    assert learns.keys() == expected
    assert any(n.startswith("detail_head.") for n in learns) is small_network.architecture.detail


@KINDS
def test_all_that_learns_gets_a_gradient_and_nothing_else(small_network: Any, stir: Any) -> None:
    network = stir(small_network).train()
    priors = network.explicit_prior(torch.rand(2, 3, 64, 64), ["red dots", "yellow spots"])
    logits = network(255 * torch.rand(2, 3, 64, 64), priors, torch.tensor([0, 2]))
    side = 32 if network.architecture.detail else 16
    assert logits.shape == (2, 2, side, side)
    logits.square().mean().backward()
    learns = {name for name, _ in network.trained_parameters()}
    for name, parameter in network.named_parameters():
        assert (parameter.grad is not None) == (name in learns), name
