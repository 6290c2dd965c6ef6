from __future__ import annotations

from typing import Any

import pytest

from tp_drseg.errors import ConfigError
from tp_drseg.training.config import TrainingConfig


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "training.steps or training.epochs"),
        ({"steps": 1, "epochs": 1.0}, "training.steps or training.epochs"),
        ({"steps": 0}, "training.steps must be above 0"),
        ({"epochs": -1.0}, "training.epochs must be above 0"),
        ({"steps": 1, "batch_size": 0}, "training.batch_size must be 1 or more"),
        ({"steps": 1, "batch_size": 3, "micro_batch": 2}, "training.micro_batch (2) must divide"),
        ({"steps": 1, "save_every": 0}, "training.save_every must be 1 or more"),
        ({"steps": 1, "validate_every": -1}, "training.validate_every must be 0 or more"),
        ({"steps": 1, "learning_rate": 0.0}, "training.learning_rate must be above 0"),
        ({"steps": 1, "clip_norm": 0.0}, "training.clip_norm must be above 0"),
        ({"steps": 1, "weight_decay": -0.1}, "training.weight_decay must be 0 or more"),
        ({"steps": 1, "negatives": 1.1}, "training.negatives must be in [0, 1]"),
        ({"steps": 1, "averaging": -0.1}, "training.averaging must be in [0, 1]"),
        ({"steps": 1, "scales": (1.2, 0.8)}, "training.scales"),
        ({"steps": 1, "scales": (0.0, 1.0)}, "training.scales"),
        ({"steps": 1, "parts": {"mask_decoder.": -1.0}}, "training.parts['mask_decoder.']"),
        ({"steps": 1, "focus": {"EX": -1.0}}, "training.focus['EX']"),
        ({"steps": 1, "bce_weights": {"EX": -1.0}}, "training.bce_weights['EX']"),
    ],
)
def test_impossible_values(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TrainingConfig(**fields)
    assert words in str(caught.value)


def test_total_steps() -> None:
    assert TrainingConfig(steps=7, batch_size=4).total_steps(100) == 7
    assert TrainingConfig(epochs=500, batch_size=4).total_steps(43) == 5375
    assert TrainingConfig(epochs=0.5).total_steps(10) == 5
    assert TrainingConfig(epochs=0.001, batch_size=8).total_steps(3) == 1
