"""What the tests of benchmarks share: a checkpoint whose every part has a say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.checkpoints import spread_logits, stir_zeros
from tp_drseg.model import TPDRSeg

Make = Callable[..., TPDRSeg]


@pytest.fixture
def example() -> Path:
    """A photograph with drawn lesions."""
    return Path(__file__).parents[2] / "examples" / "retina_with_lesions.jpg"


@pytest.fixture
def checkpoint(make_model: Make) -> Make:
    """`checkpoint(folder, kind, **changes)`: a small model, and the checkpoint it was saved as."""

    def make(folder: Path, kind: str, **changes: Any) -> TPDRSeg:
        changes = {"injector_blocks": (3, 4), **changes} if kind == "tiny_vit" else changes
        model = make_model(kind, **changes)
        stir_zeros(model.network)
        spread_logits(model)
        model.save_pretrained(folder)
        return model

    return make
