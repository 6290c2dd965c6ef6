"""The legend, after what users of other tools reported."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tp_drseg.export import Layer, add_legend

LABEL = "microaneurysm: 12 regions, 0.52 % of the field of view"


def strip(label: str, side: int) -> NDArray[np.uint8]:
    """What stands below a black picture, as `(h, side)` grey."""
    layer = Layer(np.zeros((side, side), bool), (255, 0, 0), label)
    picture: NDArray[np.uint8] = np.asarray(
        add_legend(Image.new("RGB", (side, side)), [layer]).convert("L")
    )
    return picture[side:]


@pytest.mark.parametrize(
    "side",
    [
        pytest.param(
            side,
            marks=pytest.mark.xfail(
                side < 290, strict=True, raises=AssertionError, reason="the text is cut off"
            ),
        )
        for side in (224, 256, 512)
    ],
)
def test_a_label_has_room(side: int) -> None:
    assert not strip(LABEL, side)[:, -1].any()


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="the font is Latin")
@pytest.mark.parametrize("pair", ["\u73bb\u75a3", "\u0436\u0449", "\u03bb\u03c9"])
def test_letters_of_other_scripts_are_told_apart(pair: str) -> None:
    one, other = (strip(letter, 300) for letter in pair)
    assert one.shape != other.shape or not np.array_equal(one, other)
