"""Framing: what the networks get of a photograph, against torch's own operations."""

import numpy as np
import pytest

from tp_drseg.errors import ConfigError
from tp_drseg.images import FieldOfView, Frame, frame_photograph, pad_to_square

RANDOM = np.random.default_rng(0)


def photograph(height: int, width: int) -> tuple[np.ndarray, FieldOfView]:
    """Noise, and a disc that is cut at two sides."""
    y, x = np.ogrid[:height, :width]
    mask = np.hypot(x - width / 2 - 3.0, y - height / 2 + 2.0) < 0.48 * max(height, width)
    image = RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return image, FieldOfView.from_mask(mask)


@pytest.mark.parametrize("size", [(120, 200), (201, 90), (64, 64)])
@pytest.mark.parametrize("diameter", [50, 64, 333])
def test_parts_are_those_of_the_frame(size: tuple[int, int], diameter: int) -> None:
    image, field = photograph(*size)
    framed = frame_photograph(image, field, diameter)
    assert framed.frame == Frame.fit(field, diameter)
    np.testing.assert_array_equal(framed.pixels, framed.frame.apply(image))
    np.testing.assert_array_equal(framed.inside, framed.frame.apply_mask(field.mask))
    assert framed.pixels is framed.pixels
    assert framed.inside is framed.inside


@pytest.mark.parametrize("shape", [(3, 5), (5, 3, 2), (5, 5)])
def test_padding_is_at_the_right_and_the_bottom(shape: tuple[int, ...]) -> None:
    values = RANDOM.integers(1, 256, shape, dtype=np.uint8)
    square = pad_to_square(values, 5)
    assert square.shape == (5, 5, *shape[2:])
    assert square.dtype == values.dtype
    np.testing.assert_array_equal(square[: shape[0], : shape[1]], values)
    assert np.count_nonzero(square) == values.size


def test_impossible_diameter_is_refused() -> None:
    with pytest.raises(ConfigError, match="working_diameter is 0"):
        frame_photograph(*photograph(40, 40), 0)
