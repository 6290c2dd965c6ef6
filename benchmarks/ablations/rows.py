"""The rows of the paper's tables: what each one changes in the configuration of the full model."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

FULL = "full"
"""The row that the others are compared with."""

METHOD: Mapping[str, Any] = MappingProxyType(
    {
        "tuning": "injector",
        "injector_prior": True,
        "generator_prior": True,
        "text": "description",
    }
)
"""The fields that rows change, as the full method has them."""

ABLATIONS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        FULL: {},
        "no-injector": {"tuning": "none"},
        "no-injector-prior": {"injector_prior": False},
        "no-generator-prior": {"generator_prior": False},
        "no-prior": {"injector_prior": False, "generator_prior": False},
        "class-name": {"text": "name"},
    }
)
"""The paper's ablation; beside it, a model that never sees the prior, and class names as texts."""

TUNINGS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "adapter": {"tuning": "adapter"},
        "multi-scale-adapter": {"tuning": "multi_scale_adapter"},
        "lora": {"tuning": "lora"},
    }
)
"""What the paper puts in the place of its injector, which is the row `full`."""

ROWS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {row: {**METHOD, **changes} for row, changes in {**ABLATIONS, **TUNINGS}.items()}
)
"""All rows, each with every field of `METHOD`, whatever the model they begin with has."""


def model_changes(row: str) -> dict[str, dict[str, Any]]:
    """Return what a row changes, by section of the configuration."""
    fields = dict(ROWS[row])
    return {"inference": {"text": fields.pop("text")}, "architecture": fields}


PAPER_DICE: Mapping[str, float] = MappingProxyType(
    {
        FULL: 49.72,
        "no-injector": 35.09,
        "no-injector-prior": 44.89,
        "no-generator-prior": 45.03,
        "adapter": 47.46,
        "multi-scale-adapter": 45.95,
        "lora": 44.22,
    }
)
"""The paper's mDice on IDRiD's test set, in percent; it has none for the other rows."""

PAPER_AUC_PR: Mapping[str, float] = MappingProxyType({FULL: 50.55})
"""Its AUC-PR, likewise."""
