from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.words.drawn_things import THINGS, write_photographs
from benchmarks.words.lesions import wins
from benchmarks.words.masks import Loss, choose, loss_table
from benchmarks.words.patches import area, mean_area, see
from benchmarks.words.tables import table
from tp_drseg.data import read_dataset
from tp_drseg.lesions import LesionCatalog
from tp_drseg.model import TPDRSeg
from tp_drseg.training.data.annotated import FrameSizes, load_annotated


def test_a_table() -> None:
    assert table(["", "a"], [["x", "1"]]) == "|  | a |\n| --- | --- |\n| x | 1 |"


def test_areas_count_pairs() -> None:
    high, low = [0.9, 0.5, 0.4], [0.5, 0.1]
    assert wins(high, low) == pytest.approx((2 + 1.5 + 1) / 6)
    assert area(np.array(high), np.array(low)) == pytest.approx(wins(high, low))


def test_what_a_wording_costs() -> None:
    losses = [
        Loss("EX", "yellow", 0.8, 0.79, leads=True),
        Loss("EX", "pale", 0.8, 0.5, leads=False),
        Loss("EX", "gold", 0.6, 0.6, leads=True),
    ]
    row = loss_table(losses).splitlines()[2]
    assert row == "| EX | 0.733 | -0.010 | -0.300 | -0.010 | 2 of 3 |"


def test_the_hardest_paraphrases(make_model: Callable[..., TPDRSeg]) -> None:
    model = make_model("tiny_vit", injector_blocks=(3, 4))
    hardest, chance = choose(model, 2, None), choose(model, 2, 0)
    assert chance == choose(model, 2, 0) != choose(model, 2, 1)
    prior, lesion = model.network.explicit_prior, model.catalog["EX"]
    own = prior.text_features(lesion.texts, lesion.name)

    def nearest(texts: list[str]) -> float:
        return max(float(prior.text_features(text, lesion.name) @ own) for text in texts)

    assert len(hardest[lesion.name]) == 2
    assert nearest(hardest[lesion.name]) <= nearest(chance[lesion.name])


def test_a_prior_on_its_lesion_has_a_large_area(
    make_model: Callable[..., TPDRSeg],
    example: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lesion = THINGS["hoop"].lesion
    write_photographs(THINGS["hoop"], [example], tmp_path, seed=0)
    (sample,) = read_dataset(tmp_path, "folder", None, LesionCatalog((lesion,)))
    model = make_model()
    seen = see(model, load_annotated(sample, [lesion.name], FrameSizes.of(model.config)))
    features, covered = seen
    assert covered.shape[1] == 1 and 0 < covered.mean() < 0.2
    perfect = type("Perfect", (), {"priors": lambda *_: covered, "inside": features.inside})
    assert mean_area(model, [(perfect(), covered)], 0, lesion.texts) == 1
    assert 0 < mean_area(model, [seen], 0, lesion.texts) < 1
