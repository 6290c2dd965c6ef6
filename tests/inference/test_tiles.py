from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tp_drseg.inference.tiles import NOWHERE, Tiles
from tp_drseg.modules.constants import EMBEDDING_STRIDE

TILE = 64
SIZES = pytest.mark.parametrize("size", [(64, 64), (64, 160), (144, 112), (176, 176)])
OVERLAPS = pytest.mark.parametrize("overlap", [0.0, 0.1, 0.125, 0.3, 0.5, 0.9])


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)) * 8 - 4


@SIZES
@OVERLAPS
def test_tiles_cover_the_frame(size: tuple[int, int], overlap: float) -> None:
    tiles = Tiles.plan(size, TILE, overlap)
    assert len(set(tiles.corners)) == len(tiles.corners)
    covered = np.zeros(size, int)
    for x, y in tiles.corners:
        assert x % EMBEDDING_STRIDE == 0 and y % EMBEDDING_STRIDE == 0
        assert 0 <= x <= size[1] - TILE and 0 <= y <= size[0] - TILE
        covered[y : y + TILE, x : x + TILE] += 1
    assert covered.min() >= 1
    for places in zip(*tiles.corners, strict=True):
        steps = np.diff(sorted(set(places)))
        assert (steps <= max(EMBEDDING_STRIDE, TILE * (1 - overlap))).all()


@SIZES
@OVERLAPS
@pytest.mark.parametrize("stride", [1, 2, 4, 16])
def test_what_is_cut_comes_back(size: tuple[int, int], overlap: float, stride: int) -> None:
    tiles = Tiles.plan(size, TILE, overlap)
    whole = noise(3, size[0] // stride, size[1] // stride)
    cut = [tiles.cut(whole, number, stride) for number in range(len(tiles.corners))]
    assert {tile.shape for tile in cut} == {(3, TILE // stride, TILE // stride)}
    torch.testing.assert_close(tiles.blend(cut), whole, rtol=0, atol=1e-5)


def test_the_whole_frame_is_one_tile() -> None:
    tiles = Tiles.whole((112, 160))
    values = noise(2, 28, 40)
    assert tiles.corners == ((0, 0),)
    assert torch.equal(tiles.cut(values, 0, 4), values)
    assert torch.equal(tiles.blend([values]), values)


def test_tiles_that_contradict_each_other() -> None:
    """Two tiles that say the opposite agree on nothing midway, and each wins near its centre."""
    tiles = Tiles.plan((64, 96), TILE, 0.5)
    assert tiles.corners == ((0, 0), (32, 0))
    found = tiles.blend([torch.full((1, TILE, TILE), 20.0), torch.full((1, TILE, TILE), -20.0)])[0]
    assert (found[:, :28] > 5).all() and (found[:, 68:] < -5).all()
    assert (found.diff(dim=1) <= 1e-5).all()
    torch.testing.assert_close(found[:, 47:49].mean(), torch.tensor(0.0), rtol=0, atol=1e-4)


def test_weights_are_gaussian() -> None:
    """The share of the left tile in the middle row, from the densities of two normals."""
    tiles = Tiles.plan((64, 96), TILE, 0.5)
    found = tiles.blend([torch.ones(1, TILE, TILE), torch.zeros(1, TILE, TILE)])[0, 32]
    x = np.arange(96) + 0.5
    left, right = (np.exp(-0.5 * ((x - centre) / (TILE / 8)) ** 2) for centre in (32, 64))
    row = np.exp(-0.5 * (0.5 / (TILE / 8)) ** 2)
    left, right = (np.maximum(weights * row, 1e-3) for weights in (left, right))
    overlap = slice(32, 64)
    np.testing.assert_allclose(
        found[overlap], (left / (left + right))[overlap], rtol=1e-4, atol=1e-5
    )


def test_where_no_tile_is_left() -> None:
    tiles = Tiles.plan((64, 128), TILE, 0.0).only([False, True])
    assert tiles.corners == ((64, 0),)
    found = tiles.blend([torch.ones(2, 16, 16)])
    assert found.shape == (2, 16, 32)
    assert (found[..., :16] == NOWHERE).all() and (found[..., 16:] == 1).all()
