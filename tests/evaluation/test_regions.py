from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tp_drseg.evaluation.regions import RegionCounts, TrueRegions

PICTURE = """
AA..........
AA.....BBBBB
.A.....BBBBB
............
..CC....D...
............
"""


def mask(letters: str, picture: str = PICTURE) -> NDArray[np.bool_]:
    rows = picture.split()
    return np.array([[cell in letters for cell in row] for row in rows])


def test_corners_join_a_lesion() -> None:
    truth = np.eye(4, dtype=bool)
    assert TrueRegions(truth).match(truth) == RegionCounts(1, 1, 1, 0)


def test_nothing() -> None:
    nothing = np.zeros((4, 5), bool)
    assert TrueRegions(nothing).match(nothing) == RegionCounts(0, 0, 0, 0)
    assert TrueRegions(nothing).match(~nothing) == RegionCounts(0, 0, 1, 1)
    assert TrueRegions(~nothing).match(nothing) == RegionCounts(1, 0, 0, 0)


@pytest.mark.parametrize(("pixels", "detected"), [(0, 0), (1, 0), (2, 1), (10, 1)])
def test_a_fifth_of_a_lesion_is_enough(pixels: int, detected: int) -> None:
    truth = mask("B")  # ten pixels
    marked = np.zeros_like(truth)
    rows, columns = np.nonzero(truth)
    marked[rows[:pixels], columns[:pixels]] = True
    counts = TrueRegions(truth).match(marked)
    assert (counts.lesions, counts.detected) == (1, detected)
    assert counts.false_positives == 0  # all of the detection is lesion, however little of it


@pytest.mark.parametrize(("beside", "false"), [(0, 0), (4, 0), (5, 1)])
def test_a_detection_that_is_lesion_for_less_than_a_fifth_is_false(beside: int, false: int) -> None:
    truth = np.zeros((3, 12), bool)
    truth[1, 0] = True
    marked = np.zeros_like(truth)
    marked[1, : 1 + beside] = True
    assert TrueRegions(truth).match(marked) == RegionCounts(1, 1, 1, false)


def test_one_detection_over_everything_detects_all_but_is_false() -> None:
    truth = np.zeros((20, 20), bool)
    truth[::10, ::10] = True
    assert TrueRegions(truth).match(np.ones((20, 20), bool)) == RegionCounts(4, 4, 1, 1)


def test_one_detection_may_hit_two_lesions_and_two_one() -> None:
    truth, marked = np.zeros((1, 9), bool), np.zeros((1, 9), bool)
    truth[0, [0, 2]] = marked[0, :3] = True
    assert TrueRegions(truth).match(marked) == RegionCounts(2, 2, 1, 0)
    assert TrueRegions(marked).match(truth) == RegionCounts(1, 1, 2, 0)


def test_several() -> None:
    counts = TrueRegions(mask("ABC")).match(mask("BD"))
    assert counts == RegionCounts(lesions=3, detected=1, detections=2, false_positives=1)


def test_ignored_pixels_are_no_lesion_and_make_no_false_positive() -> None:
    ignored = np.zeros_like(mask("A"))
    ignored[:, 7:9] = True  # part of B and all of D
    regions = TrueRegions(mask("ABC"), ignored)
    # D lies in what is ignored; B is detected by what is left of it
    assert regions.match(mask("BD")) == RegionCounts(3, 1, 2, 0)
    marked = ignored.copy()
    marked[3, 5:9] = True  # goes on outside, with no lesion
    assert regions.match(marked) == RegionCounts(3, 0, 1, 0)
    assert TrueRegions(mask("ABCD"), ~ignored).match(mask("A")).lesions == 2
