from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.reference.network import PlainTPDRSeg
from benchmarks.reference.photograph import segment_plain
from tp_drseg.model import TPDRSeg

Make = Callable[..., TPDRSeg]


@pytest.mark.parametrize(("kind", "diameter"), [("tiny_vit", 64), ("tiny_vit", 112), ("vit", 64)])
def test_plain_reference_gives_the_models_probability_of_a_photograph(
    tmp_path: Path, checkpoint: Make, example: Path, kind: str, diameter: int
) -> None:
    model = checkpoint(tmp_path, kind, working_diameter=diameter)
    names = model.catalog.names[:2]
    answer = segment_plain(PlainTPDRSeg.from_folder(tmp_path), example, names, keep=True)
    found = model.segment_many(example, names)
    for name in names:
        assert len(answer.tiles[name]) == (4 if diameter > 64 else 1)
        np.testing.assert_allclose(answer.probability[name], found[name].probability, atol=1e-4)
        assert answer.probability[name][answer.inside].std() > 0.01
