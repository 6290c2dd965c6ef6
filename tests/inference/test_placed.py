from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from tp_drseg.errors import PromptError
from tp_drseg.images import Frame
from tp_drseg.inference.placed import PlacedPoints
from tp_drseg.inference.request import Prompt
from tp_drseg.modules.points import BACKGROUND, BOTTOM_RIGHT, FOREGROUND, TOP_LEFT

FRAME = Frame(original_size=(200, 300), box=(40, 10, 240, 190), size=(90, 100))


Placed = list[tuple[float, float, int]]
Boxes = list[tuple[float, float, float, float]]


def prompt(points: Placed | None = None, boxes: Boxes | None = None) -> Prompt:
    points = points or []
    return Prompt("EX", (), [(x, y) for x, y, _ in points], [n for *_, n in points], boxes or [])


def placed(points: Placed | None = None, boxes: Boxes | None = None) -> PlacedPoints:
    result = PlacedPoints.place(prompt(points, boxes), FRAME)
    assert result is not None
    return result


def in_frame(points: list[list[float]], boxes: list[list[float]] | None = None) -> PlacedPoints:
    """Points given in pixels of the working frame, all of the points on the lesion."""
    return PlacedPoints(
        coords=torch.tensor(points).reshape(-1, 2),
        labels=torch.ones(len(points), dtype=torch.int64),
        boxes=torch.tensor(boxes or []).reshape(-1, 4),
    )


def test_pixel_centres_fall_on_what_they_showed() -> None:
    for x, y in ((100, 50), (61, 150), (200, 99)):
        image = np.zeros((200, 300, 3), np.uint8)
        image[y - 4 : y + 5, x - 4 : x + 5] = 255
        row, column = ndimage.center_of_mass(FRAME.apply(image)[..., 0].astype(float))
        result = placed([(x, y, 1)])
        np.testing.assert_allclose(result.coords, [[column, row]], atol=0.05)


def test_places_and_labels() -> None:
    result = placed([(100, 50, 1), (101, 51, 0)], [(40, 10, 240, 190)])
    # half as large: (100.5 - 40) / 2 - 0.5
    np.testing.assert_allclose(result.coords, [[29.75, 19.75], [30.25, 20.25]])
    assert result.labels.tolist() == [FOREGROUND, BACKGROUND]
    np.testing.assert_allclose(result.boxes, [[-0.25, -0.25, 99.75, 89.75]])


def test_nothing_is_nothing() -> None:
    assert PlacedPoints.place(prompt(), FRAME) is None
    assert len(placed([(100, 50, 1)]).boxes) == 0
    assert len(placed(boxes=[(50, 50, 60, 60)]).coords) == 0


@pytest.mark.parametrize("edge", [(0, 0), (300, 200), (300, 0)])
def test_the_border_of_the_photograph_is_in_it(edge: tuple[float, float]) -> None:
    whole = Frame(original_size=(200, 300), box=(0, 0, 300, 200), size=(100, 150))
    assert PlacedPoints.place(prompt([(*edge, 1)]), whole) is not None
    with pytest.raises(PromptError, match="300 x 200"):
        PlacedPoints.place(prompt([(edge[0] * 1.01 - 0.1, edge[1] * 1.01 - 0.1, 1)]), whole)


def test_what_the_model_does_not_see_is_refused() -> None:
    outside = [
        prompt([(39, 50, 1)]),
        prompt([(50, 195, 0)]),
        prompt(boxes=[(0, 0, 30, 200)]),
        prompt(boxes=[(245, 20, 290, 40)]),
    ]
    for wrong in outside:
        with pytest.raises(PromptError, match="outside of the field of view"):
            PlacedPoints.place(wrong, FRAME)
    assert PlacedPoints.place(prompt(boxes=[(0, 0, 60, 60)]), FRAME) is not None


def test_points_in_a_tile() -> None:
    points = in_frame([[70.0, 40.0], [10.0, 10.0], [63.5, 31.5], [127.4, 95.4]])
    result = points.in_tile((64, 32), (64, 64))
    assert result is not None
    expected = [[6.0, 8.0], [-0.5, -0.5], [63.4, 63.4]]
    np.testing.assert_allclose(result.coords[0], expected, atol=1e-5)
    assert result.labels.tolist() == [[FOREGROUND] * 3]
    assert result.labels.dtype == torch.int64


def test_each_place_belongs_to_one_of_two_tiles_side_by_side() -> None:
    for x in (63.4, 63.5, 63.6):
        tiles = [in_frame([[x, 5.0]]).in_tile((left, 0), (64, 64)) for left in (0, 64)]
        assert [tile is not None for tile in tiles] == (
            [True, False] if x < 63.5 else [False, True]
        )


def test_boxes_are_cut_at_the_border_of_a_tile() -> None:
    points = in_frame([], [[50.0, 40.0, 90.0, 200.0]])
    result = points.in_tile((64, 32), (64, 64))
    assert result is not None
    np.testing.assert_allclose(result.coords[0], [[-0.5, 8.0], [26.0, 63.5]])
    assert result.labels.tolist() == [[TOP_LEFT, BOTTOM_RIGHT]]


def test_a_tile_without_points_gets_none() -> None:
    points = in_frame([[10.0, 10.0]], [[0.0, 0.0, 20.0, 20.0]])
    assert points.in_tile((0, 0), (64, 64)) is not None
    assert points.in_tile((64, 0), (64, 64)) is None
    assert points.in_tile((0, 64), (64, 64)) is None


@pytest.mark.parametrize(
    "box",
    [
        [63.5, 0.0, 80.0, 80.0],  # begins where the tile ends
        [0.0, 63.5, 80.0, 80.0],
        [-9.0, 0.0, -0.5, 80.0],  # ends where the tile begins
        [0.0, -9.0, 80.0, -0.5],
        [70.0, 0.0, 80.0, 80.0],  # beside it, at its height
    ],
)
def test_a_box_beside_a_tile_is_not_in_it(box: list[float]) -> None:
    assert in_frame([], [box]).in_tile((0, 0), (64, 64)) is None


def test_points_and_boxes_together() -> None:
    points = in_frame([[5.0, 6.0]], [[1.0, 2.0, 30.0, 40.0], [10.0, 10.0, 20.0, 20.0]])
    result = points.in_tile((0, 0), (64, 64))
    assert result is not None
    expected = [[5, 6], [1, 2], [30, 40], [10, 10], [20, 20]]
    np.testing.assert_allclose(result.coords[0], expected)
    assert result.labels[0].tolist() == [FOREGROUND, *[TOP_LEFT, BOTTOM_RIGHT] * 2]


def test_another_default_device_has_no_say() -> None:
    points = in_frame([[5.0, 6.0]], [[1.0, 2.0, 30.0, 40.0]])
    with torch.device("meta"):  # what set_default_device does, for a while
        result = points.in_tile((0, 0), (64, 64))
    assert result is not None and result.coords.device.type == result.labels.device.type == "cpu"
