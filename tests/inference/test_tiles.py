"""Tiles, with a model whose logits are a known function of what it is given."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tp_drseg.inference.placed import PlacedClicks
from tp_drseg.inference.tiles import tiled_probability
from tp_drseg.inference.view import FundusView
from tp_drseg.modules.clicks import Clicks

TILE = 64
Decode = Callable[[Tensor, Tensor, Tensor, "Clicks | None"], Tensor]


def make_view(image: Tensor, decode: Decode, overlap: float = 0.25) -> FundusView:
    """A padded working image and a model that sees the tile itself as its features."""
    config = SimpleNamespace(image_size=TILE, grid=TILE // 16, tile_overlap=overlap)
    model = SimpleNamespace(
        config=config, device=torch.device("cpu"), shared=lambda tile: tile, decode=decode
    )
    size = (image.shape[-2], image.shape[-1])
    view = SimpleNamespace(model=model, working_image=image, padded_size=size)
    return cast(FundusView, view)


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


SIZES = pytest.mark.parametrize("size", [(64, 64), (64, 160), (144, 112), (176, 176)])
OVERLAPS = pytest.mark.parametrize("overlap", [0.0, 0.1, 0.125, 0.3, 0.5, 0.9])


@SIZES
@OVERLAPS
def test_local_logits_come_back_to_their_place(size: tuple[int, int], overlap: float) -> None:
    """Each tile's quarter resolution fits into that of the whole, and blending changes nothing."""

    def decode(tile: Tensor, priors: Tensor, classes: Tensor, clicks: Clicks | None) -> Tensor:
        return F.avg_pool2d(tile[:, :1], 4)

    image = noise(1, 3, *size) * 8 - 4
    found = tiled_probability(make_view(image, decode, overlap), noise(1, 1, *size), [0])
    whole = F.avg_pool2d(image[:, :1], 4)
    expected = F.interpolate(whole, size=size, mode="bilinear", align_corners=False)
    assert found.shape == (1, *size)
    torch.testing.assert_close(found, expected[0].sigmoid(), rtol=0, atol=1e-5)


@SIZES
@OVERLAPS
def test_priors_go_with_their_tile(size: tuple[int, int], overlap: float) -> None:
    def decode(tile: Tensor, priors: Tensor, classes: Tensor, clicks: Clicks | None) -> Tensor:
        assert priors.shape == (1, 1, TILE // 16, TILE // 16)
        return F.interpolate(priors, scale_factor=4.0, mode="nearest")

    priors = noise(1, 2, *size)
    view = make_view(noise(1, 3, *size), decode, overlap)
    found = tiled_probability(view, priors, [1, 0])
    cells = F.interpolate(F.avg_pool2d(priors, 16), scale_factor=4.0, mode="nearest")
    expected = F.interpolate(cells, size=size, mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, expected[0].sigmoid(), rtol=0, atol=1e-5)


def test_full_resolution_logits() -> None:
    image = noise(1, 3, 112, 144) * 8 - 4
    view = make_view(image, lambda tile, priors, classes, clicks: tile[:, 1:2])
    found = tiled_probability(view, noise(1, 1, 112, 144), [0])
    torch.testing.assert_close(found, image[0, 1:2].sigmoid(), rtol=0, atol=1e-5)


def test_lesions_keep_their_order_and_the_image_is_seen_once() -> None:
    seen: list[Any] = []

    def decode(tile: Tensor, priors: Tensor, classes: Tensor, clicks: Clicks | None) -> Tensor:
        return classes.float().view(1, 1, 1, 1).expand(1, 1, TILE // 4, TILE // 4)

    view = make_view(noise(1, 3, 64, 112), decode)

    def shared(tile: Tensor) -> Any:
        seen.append(tile)
        return tile

    view.model.shared = shared  # type: ignore[assignment]
    found = tiled_probability(view, noise(1, 3, 64, 112), [3, 0, 2])
    expected = torch.tensor([3.0, 0.0, 2.0]).sigmoid()
    torch.testing.assert_close(found, expected.view(3, 1, 1).expand(3, 64, 112))
    assert len(seen) == 2


def test_logits_are_blended_before_the_sigmoid() -> None:
    """Two tiles that contradict each other by the same amount agree on one half midway."""

    def decode(tile: Tensor, priors: Tensor, classes: Tensor, clicks: Clicks | None) -> Tensor:
        sign = 1.0 if tile[0, 0, 0, 0] == 0 else -1.0
        return torch.full((1, 1, TILE, TILE), 20 * sign)

    columns = torch.arange(96.0).expand(1, 3, 64, 96)
    found = tiled_probability(make_view(columns, decode, 0.5), noise(1, 1, 64, 96), [0])[0]
    assert (found[:, :28] > 0.99).all() and (found[:, 68:] < 0.01).all()
    steps = found.diff(dim=1)
    assert (steps <= 1e-6).all()
    torch.testing.assert_close(found[:, 47:49].mean(), torch.tensor(0.5), rtol=0, atol=1e-3)


def test_clicks_arrive_in_the_tiles_that_they_lie_in() -> None:
    """The image says where a tile is: its first channel is x, its second y."""
    height, width = 112, 160
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    image = torch.stack([x, y, x])[None].float()
    calls: list[tuple[Tensor, Clicks | None]] = []

    def decode(tile: Tensor, priors: Tensor, classes: Tensor, clicks: Clicks | None) -> Tensor:
        calls.append((tile[0, :2, 0, 0], clicks))
        return torch.zeros(1, 1, TILE // 4, TILE // 4)

    points = torch.tensor([[10.0, 20.0], [70.0, 60.0], [150.0, 100.0]])
    placed = PlacedClicks(points, torch.tensor([1, 0, 1]), torch.zeros(0, 4))
    tiled_probability(make_view(image, decode), noise(1, 1, height, width), [0], placed)
    assert len(calls) == 6
    heard, silent = set(), 0
    for corner, clicks in calls:
        inside = ((points >= corner) & (points < corner + TILE)).all(dim=1)
        if clicks is None:
            silent += 1
            assert not inside.any()
            continue
        torch.testing.assert_close(clicks.coordinates[0] + corner, points[inside])
        assert clicks.labels[0].tolist() == placed.labels[inside].tolist()
        heard |= set(inside.nonzero().flatten().tolist())
    assert heard == {0, 1, 2} and silent > 0
