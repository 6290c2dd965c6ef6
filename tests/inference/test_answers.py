"""The whole way of a photograph, with a decoder that only tells bright from dark."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from tp_drseg.inference.request import Prompt
from tp_drseg.model import TPDRSeg
from tp_drseg.modules.image_encoder import ImageFeatures
from tp_drseg.modules.network import PromptedFeatures
from tp_drseg.modules.points import Points

Y, X = np.mgrid[:200, :260]
pytestmark = pytest.mark.filterwarnings("ignore::tp_drseg.errors.FundusWarning")
BETWEEN = 175.0  # the mean of the mark's and the retina's green


@pytest.fixture
def mask() -> NDArray[np.bool_]:
    """Discs all over the field of view, also where tiles meet."""
    mask = np.zeros((200, 260), bool)
    for y in range(40, 180, 30):
        for x in range(70, 200, 30):
            mask |= np.hypot(Y - y, X - x) < 5 + (x + y) % 5
    return np.asarray(mask & (np.hypot(Y - 100, X - 130) < 85))


@pytest.fixture
def photo(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    image = np.zeros((200, 260, 3), np.uint8)
    image[np.hypot(Y - 100, X - 130) < 95] = (140, 100, 70)
    image[mask] = (250, 250, 70)
    return image


def replace_decoder(
    model: TPDRSeg, monkeypatch: pytest.MonkeyPatch, pool: int = 1
) -> list[tuple[Tensor, Points | None]]:
    """Logits from the tile's green, averaged over `pool` pixels; returns the calls to come."""
    calls: list[tuple[Tensor, Points | None]] = []

    def decode(features: ImageFeatures, prompted: Any, points: Points | None) -> Tensor:
        tile = features.feature
        calls.append((tile, points))
        return (F.avg_pool2d(tile[:, 1], pool) - BETWEEN) / 10

    nothing = PromptedFeatures(*[torch.zeros(1, 1)] * 3)
    monkeypatch.setattr(model.network, "encode_image", lambda images: ImageFeatures(images))
    monkeypatch.setattr(model.network, "encode_prompt", lambda tile, prior, classes: nothing)
    monkeypatch.setattr(model.network, "decode", decode)
    return calls


def assert_same_but_for_the_border(found: NDArray[np.bool_], mask: NDArray[np.bool_]) -> None:
    assert (ndimage.binary_erosion(mask, np.ones((3, 3))) <= found).all()
    assert (found <= ndimage.binary_dilation(mask, np.ones((3, 3)))).all()


@pytest.mark.parametrize("diameter", [100, 160, 190, 380])
@pytest.mark.parametrize("overlap", [0.1, 0.5])
def test_a_drawn_mask_comes_back(
    make_model: Callable[..., TPDRSeg],
    monkeypatch: pytest.MonkeyPatch,
    photo: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    diameter: int,
    overlap: float,
) -> None:
    model = make_model(working_diameter=diameter, tile_overlap=overlap)
    calls = replace_decoder(model, monkeypatch)
    result = model.segment(photo, "EX")
    assert len(calls) > 1
    assert mask.any() and len(result.regions) > 10
    assert_same_but_for_the_border(result.mask, mask)


def test_at_the_decoder_s_own_resolution(
    make_model: Callable[..., TPDRSeg],
    monkeypatch: pytest.MonkeyPatch,
    photo: NDArray[np.uint8],
    mask: NDArray[np.bool_],
) -> None:
    """Four working pixels a logit are one original pixel here."""
    model = make_model(working_diameter=760, tile_overlap=0.1)
    replace_decoder(model, monkeypatch, pool=4)
    result = model.segment(photo, "EX")
    assert_same_but_for_the_border(result.mask, mask)
    assert not result.probability[~result.field_of_view].any()


def test_a_click_arrives_at_its_pixel(
    make_model: Callable[..., TPDRSeg], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.zeros((200, 260, 3), np.uint8)
    image[np.hypot(Y - 100, X - 130) < 95] = (140, 100, 70)
    image[60:69, 170:179] = (250, 250, 70)  # its centre is (174, 64)
    model = make_model(working_diameter=160)
    calls = replace_decoder(model, monkeypatch)
    model.segment(image, Prompt("EX", (), [(174, 64)], [1], [(169.5, 59.5, 178.5, 68.5)]))
    hit = [(tile[0, 1], clicks) for tile, clicks in calls if clicks is not None]
    assert hit and len(hit) < len(calls)
    whole = 0
    for green, clicks in hit:
        x, y = clicks.coords[0, 0].round().int().tolist()
        if clicks.labels[0, 0] != 1:
            continue  # the box alone reaches into this tile
        assert green[y, x] > BETWEEN
        left, top, right, bottom = clicks.coords[0, 1:3].flatten().tolist()
        if min(left, top) > 1 and max(right, bottom) < 62:
            whole += 1
            centre = ndimage.center_of_mass(green.numpy() > BETWEEN)
            np.testing.assert_allclose(centre, ((top + bottom) / 2, (left + right) / 2), atol=0.6)
            assert (right - left) * (bottom - top) == pytest.approx(
                float((green > BETWEEN).sum()), rel=0.25
            )
    assert whole


def test_one_prior_for_all_tiles(
    make_model: Callable[..., TPDRSeg],
    monkeypatch: pytest.MonkeyPatch,
    photo: NDArray[np.uint8],
) -> None:
    """Min-max is over the whole field of view, so tiles do not each have a full-range prior."""
    model = make_model(working_diameter=160)
    priors: list[Tensor] = []
    original = model.network.encode_prompt

    def prompt(features: Any, prior: Tensor, classes: Tensor) -> Any:
        priors.append(prior)
        return original(features, prior, classes)

    monkeypatch.setattr(model.network, "encode_prompt", prompt)
    result = model.segment(photo, "EX")
    assert result.prior.max() > 0.8
    assert len(priors) > 1 and min(float(prior.max()) for prior in priors) < 0.8
