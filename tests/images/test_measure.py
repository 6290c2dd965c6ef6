"""Counts and areas, against masks whose numbers are known."""

import numpy as np
import pytest

from tp_drseg.errors import ImageError
from tp_drseg.images import area_percent, count_regions


def mask_of(text: str) -> np.ndarray:
    return np.array([[character == "#" for character in row] for row in text.split()])


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("... ... ...", 0),
        ("### ### ###", 1),
        ("#.. .#. ..#", 1),  # corners touch
        ("#.# ... #.#", 4),
        ("### #.# ###", 1),
        ("##### #...# #.#.# #...# #####", 2),  # a region inside another's hole
    ],
)
def test_count_regions(text: str, count: int) -> None:
    mask = mask_of(text)
    assert count_regions(mask) == count
    assert count_regions(mask.astype(np.uint8) * 255) == count


def test_area_percent_counts_only_the_field_of_view() -> None:
    field = np.zeros((10, 10), bool)
    field[:, :8] = True
    mask = np.zeros((10, 10), bool)
    mask[:2, 4:] = True  # 8 pixels inside, 4 outside
    assert area_percent(mask, field) == pytest.approx(10.0)
    assert area_percent(np.zeros_like(mask), field) == 0.0
    assert area_percent(np.ones_like(mask), field) == 100.0


@pytest.mark.parametrize(
    ("mask_shape", "field_shape", "message"),
    [
        ((4, 4), (4, 5), "same frame"),
        ((4, 4, 1), (4, 4), r"mask has shape \(4, 4, 1\)"),
        ((4, 4), (4,), r"field of view has shape \(4,\)"),
    ],
)
def test_wrong_shapes_are_refused(
    mask_shape: tuple[int, ...], field_shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ImageError, match=message):
        area_percent(np.ones(mask_shape, bool), np.ones(field_shape, bool))


def test_empty_field_of_view_is_refused() -> None:
    with pytest.raises(ImageError, match="field of view is empty"):
        area_percent(np.ones((4, 4), bool), np.zeros((4, 4), bool))


def test_count_regions_refuses_a_stack() -> None:
    with pytest.raises(ImageError, match=r"\(2, 4, 4\)"):
        count_regions(np.ones((2, 4, 4), bool))
