"""Counts and areas, against masks whose numbers are known."""

import numpy as np
import pytest
from skimage.measure import label, regionprops

from tp_drseg.errors import ImageError
from tp_drseg.images import Region, area_percent, count_regions, find_regions


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


def test_regions_of_a_small_mask() -> None:
    mask = mask_of("....... .##...# .##...# ....... #......")
    probability = np.arange(35, dtype=np.float32).reshape(5, 7) / np.float32(100)
    assert find_regions(mask) == (
        Region((1, 1, 3, 3), 4, (1.5, 1.5)),
        Region((6, 1, 7, 3), 2, (6.0, 1.5)),
        Region((0, 4, 1, 5), 1, (0.0, 4.0)),
    )
    square, *_ = find_regions(mask.astype(np.uint8) * 255, probability)
    assert square.mean_probability == pytest.approx(np.mean([0.08, 0.09, 0.15, 0.16]))
    assert square.max_probability == pytest.approx(0.16)
    assert find_regions(np.zeros((4, 5), bool), np.ones((4, 5), np.float32)) == ()
    assert find_regions(np.zeros((0, 0), bool)) == ()


@pytest.mark.parametrize("share", [0.02, 0.3, 0.45, 0.9, 1.0])
def test_regions_are_those_of_scikit_image(share: float) -> None:
    random = np.random.default_rng(0)
    mask = np.pad(random.random((90, 130)) < share, ((3, 0), (0, 5)))
    probability = random.random(mask.shape).astype(np.float32)
    expected = sorted(regionprops(label(mask, connectivity=2), probability), key=lambda r: -r.area)
    found = find_regions(mask, probability)
    assert len(found) == len(expected) == count_regions(mask)
    for region, other in zip(found, expected, strict=True):
        top, left, bottom, right = other.bbox
        assert region.box == (left, top, right, bottom)
        assert region.area_px == other.area
        assert region.centroid[::-1] == pytest.approx(other.centroid)
        assert region.mean_probability == pytest.approx(other.intensity_mean, rel=1e-6)
        assert region.max_probability == other.intensity_max


def test_regions_refuse_what_does_not_fit() -> None:
    with pytest.raises(ImageError, match="same frame"):
        find_regions(np.ones((4, 4), bool), np.ones((4, 5), np.float32))
    with pytest.raises(ImageError, match=r"\(2, 4, 4\)"):
        find_regions(np.ones((2, 4, 4), bool))
