"""Models in a process that other packages have set up, and texts that are too long."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tp_drseg.errors import PromptError
from tp_drseg.images import Frame, find_field_of_view
from tp_drseg.inference.placed import PlacedClicks
from tp_drseg.model import TPDRSeg


@pytest.fixture
def float64() -> Iterator[None]:
    """PyTorch's default type is float64, while the block runs."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.xfail(strict=True, reason="what no checkpoint holds is made in the default type")
def test_a_model_of_float32_where_the_default_is_float64(
    small_model: TPDRSeg, retina: NDArray[np.uint8], tmp_path: Path, float64: None
) -> None:
    small_model.save_pretrained(tmp_path)
    model = TPDRSeg.from_pretrained(tmp_path, device="cpu", dtype="float32")
    tensors = [*model.named_parameters(), *model.named_buffers()]
    assert [name for name, tensor in tensors if tensor.dtype == torch.float64] == []
    assert model.segment(retina, "EX").probability.dtype == np.float32


@pytest.mark.xfail(strict=True, raises=RuntimeError, reason="points go to the default device")
def test_points_where_the_default_device_is_another(draw_eye: Callable[[int], NDArray]) -> None:
    frame = Frame.fit(find_field_of_view(draw_eye(200)), 1024)
    placed = PlacedClicks.place(frame, [(100, 100, 1)], [(60, 60, 140, 140)])
    assert placed is not None
    with torch.device("meta"):  # stands in for a card
        clicks = placed.in_tile((0, 0), 1024)
    assert clicks is not None
    assert clicks.coordinates.device == torch.device("cpu")


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="the rest is cut off in silence")
def test_what_clip_cannot_read_of_a_text_is_not_dropped_in_silence(small_model: TPDRSeg) -> None:
    start = "a yellowish deposit in the retina " * 12
    texts = [start + "with sharp margins", start + "dark red blots of blood"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            one, two = map(small_model.explicit_prior.text_features, texts)
        except PromptError as error:
            assert "token" in str(error)
            return
    assert caught or not torch.equal(one, two)
