from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import cohen_kappa_score, f1_score

from tp_drseg.data import MaskFile, Sample
from tp_drseg.errors import DataError
from tp_drseg.evaluation.agreement import Counts, agreement
from tp_drseg.images import read_fundus
from tp_drseg.lesions import LesionCatalog

CATALOG = LesionCatalog.default()
EX, MA = "hard exudate", "microaneurysm"


@pytest.fixture
def photographs(tmp_path: Path, draw_eye: Any) -> list[Path]:
    paths = []
    for number in range(3):
        pixels = draw_eye(64)
        pixels[32, 32 + number] = 0
        paths.append(tmp_path / f"eye{number}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def sample(path: Path, who: str, **masks: NDArray[np.bool_] | None) -> Sample:
    found: dict[str, MaskFile | None] = {}
    for label, mask in masks.items():
        name = CATALOG.resolve(label).name
        found[name] = None
        if mask is not None:
            file = path.with_name(f"{who}.{label}.{path.name}")
            Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0))).save(file)
            found[name] = MaskFile(file)
    return Sample(path.name, path, found)


def test_it_is_what_independent_code_says(photographs: list[Path]) -> None:
    rng = np.random.default_rng(0)
    drawn = [[rng.random((64, 64)) < 0.2 for _ in range(2)] for _ in photographs]
    first = [sample(p, "a", EX=one[0]) for p, one in zip(photographs, drawn, strict=True)]
    second = [sample(p, "b", EX=one[1]) for p, one in zip(photographs, drawn, strict=True)]
    (found,) = agreement(first, second, CATALOG)
    inside = [read_fundus(path).field_of_view.mask for path in photographs]
    pairs = [(a[f], b[f]) for (a, b), f in zip(drawn, inside, strict=True)]
    assert found.dice == pytest.approx(np.mean([f1_score(a, b) for a, b in pairs]))
    a, b = (np.concatenate([pair[n] for pair in pairs]) for n in range(2))
    assert found.pooled.dice == pytest.approx(f1_score(a, b))
    assert found.pooled.kappa == pytest.approx(cohen_kappa_score(a, b))
    assert (found.lesion, found.photographs, found.marked) == (EX, 3, 3)


def test_photographs_where_neither_marked_anything_have_no_dice(photographs: list[Path]) -> None:
    mask = np.zeros((64, 64), bool)
    mask[30:34, 30:34] = True
    first = [sample(p, "a", EX=m) for p, m in zip(photographs, (mask, None, None), strict=True)]
    second = [sample(p, "b", EX=m) for p, m in zip(photographs, (mask, None, mask), strict=True)]
    (found,) = agreement(first, second, CATALOG)
    assert (found.photographs, found.marked) == (3, 2)
    assert found.dice == pytest.approx(0.5)
    assert found.presence == Counts(both=1, first=0, second=1, neither=1)
    assert found.presence.kappa == pytest.approx(cohen_kappa_score([1, 0, 0], [1, 0, 1]))


def test_only_what_both_have_signed_is_compared(photographs: list[Path]) -> None:
    mask = np.eye(64, dtype=bool)
    first = [sample(photographs[0], "a", EX=mask, MA=mask), sample(photographs[1], "a", EX=mask)]
    second = [sample(photographs[0], "b", EX=mask), sample(photographs[2], "b", EX=mask)]
    (found,) = agreement(first, second, CATALOG)
    assert (found.lesion, found.photographs, found.dice) == (EX, 1, 1.0)
    with pytest.raises(DataError, match="in common"):
        agreement(first[1:], second[1:], CATALOG)


def test_no_chance_left() -> None:
    assert math.isnan(Counts(0, 0, 0, 0).kappa) and math.isnan(Counts(0, 0, 0, 5).dice)
    assert math.isnan(Counts(0, 0, 0, 5).kappa)
    assert Counts(5, 0, 0, 5).kappa == 1
