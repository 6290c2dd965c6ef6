"""From maps to places in original pixels, and the session that gives them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tp_drseg.anatomy import Anatomy
from tp_drseg.images import Acquisition, Frame
from tp_drseg.inference.locate import locate
from tp_drseg.modules.anatomy_head import AnatomyMaps

FRAME = Frame((200, 300), (50, 0, 250, 160), (80, 100))
"""Half the scale; its square is 100 px, which is 200 px of the photograph."""


def maps(
    disc: tuple[int, int], fovea: tuple[int, int], seen: tuple[float, float] = (9.0, 9.0),
    right: float = 0.0,
) -> AnatomyMaps:  # fmt: skip
    """The head's answer for cells of a grid of 10, each 20 px of the photograph."""
    heat = torch.full((1, 2, 10, 10), -30.0)
    heat[0, 0, disc[1], disc[0]] = heat[0, 1, fovea[1], fovea[0]] = 30.0
    return AnatomyMaps(
        heat, torch.tensor([seen]), torch.tensor([right]), torch.tensor([math.log(0.1)])
    )


def test_places_are_in_original_pixels() -> None:
    found = locate(maps((7, 4), (3, 4)), FRAME)
    assert found.disc is not None
    assert found.fovea is not None
    # cell 7 starts 140 px right of the frame's left side; a point counts from a pixel's centre
    assert (found.disc.x, found.disc.y) == pytest.approx((50 + 150 - 0.5, 90 - 0.5))
    assert (found.fovea.x, found.fovea.y) == pytest.approx((50 + 70 - 0.5, 90 - 0.5))
    assert found.disc.diameter == pytest.approx(20)
    assert (found.eye, found.field, found.reason) == ("right", "macula", None)


def test_the_order_of_disc_and_fovea_tells_the_eye() -> None:
    assert locate(maps((2, 4), (5, 4)), FRAME).eye == "left"
    lying = locate(maps((5, 1), (5, 6)), FRAME)
    assert lying.eye is None
    assert "lies on its side" in (lying.reason or "")


def test_what_the_file_says_of_the_eye_goes_first() -> None:
    said = Acquisition("Ophthalmic Photography 8 Bit", laterality="L")
    found = locate(maps((7, 4), (3, 4)), FRAME, said)
    assert (found.eye, found.eye_confidence) == ("left", 1.0)


def test_what_is_not_seen_is_none_and_said() -> None:
    found = locate(maps((7, 4), (3, 4), seen=(9.0, -9.0)), FRAME)
    assert found.fovea is None
    assert found.disc is not None
    assert found.field == "disc"
    assert found.eye is None
    assert found.reason == "The fovea cannot be seen. Which eye it shows is not told."
    assert locate(maps((7, 4), (3, 4), seen=(9.0, -9.0), right=5.0), FRAME).eye == "right"
    nothing = locate(maps((7, 4), (3, 4), seen=(-9.0, -9.0)), FRAME)
    assert (nothing.disc, nothing.fovea, nothing.field) == (None, None, None)


def test_a_session_without_a_head_says_so(
    make_model: Callable[..., Any], draw_eye: Callable[[int], NDArray[np.uint8]]
) -> None:
    with make_model().load_image(draw_eye(80)) as session:
        assert session.anatomy.disc is None
        assert "no anatomy head" in (session.anatomy.reason or "")
        assert session.segment_many(["EX"]).anatomy is session.anatomy


def test_a_session_with_a_head_reads_it_off_the_features_of_the_prior(
    make_model: Callable[..., Any],
    draw_eye: Callable[[int], NDArray[np.uint8]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = make_model(anatomy=True)
    tower = model.network.explicit_prior.clip.visual
    calls = []
    levels = tower.levels

    def counted(images: torch.Tensor) -> Any:
        calls.append(len(images))
        return levels(images)

    monkeypatch.setattr(tower, "levels", counted)
    image = draw_eye(80)
    with model.load_image(image) as session:
        results = session.segment_many(["EX", "HE"])
        assert isinstance(session.anatomy, Anatomy)
    assert len(calls) == 1
    for mark in (results.anatomy.disc, results.anatomy.fovea):
        if mark is not None:
            assert 0 <= mark.x < 80
            assert 0 <= mark.y < 80


def test_quality_is_that_of_the_photograph(
    make_model: Callable[..., Any], retina: NDArray[np.uint8]
) -> None:
    with make_model().load_image(retina) as session:
        assert session.quality.verdict == "good"
    grey = np.repeat(retina[..., 1:2], 3, axis=2)
    session = make_model().open_quietly(grey)
    assert session.quality.verdict == "reject"
    assert "it is grey" in session.quality.reason


def test_measurements_know_the_spacing_that_the_file_gives(
    make_model: Callable[..., Any], draw_eye: Callable[[int], NDArray[np.uint8]]
) -> None:
    session = make_model().load_image(draw_eye(80))
    assert session.segment_many(["EX"]).measurements().scale.pixel_spacing is None
    session.acquisition = Acquisition("Secondary Capture", pixel_spacing=(0.01, 0.01))
    results = session.segment_many(["EX"])
    assert results.measurements().scale.pixel_spacing == pytest.approx(0.01)
    assert results.measurements(pixel_spacing=0.02).scale.pixel_spacing == 0.02
