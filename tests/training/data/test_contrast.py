from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from tp_drseg.errors import TrainingError
from tp_drseg.inference.prior import CLIPFeatures
from tp_drseg.training.data.annotated import AnnotatedImage
from tp_drseg.training.data.contrast import prior_contrast, warn_of_weak_descriptions
from tp_drseg.training.data.crops import Crops

EX = 1


@pytest.fixture
def crops(make_crops: Callable[..., Crops], photographs: list[AnnotatedImage]) -> Crops:
    """Crops of one photograph, on which CLIP sees exudates exactly where they are, or the rest."""
    crops = make_crops(photographs[:1])
    mask = torch.zeros_like(crops.images[0].masks)
    mask[EX, 20:40, 30:40] = 1
    crops.images[0] = replace(crops.images[0], masks=mask)
    shown = torch.zeros(1, 1, 8, 8)
    shown[0, 0, 2:4, 3] = 1  # cells of 10 pixels
    dense = torch.cat([shown, 1 - shown], dim=1)
    crops.features = [CLIPFeatures(dense, torch.ones(1, 1, 8, 8, dtype=torch.bool))]
    crops.texts = [torch.tensor([[1.0, 0.0], [1.0, 0.0]])] * 3
    return crops


def test_descriptions_that_point_at_the_lesion(
    crops: Crops, caplog: pytest.LogCaptureFixture
) -> None:
    assert prior_contrast(crops, "EX") == 1
    with caplog.at_level(logging.WARNING):
        warn_of_weak_descriptions(crops, ["hard exudate"])
    assert not caplog.records


def test_descriptions_that_point_elsewhere(crops: Crops, caplog: pytest.LogCaptureFixture) -> None:
    crops.texts[EX] = torch.tensor([[0.0, 1.0]])
    assert prior_contrast(crops, "hard exudate") == -1
    warn_of_weak_descriptions(crops, ["hard exudate"])
    assert "hard exudate hardly point at it: the prior is -1.00" in caplog.text


def test_a_lesion_that_no_photograph_shows(crops: Crops) -> None:
    with pytest.raises(TrainingError, match="No training photograph shows haemorrhage"):
        prior_contrast(crops, "haemorrhage")
