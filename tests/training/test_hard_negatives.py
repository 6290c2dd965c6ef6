from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tp_drseg.data import Sample
from tp_drseg.errors import ConfigError
from tp_drseg.model import TPDRSeg
from tp_drseg.training.config import TrainingConfig
from tp_drseg.training.data.annotated import AnnotatedImage, FrameSizes, load_annotated
from tp_drseg.training.data.crops import Crops
from tp_drseg.training.hard_negatives import with_marks
from tp_drseg.training.run_config import DataConfig, RunConfig, StartConfig

LESIONS = ("haemorrhage", "hard exudate", "soft exudate")


class Marking:
    """Marks a square of every photograph as one lesion, and less surely the rest as another."""

    asked = 0

    def segment_many(self, path: Path, *, max_pixels: int) -> list[Any]:
        self.asked += 1
        faint = np.full((88, 96), 0.05, np.float32)
        sure = np.zeros((88, 96), np.float32)
        sure[24:34, 28:48] = 0.3
        return [SimpleNamespace(probability=faint), SimpleNamespace(probability=sure)]


@pytest.fixture
def samples(data_set: Path) -> list[Sample]:
    """One without lesions, one of which nothing is known."""
    healthy, other = sorted((data_set / "healthy").iterdir())[:2]
    return [Sample("healthy", healthy, dict.fromkeys(LESIONS)), Sample("unknown", other, {})]


def test_marks_lie_where_the_model_marked(
    samples: list[Sample], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images = [load_annotated(s, LESIONS, FrameSizes(64, 64, 64)) for s in samples]
    marking: Any = Marking()
    healthy, unknown = with_marks(marking, samples, images, tmp_path / "marks")
    assert unknown.marks is None and healthy.marks is not None and marking.asked == 1
    assert healthy.marks.shape == (256, 256)
    # the field of view is a disc of 80 pixels that begins at 8, 4
    rows, columns = healthy.marks.nonzero(as_tuple=True)
    expected = np.array([[24 - 4, 34 - 4], [28 - 8, 48 - 8]]) / 80 * 256
    found = np.array([[int(x.min()), int(x.max()) + 1] for x in (rows, columns)])
    assert np.abs(found - expected).max() <= 5
    # and are kept
    (again, _) = with_marks(marking, samples, images, tmp_path / "marks")
    assert again.marks is not None and torch.equal(again.marks, healthy.marks)
    assert marking.asked == 1
    (kept,) = (tmp_path / "marks").iterdir()
    kept.write_bytes(b"none")
    with caplog.at_level(logging.WARNING):
        (anew, _) = with_marks(marking, samples, images, tmp_path / "marks")
    assert anew.marks is not None and torch.equal(anew.marks, healthy.marks)
    assert marking.asked == 2 and kept.name in caplog.text


def test_crops_of_what_was_marked(
    model: TPDRSeg, photograph: Callable[..., AnnotatedImage]
) -> None:
    one, two, none = (photograph(name, 3, lesions=False) for name in ("one", "two", "none"))
    marks = torch.zeros(256, 256)
    marks[100, 40:44] = 1.0
    less = torch.zeros(256, 256)
    less[200, 200] = 1.0
    images = [
        photograph("sick", 1), replace(one, marks=marks), replace(two, marks=less),
        replace(none, marks=torch.zeros(256, 256)),
    ]  # fmt: skip
    config = TrainingConfig(
        steps=9, lesion_free_share=1.0, hard_negatives=0.75, points=0.0, scales=(0.2, 0.2)
    )
    crops = Crops(model, images, config)
    names = Counter(crops.name(number) for number in range(400))
    # three quarters by what is marked, 4 : 1 : 0, and a quarter evenly
    assert names["one"] == pytest.approx(240 + 33, abs=40)
    assert names["two"] == pytest.approx(60 + 33, abs=30)
    assert names["none"] == pytest.approx(33, abs=20)
    generator = torch.Generator().manual_seed(0)
    drawn = [c for c in (crops.sampler.draw(generator) for _ in range(60)) if c.marked]
    for choice in drawn:
        crop = crops._window(choice, 1, generator)
        place = (42 / 256, 100 / 256) if choice.image == 1 else (200 / 256, 200 / 256)
        away = max(abs(a - b) for a, b in zip(crop.centre, place, strict=True))
        assert away <= 0.35 * crop.extent + 0.02
    assert len(drawn) > 20


def test_both_settings_go_together() -> None:
    data, start = DataConfig(root="eyes"), StartConfig(checkpoint="embedded")
    with pytest.raises(ConfigError, match="go together"):
        RunConfig(data=data, start=start, training=TrainingConfig(steps=1, hard_negatives=0.5))
    with pytest.raises(ConfigError, match="go together"):
        RunConfig(
            data=data.replace(marked_by="embedded"), start=start, training=TrainingConfig(steps=1)
        )
