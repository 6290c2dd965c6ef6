from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from benchmarks.harness.checkpoints import spread_logits, stir_zeros
from tp_drseg.model import TPDRSeg


def test_trained_zeros_get_a_say(make_model: Callable[..., TPDRSeg]) -> None:
    model = make_model("vit")
    value = model.network.state_dict()["image_encoder.injectors.0.value.weight"]
    assert not value.any()
    stir_zeros(model.network)
    assert all(parameter.any() for parameter in model.network.parameters())
    spread_logits(model, 2.0)
    generator = torch.Generator().manual_seed(2)
    image = torch.rand(1, 3, 64, 64, generator=generator) * 255
    prior = torch.rand(1, 1, 4, 4, generator=generator)
    with torch.inference_mode():
        logits = model.network(image, prior, torch.zeros(1, dtype=torch.int64))
    assert float(logits.std()) == pytest.approx(2.0, rel=1e-3)
