from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tp_drseg.training.data.feature_cache import cached_features

Make = Callable[..., Any]


def counting(network: Any) -> list[int]:
    """How often the encoder's beginning has been computed, in the last place."""
    calls, stem = [0], network.image_encoder.backbone.stem

    def counted(images: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        found: torch.Tensor = stem(images)
        return found

    network.image_encoder.backbone.stem = counted
    return calls


@pytest.mark.parametrize("tuning", ["injector", "lora", "none"])
@pytest.mark.parametrize("kind", ["vit", "tiny_vit"])
def test_what_is_remembered_is_what_would_be_computed(
    make_model: Make, tuning: str, kind: str
) -> None:
    if tuning == "lora":
        pytest.importorskip("peft")
    block = 4 if kind == "tiny_vit" else 1
    network = make_model(kind, tuning=tuning, injector_blocks=(block,)).network
    images = 255 * torch.rand(2, 1, 3, 64, 64)
    priors, classes = torch.rand(1, 2, 4, 4), torch.tensor([0, 1])
    network.train()
    expected = [network(x, priors, classes) for x in images]
    calls = counting(network)
    with cached_features(network):
        for _ in range(3):
            for x, logits in zip(images, expected, strict=True):
                assert torch.equal(network(x, priors, classes), logits)
        assert calls == [2]
        network.eval()
        for _ in range(2):
            network(images[0], priors, classes)
        assert calls == [4]
    network.train()
    assert torch.equal(network(images[0], priors, classes), expected[0])
    assert calls == [5]


def test_what_learns_is_not_remembered(make_model: Make) -> None:
    network = make_model("tiny_vit").network.train()
    image = 255 * torch.rand(1, 3, 64, 64)
    priors, classes = torch.rand(1, 1, 4, 4), torch.tensor([0])
    network.detail_head.requires_grad_(True)
    torch.nn.init.normal_(network.detail_head.choose.layers[-1].weight)
    with cached_features(network):
        before = network(image, priors, classes)
        with torch.no_grad():
            network.detail_head.last.bias += 1
        assert not torch.equal(network(image, priors, classes), before)
    network.image_encoder.backbone.requires_grad_(True)
    calls = counting(network)
    with cached_features(network):
        for _ in range(2):
            network(image, priors, classes)
    assert calls == [2]
