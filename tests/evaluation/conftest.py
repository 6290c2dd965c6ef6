"""Predictions that no model had to make: noisy copies of drawn blobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from tp_drseg.config import LearnedPhotograph, Provenance, TPDRSegConfig
from tp_drseg.data import Sample
from tp_drseg.evaluation import evaluate, operating_points
from tp_drseg.evaluation.convention import Pixels
from tp_drseg.evaluation.predictions import Descriptions, Prediction

SHAPE = (60, 80)
LESIONS = ("haemorrhage", "hard exudate")


def blobs(rng: np.random.Generator, share: float) -> NDArray[np.bool_]:
    noise = ndimage.gaussian_filter(rng.normal(size=SHAPE), 2)
    return np.asarray(noise > np.quantile(noise, 1 - share)) if share else np.zeros(SHAPE, bool)


def predict(
    name: str,
    seed: int,
    *,
    lesion: str = "haemorrhage",
    share: float = 0.05,
    ignored: bool = False,
    kind: Descriptions = Descriptions.OWN,
) -> Prediction:
    rng = np.random.default_rng(seed)
    truth = blobs(rng, share)
    logit = ndimage.gaussian_filter(3 * truth + 1.5 * rng.normal(size=SHAPE), 1) * 3 - 3
    field = np.ones(SHAPE, bool)
    field[:, :10] = False
    left_out = np.zeros(SHAPE, bool)
    if ignored:
        left_out[:20, 40:] = True
    scored = field & ~left_out
    return Prediction(
        photograph=name,
        image=rng.integers(0, 255, (*SHAPE, 3), dtype=np.uint8),
        lesion=lesion,
        descriptions=kind,
        probability=(1 / (1 + np.exp(-logit))).astype(np.float32),
        truth=truth & scored,
        scored=scored,
        ignored=left_out & field,
    )


@pytest.fixture
def fake_model(small_config: TPDRSegConfig) -> Any:
    """What of a model is asked for when its predictions are given.

    It has learned from one photograph, which none of the tests scores.
    """
    learned = LearnedPhotograph(name="another", sha256="0" * 64)
    config = small_config.replace(provenance=Provenance(photographs=(learned,)))
    return SimpleNamespace(config=config, catalog=config.lesions)


class Given:
    """`given(predictions, ...)`: stands them in for a model's; returns their samples."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.by_name: dict[str, list[Prediction]] = {}

    def __call__(self, *found: Prediction) -> list[Sample]:
        for prediction in found:
            self.by_name.setdefault(prediction.photograph, []).append(prediction)
        samples = []
        for name in dict.fromkeys(p.photograph for p in found):
            image = self.folder / f"{name.encode().hex()}.jpg"
            image.write_text(name)  # no photograph, but a content of its own
            samples.append(Sample(name, image, {}))
        return samples

    def forget(self) -> None:
        """Another model's predictions may have the same names."""
        self.by_name.clear()

    def predictions(
        self,
        model: Any,
        samples: Sequence[Sample],
        descriptions: Sequence[Descriptions] = (Descriptions.OWN,),
        pixels: Pixels = Pixels.FIELD_OF_VIEW,
    ) -> Iterator[Prediction]:
        for sample in samples:
            yield from (p for p in self.by_name[sample.name] if p.descriptions in descriptions)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Given:
    """`given(predictions, ...)`: stands them in for a model's; returns their samples."""
    given = Given(tmp_path_factory.mktemp("photographs"))
    for module in (evaluate, operating_points):
        monkeypatch.setattr(module, "predictions", given.predictions)
    return given


@pytest.fixture
def make_prediction() -> Callable[..., Prediction]:
    """`make_prediction(name, seed, lesion=, share=, ignored=, kind=)`."""
    return predict
