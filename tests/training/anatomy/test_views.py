"""Views: a mark on the photograph is where its landmark says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from tp_drseg.images import find_field_of_view
from tp_drseg.training.anatomy.views import KINDS, Landmarks, ViewKind, make_view

Pixels = NDArray[np.uint8]


def marked(draw_eye: Callable[[int], Pixels]) -> tuple[Pixels, Landmarks]:
    """An eye without stripes whose disc is blue and whose fovea is green."""
    image = draw_eye(600)
    image[image.any(axis=2)] = (190, 60, 40)
    rows, columns = np.mgrid[:600, :600] + 0.5
    image[np.hypot(columns - 420, rows - 310) <= 15] = (190, 60, 255)
    image[np.hypot(columns - 240, rows - 330) <= 15] = (190, 255, 40)
    return image, Landmarks((420, 310), (240, 330), 30, eye="right")


def centre(where: NDArray[np.bool_]) -> tuple[float, float]:
    rows, columns = np.nonzero(where)
    return float(columns.mean() + 0.5), float(rows.mean() + 0.5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_landmarks_move_with_the_picture(
    draw_eye: Callable[[int], Pixels], kind: ViewKind, seed: int
) -> None:
    image, landmarks = marked(draw_eye)
    view = make_view(
        image,
        find_field_of_view(image),
        landmarks,
        kind,
        side=256,
        random=np.random.default_rng(seed),
    )
    pixels = view.framed.pixels.astype(int)
    assert max(pixels.shape[:2]) == 256
    for mark, channel in ((view.landmarks.disc, 2), (view.landmarks.fovea, 1)):
        spot = pixels[..., channel] > 150
        if mark is None:  # no more than its rim is seen
            assert spot.sum() < np.pi * (15 * 256 / 540) ** 2 * 4
        else:
            rim = min(*mark, *(np.array(pixels.shape[1::-1]) - mark))
            if rim > 20 and view.framed.inside.min() == 0 and kind != "cut":
                assert centre(spot) == pytest.approx(mark, abs=1.0)
    if kind == "plain":
        assert view.landmarks.eye == "right"
    if kind == "mirrored":
        assert view.landmarks.eye == "left"
        assert view.landmarks.disc is not None
        assert view.landmarks.fovea is not None
        assert view.landmarks.disc[0] < view.landmarks.fovea[0]
    if kind == "turned":
        assert view.landmarks.eye is None


def test_a_cut_view_may_miss_a_landmark(draw_eye: Callable[[int], Pixels]) -> None:
    image, landmarks = marked(draw_eye)
    field = find_field_of_view(image)
    views = [
        make_view(image, field, landmarks, "cut", side=128, random=np.random.default_rng(seed))
        for seed in range(20)
    ]
    missing = [view.landmarks.disc is None or view.landmarks.fovea is None for view in views]
    assert 3 < sum(missing) < 20
