from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tp_drseg.inference.mirrors import AS_IT_IS, MIRRORS, Mirror
from tp_drseg.inference.placed import PlacedPoints
from tp_drseg.inference.request import Prompt
from tp_drseg.inference.tiles import Tiles
from tp_drseg.model import TPDRSeg

ALL = pytest.mark.parametrize("mirror", MIRRORS)
pytestmark = pytest.mark.filterwarnings("ignore::tp_drseg.errors.FundusWarning")


def test_four_different_views() -> None:
    values = torch.arange(6.0).reshape(1, 2, 3)
    assert len({tuple(mirror.values(values).flatten().tolist()) for mirror in MIRRORS}) == 4
    assert torch.equal(MIRRORS[0].values(values), values) and MIRRORS[0] == AS_IT_IS


@ALL
def test_mirrored_twice_is_as_it_was(mirror: Mirror) -> None:
    values = torch.rand(2, 5, 7)
    assert torch.equal(mirror.values(mirror.values(values)), values)


@ALL
def test_tiles_see_the_same_part(mirror: Mirror) -> None:
    """Also where some tiles were left out."""
    tiles = Tiles.plan((128, 160), 64, 0.125).only(i not in (0, 4) for i in range(9))
    values, mirrored = torch.rand(128, 160), mirror.tiles(tiles)
    for number in range(len(tiles.corners)):
        seen = mirrored.cut(mirror.values(values), number)
        assert torch.equal(mirror.values(seen), tiles.cut(values, number))


@ALL
def test_points_and_boxes_stay_on_what_they_mean(mirror: Mirror) -> None:
    image = torch.zeros(20, 30)
    image[4, 6], image[10:13, 20:26] = 1, 2
    placed = PlacedPoints(
        coords=torch.tensor([[6.0, 4.0]]),
        labels=torch.tensor([1]),
        boxes=torch.tensor([[20.0, 10.0, 25.0, 12.0]]),
    )
    found, seen = mirror.points(placed, (20, 30)), mirror.values(image)
    ((x, y),) = found.coords.long().tolist()
    assert seen[y, x] == 1 and torch.equal(found.labels, placed.labels)
    ((left, top, right, bottom),) = found.boxes.long().tolist()
    assert (seen[top : bottom + 1, left : right + 1] == 2).all()
    assert (seen == 2).sum() == (bottom + 1 - top) * (right + 1 - left)


def eye() -> NDArray[np.uint8]:
    """A round retina, its own mirror image but for what is to be seen in every tile."""
    y, x = np.mgrid[:160, :160]
    image = np.full((160, 160, 3), (150, 90, 50), np.uint8)
    for row in range(8, 160, 20):
        for column in range(5, 160, 23):
            image[np.hypot(y - row, x - column) < 4] = (200 + (row + column) % 50, 180, 60)
    image[np.hypot(y - 79.5, x - 79.5) >= 80] = 0
    return image


@pytest.mark.parametrize("whole_field", [False, True])
def test_the_accurate_mode_is_the_mean_over_mirrored_photographs(
    make_model: Callable[..., TPDRSeg], whole_field: bool
) -> None:
    """Each mirrored photograph goes the whole way by itself.

    CLIP is left out: of a mirrored photograph it has another answer, and it is asked once.
    """
    blind = {"generator_prior": False, "injector_prior": False}
    model = make_model(working_diameter=160, whole_field=whole_field, **blind)
    accurate = TPDRSeg(model.network, model.config.replace(inference={"accurate": True}))
    single = []
    for axes in ((), (1,), (0,), (0, 1)):
        mirrored = np.ascontiguousarray(np.flip(eye(), axes))
        single.append(np.flip(model.segment(mirrored, "EX").probability, axes))
    found = accurate.segment(eye(), "EX").probability
    inside = np.min(single, axis=0) > 0  # the field of view's border is not the same in all
    assert inside.mean() > 0.7
    np.testing.assert_allclose(found[inside], np.mean(single, axis=0)[inside], rtol=0, atol=2e-5)
    assert not np.allclose(found, single[0], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(model.segment(eye(), "EX", accurate=True).probability, found)
    quick = accurate.segment(eye(), "EX", accurate=False).probability
    np.testing.assert_array_equal(quick, single[0])


def test_clicks_in_the_accurate_mode(make_model: Callable[..., TPDRSeg]) -> None:
    model = make_model(working_diameter=150, accurate=True)
    asked = Prompt("EX", point_coords=[(125, 50)], point_labels=[1])
    with model.load_image(eye()) as session:
        clicked = session.segment(asked).probability
        assert not np.array_equal(clicked, session.segment("EX").probability)
