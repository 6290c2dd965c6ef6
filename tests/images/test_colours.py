"""A retina under any white balance, and what is none."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tp_drseg.images import FieldOfView, find_field_of_view, fundus_doubt
from tp_drseg.images.colours import Colours

Pixels = NDArray[np.uint8]


@pytest.fixture
def eye(retina: Pixels) -> Pixels:
    small: Pixels = np.array(Image.fromarray(retina).resize((700, 700), Image.Resampling.LANCZOS))
    return small


def _gains(*gains: float) -> Callable[[Pixels], Pixels]:
    return lambda eye: np.clip(eye * np.array(gains), 0, 255).astype(np.uint8)


def _greyish(share: float) -> Callable[[Pixels], Pixels]:
    def change(eye: Pixels) -> Pixels:
        grey = eye @ np.array([0.299, 0.587, 0.114])
        pixels: Pixels = ((1 - share) * eye + share * grey[..., None]).astype(np.uint8)
        return pixels

    return change


def _as_jpeg(pixels: Pixels) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return np.array(Image.open(file).convert("RGB"))


def _tinted(*tint: float) -> Callable[[Pixels], Pixels]:
    return lambda eye: _as_jpeg((eye[..., 1:2] * np.array(tint)).astype(np.uint8))


def _of_two_lasers(eye: Pixels) -> Pixels:
    return _gains(0.5, 1.2, 0)(eye)


def _oval(eye: Pixels) -> Pixels:
    side = len(eye)
    y, x = (np.mgrid[:side, :side] + 0.5) / side - 0.5
    oval: Pixels = eye * ((x / 0.49) ** 2 + (y / 0.37) ** 2 < 1)[..., None].astype(np.uint8)
    return oval


@pytest.mark.parametrize(
    "cast",
    [_gains(0.4, 1, 1.8), _gains(0.35, 1, 1), _gains(0.6, 1.3, 0.9), _greyish(0.6), _greyish(0.8)],
)
def test_a_cast_is_no_doubt(eye: Pixels, cast: Callable[[Pixels], Pixels]) -> None:
    image = cast(eye)
    assert fundus_doubt(image, find_field_of_view(image)) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_tinted(1, 1, 1), "it is grey, as angiograms"),
        (_tinted(0.1, 1, 0.3), "single tint"),
        (_tinted(1, 0.6, 0.2), "single tint"),
        (_of_two_lasers, "ultra-wide-field"),
        (_oval, "no circle"),
        (lambda eye: eye[..., ::-1], "red is not its strongest colour"),
        (lambda eye: eye[..., [1, 0, 2]], "red is not its strongest colour"),
    ],
)
def test_what_is_no_colour_photograph_of_a_fundus(
    eye: Pixels, change: Callable[[Pixels], Pixels], message: str
) -> None:
    image = np.ascontiguousarray(change(eye))
    assert message in (fundus_doubt(image, find_field_of_view(image)) or "")


def test_detail_and_residual_do_not_depend_on_the_white_balance(eye: Pixels) -> None:
    field = find_field_of_view(eye)
    plain = Colours.of(eye, field)
    balanced = Colours.of(_gains(0.5, 1, 1)(eye), field)
    assert plain is not None
    assert balanced is not None
    np.testing.assert_allclose(balanced.detail, plain.detail, rtol=0.05)
    assert balanced.residual == pytest.approx(plain.residual / 2, rel=0.05)


def test_a_field_of_one_pixel_is_measured() -> None:
    image = np.full((64, 64, 3), (150, 60, 20), np.uint8)
    mask = np.zeros((64, 64), bool)
    mask[5, 5] = True
    found = Colours.of(image, FieldOfView.from_mask(mask))
    assert found is not None
    assert found.means == (150, 60, 20)
