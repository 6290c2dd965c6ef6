from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tp_drseg.errors import ConfigError
from tp_drseg.training.config import TrainingConfig


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"steps": None}, "steps or epochs must be given"),
        ({"epochs": 1.0}, "steps or epochs must be given"),
        ({"steps": 0}, "steps must be 1 or more"),
        ({"steps": -5}, "steps must be 1 or more"),
        ({"steps": 10**9}, "steps must be 10000000 or less"),
        ({"steps": 1.5}, "steps must be a whole number"),
        ({"steps": True}, "steps must be a whole number"),
        ({"steps": None, "epochs": -1.0}, "epochs must be above 0"),
        ({"steps": None, "epochs": float("nan")}, "epochs must be a finite number"),
        ({"batch_size": 0}, "batch_size must be 1 or more"),
        ({"batch_size": 10**6}, "batch_size must be 4096 or less"),
        ({"batch_size": 3, "micro_batch": 2}, "micro_batch must divide batch_size, got 2 for 3"),
        ({"save_every": 0}, "save_every must be 1 or more"),
        ({"validate_every": -1}, "validate_every must be 0 or more"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"learning_rate": "fast"}, "learning_rate must be a number"),
        ({"clip_norm": float("inf")}, "clip_norm must be a finite number"),
        ({"weight_decay": -0.1}, "weight_decay must be 0 or more"),
        ({"lesion_free_share": 1.1}, "lesion_free_share must be 1 or less"),
        ({"ema_decay": -0.1}, "ema_decay must be 0 or more"),
        ({"ema_decay": 1.0}, "ema_decay must be below 1"),
        ({"scales": (1.2, 0.8)}, "scales must have the least first"),
        ({"scales": (0.0, 1.0)}, "scales.0 must be 0.05 or more"),
        ({"scales": (1.0, 1e9)}, "scales.1 must be 20 or less"),
        ({"scales": [1.0, 1.0]}, "scales must be a tuple"),
        ({"scales": (1.0,)}, "scales.1 is missing"),
        ({"lr_factors": {"mask_decoder.": -1.0}}, "lr_factors.mask_decoder. must be 0 or more"),
        ({"lr_factors": ["a"]}, "lr_factors must be a mapping of names"),
        ({"lesion_weights": {"EX": -1.0}}, "lesion_weights.EX must be 0 or more"),
        ({"bce_weights": {"EX": float("nan")}}, "bce_weights.EX must be a finite number"),
        ({"lesions": ["EX"]}, "lesions must be a tuple"),
        ({"lesions": (3,)}, "lesions.0 must be a text"),
        ({"precision": "fp16", "schedule": "linear"}, "precision must be 'auto', 'float32' or"),
        ({"schedule": "linear"}, "schedule must be 'cosine' or 'constant', got 'linear'"),
        ({"geometric": 1}, "geometric must be true or false"),
        ({"workers": 10**4}, "workers must be 256 or less"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"averaging": 0.9}, "averaging is not a field; there are steps"),
    ],
)
def test_impossible_values(fields: dict[str, Any], words: str) -> None:
    good = TrainingConfig(steps=3)
    attempts: list[Callable[[], object]] = [
        lambda: TrainingConfig.model_validate({"steps": 3, **fields}),
        lambda: good.replace(**fields),
    ]
    for attempt in attempts:
        with pytest.raises(ConfigError) as caught:
            attempt()
        assert words in str(caught.value)


def test_total_steps() -> None:
    assert TrainingConfig(steps=7, batch_size=4).total_steps(100) == 7
    assert TrainingConfig(epochs=500, batch_size=4).total_steps(43) == 5375
    assert TrainingConfig(epochs=0.5).total_steps(10) == 5
    assert TrainingConfig(epochs=0.001, batch_size=8).total_steps(3) == 1
