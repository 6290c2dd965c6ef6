"""One verdict, with its reasons; the same at half and at double size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from tp_drseg.images import (
    QUALITY_DIAMETER,
    Quality,
    assess_quality,
    find_field_of_view,
    frame_photograph,
)

Pixels = NDArray[np.uint8]


def assessed(pixels: Pixels, **options: object) -> Quality:
    framed = frame_photograph(pixels, find_field_of_view(pixels), QUALITY_DIAMETER)
    return assess_quality(framed, **options)  # type: ignore[arg-type]


def _blurred(pixels: Pixels) -> Pixels:
    blurred: Pixels = ndimage.gaussian_filter(pixels, (8, 8, 0))
    return blurred


def _dark(pixels: Pixels) -> Pixels:
    dark: Pixels = (pixels * 0.25).astype(np.uint8)
    return dark


def _hazy(pixels: Pixels) -> Pixels:
    inside = find_field_of_view(pixels).mask
    veiled = 0.2 * pixels + 0.8 * pixels[inside].mean(axis=0)
    hazy: Pixels = np.where(inside[..., None], veiled, pixels).astype(np.uint8)
    return hazy


def _greenish(pixels: Pixels) -> Pixels:
    tinted: Pixels = np.clip(pixels * np.array([0.4, 1.0, 1.0]), 0, 255).astype(np.uint8)
    return tinted


def test_a_good_photograph_has_no_reasons(retina: Pixels) -> None:
    found = assessed(retina)
    assert (found.verdict, found.reasons, found.reason) == ("good", (), "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_blurred, "It is blurred"),
        (_dark, "is under-exposed"),
        (_hazy, "is hazy"),
        (_greenish, "has a colour cast"),
    ],
)
def test_a_fault_is_said_with_its_number(
    retina: Pixels, change: Callable[[Pixels], Pixels], message: str
) -> None:
    found = assessed(change(retina))
    assert found.verdict != "good"
    assert message in found.reason
    assert "at least" in found.reason or "at most" in found.reason


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_the_verdict_does_not_depend_on_the_size(retina: Pixels, scale: float) -> None:
    side = round(len(retina) * scale)
    other = np.array(Image.fromarray(retina).resize((side, side), Image.Resampling.BICUBIC))
    assert assessed(other).verdict == assessed(retina).verdict


def test_what_is_no_fundus_is_rejected_and_what_is_out_of_view_limits(retina: Pixels) -> None:
    doubted = assessed(retina, doubt="It is grey.")
    assert (doubted.verdict, doubted.reason) == ("reject", "It is grey.")
    unseen = assessed(retina, unseen=["disc", "fovea"])
    assert unseen.verdict == "limited"
    assert unseen.reason == "The disc and the fovea cannot be seen."
