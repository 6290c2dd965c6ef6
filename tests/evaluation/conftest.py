"""Predictions that no model had to make: noisy copies of drawn blobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from tp_drseg.config import TPDRSegConfig
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
    """What of a model is asked for when its predictions are given."""
    return SimpleNamespace(config=small_config, catalog=small_config.lesions)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Sample]]:
    """`given(predictions, ...)`: stands them in for a model's; returns their samples."""
    by_name: dict[str, list[Prediction]] = {}

    def stand_in(
        model: Any,
        samples: Sequence[Sample],
        descriptions: Sequence[Descriptions] = (Descriptions.OWN,),
        pixels: Pixels = Pixels.FIELD_OF_VIEW,
    ) -> Iterator[Prediction]:
        for sample in samples:
            yield from (p for p in by_name[sample.name] if p.descriptions in descriptions)

    for module in (evaluate, operating_points):
        monkeypatch.setattr(module, "predictions", stand_in)

    def give(*found: Prediction) -> list[Sample]:
        for prediction in found:
            by_name.setdefault(prediction.photograph, []).append(prediction)
        names = dict.fromkeys(prediction.photograph for prediction in found)
        return [Sample(name, None, {}) for name in names]  # type: ignore[arg-type]

    return give


@pytest.fixture
def make_prediction() -> Callable[..., Prediction]:
    """`make_prediction(name, seed, lesion=, share=, ignored=, kind=)`."""
    return predict
