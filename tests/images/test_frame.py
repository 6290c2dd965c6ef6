"""The frame: what goes there and back is where it was."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from tp_drseg.errors import ConfigError, ImageError
from tp_drseg.images import FieldOfView, Frame


def framed(height: int, width: int, box: tuple[int, int, int, int], diameter: int) -> Frame:
    left, top, right, bottom = box
    mask = np.zeros((height, width), bool)
    mask[top:bottom, left:right] = True
    return Frame.fit(FieldOfView.from_mask(mask), diameter)


def disc(shape: tuple[int, int], x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    inside: np.ndarray = (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= radius**2
    return inside


def discs(shape: tuple[int, int]) -> np.ndarray:
    height, width = shape
    mask = np.zeros(shape, bool)
    for index, radius in enumerate((1.5, 3, 5, 10.4, 25, 60, 141.3)):
        x = width * (0.2 + 0.1 * index) + 0.37 * index
        mask |= disc(shape, x, height * (0.25 + 0.08 * index), radius)
    return mask


def thin_ring(shape: tuple[int, int]) -> np.ndarray:
    height, width = shape
    radius = 0.3 * min(shape)
    centre = (width / 2, height / 2)
    whole, inner = (disc(shape, *centre, r) for r in (radius, radius - 4))
    ring: np.ndarray = whole & ~inner
    return ring


def polygons(shape: tuple[int, int]) -> np.ndarray:
    height, width = shape
    image = Image.new("1", (width, height))
    draw = ImageDraw.Draw(image)
    for corners in (
        [(0.3, 0.3), (0.5, 0.32), (0.45, 0.6)],
        [(0.6, 0.2), (0.62, 0.7), (0.8, 0.5), (0.7, 0.45)],
        [(0.25, 0.7), (0.5, 0.69), (0.5, 0.72), (0.25, 0.71)],
    ):
        draw.polygon([(x * width, y * height) for x, y in corners], fill=1)
    return np.asarray(image)


PHOTOGRAPHS = {
    "1411 square": (1411, 1411, (8, 6, 1401, 1403)),
    "2848 cut at top and bottom": (1000, 2848, (301, 0, 2348, 1000)),
}


@pytest.mark.parametrize("photograph", PHOTOGRAPHS)
@pytest.mark.parametrize("diameter", [1024, 2048])
@pytest.mark.parametrize("draw", [discs, thin_ring, polygons])
def test_mask_comes_back_within_one_pixel(
    photograph: str, diameter: int, draw: Callable[[tuple[int, int]], np.ndarray]
) -> None:
    height, width, box = PHOTOGRAPHS[photograph]
    frame = framed(height, width, box, diameter)
    mask = draw((height, width)) & framed_inside(height, width, box)
    square = np.ones((3, 3), bool)
    band = ndimage.binary_dilation(mask, square) & ~ndimage.binary_erosion(mask, square)
    back = frame.restore(frame.apply_mask(mask)) >= 0.5
    moved = back ^ mask
    assert mask.any()
    assert not (moved & ~band).any()
    assert back.sum() == pytest.approx(mask.sum(), rel=0.03)


def framed_inside(height: int, width: int, box: tuple[int, int, int, int]) -> np.ndarray:
    left, top, right, bottom = box
    inside = np.zeros((height, width), bool)
    inside[top:bottom, left:right] = True
    return inside


def test_points_round_trip() -> None:
    frame = framed(2848, 4288, (290, 0, 3705, 2848), 1024)
    points = np.random.default_rng(0).uniform(-100, 4500, (1000, 2))
    np.testing.assert_allclose(frame.to_original(frame.to_working(points)), points, atol=1e-6)
    np.testing.assert_allclose(frame.to_working(frame.to_original(points)), points, atol=1e-6)


def test_points_are_measured_from_the_corner_of_the_first_pixel() -> None:
    frame = Frame(original_size=(100, 120), box=(20, 10, 100, 90), size=(40, 40))
    points = np.array([[20, 10], [100, 90], [20.5, 10.5], [60, 50]])
    expected = np.array([[0, 0], [40, 40], [0.25, 0.25], [20, 20]])
    np.testing.assert_allclose(frame.to_working(points), expected)
    np.testing.assert_allclose(frame.to_original(np.array([[0.5, 0.5]])), [[21.0, 11.0]])
    assert frame.to_working(np.zeros((0, 2))).shape == (0, 2)


@pytest.mark.parametrize("diameter", [300, 512, 1500])
def test_points_agree_with_the_pixels(diameter: int) -> None:
    """A blob's centre of mass lands where its centre is mapped to, and comes back."""
    frame = framed(800, 1000, (130, 17, 930, 777), diameter)
    centre = np.array([[611.3, 207.8]])
    mask = disc((800, 1000), 611.3, 207.8, 40)
    image = np.repeat(mask[:, :, None] * 255, 3, axis=2).astype(np.uint8)

    def mass(values: np.ndarray) -> np.ndarray:
        y, x = ndimage.center_of_mass(values)
        return np.array([[x + 0.5, y + 0.5]])

    there = frame.to_working(centre)
    np.testing.assert_allclose(mass(frame.apply_mask(mask)), there, atol=0.05)
    np.testing.assert_allclose(mass(frame.apply(image)[:, :, 0].astype(float)), there, atol=0.05)
    np.testing.assert_allclose(mass(frame.restore(frame.apply_mask(mask))), centre, atol=0.05)


@pytest.mark.parametrize(
    ("box", "diameter", "size"),
    [
        ((10, 20, 410, 220), 100, (50, 100)),  # wide
        ((10, 20, 210, 420), 100, (100, 50)),  # high
        ((10, 20, 410, 420), 800, (800, 800)),  # larger than the original
        ((0, 0, 500, 1), 100, (1, 100)),  # a sliver keeps one pixel
    ],
)
def test_longest_side_is_the_working_diameter(
    box: tuple[int, int, int, int], diameter: int, size: tuple[int, int]
) -> None:
    frame = framed(500, 600, box, diameter)
    assert frame == Frame(original_size=(500, 600), box=box, size=size)
    assert frame.apply(np.zeros((500, 600, 3), np.uint8)).shape == (*size, 3)
    assert frame.apply_mask(np.zeros((500, 600), bool)).shape == size


@pytest.mark.parametrize("factor", [2, 3, 7])
def test_coverage_is_the_block_average(factor: int) -> None:
    mask = np.random.default_rng(0).random((20 * factor, 30 * factor)) < 0.3
    frame = framed(20 * factor, 30 * factor, (0, 0, 30 * factor, 20 * factor), 30)
    blocks = mask.reshape(20, factor, 30, factor).mean(axis=(1, 3))
    np.testing.assert_allclose(frame.apply_mask(mask), blocks, atol=1e-6)


@pytest.mark.parametrize("diameter", [17, 100, 101, 250])
def test_coverage_keeps_the_area_at_any_scale(diameter: int) -> None:
    mask = np.random.default_rng(0).random((90, 101)) < 0.3
    coverage = framed(90, 101, (0, 0, 101, 90), diameter).apply_mask(mask)
    assert coverage.dtype == np.float32
    assert 0.0 <= coverage.min() <= coverage.max() <= 1.0
    assert coverage.mean() == pytest.approx(mask.mean(), abs=1e-5)


def test_scaling_down_does_not_alias() -> None:
    """Stripes finer than the working pixels become their mean, not coarser stripes."""
    image = np.zeros((900, 900, 3), np.uint8)
    image[:, ::2] = 255
    scaled = framed(900, 900, (0, 0, 900, 900), 317).apply(image)[8:-8, 8:-8]
    assert scaled.mean() == pytest.approx(127.5, abs=1.0)
    assert scaled.std() < 3.0


def test_same_size_changes_nothing() -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (80, 100, 3), dtype=np.uint8)
    frame = framed(80, 100, (13, 5, 73, 55), 60)
    crop = image[5:55, 13:73]
    np.testing.assert_array_equal(frame.apply(image), crop)
    np.testing.assert_array_equal(frame.apply_mask(image[:, :, 0] > 99), crop[:, :, 0] > 99)
    values = random.random((2, 50, 60), dtype=np.float32)
    np.testing.assert_array_equal(frame.restore(values)[:, 5:55, 13:73], values)


def test_restore_is_bilinear_with_half_pixel_centres() -> None:
    """Away from the rim a linear ramp comes back as the same ramp."""
    frame = Frame(original_size=(70, 90), box=(10, 20, 74, 60), size=(20, 32))
    x = np.arange(32) + 0.5
    y = np.arange(20) + 0.5
    ramp = (3 * x[None] + 5 * y[:, None]).astype(np.float32)
    restored = frame.restore(ramp)
    original = np.stack(np.meshgrid(np.arange(10, 74) + 0.5, np.arange(20, 60) + 0.5), axis=-1)
    working = frame.to_working(original.reshape(-1, 2)).reshape(40, 64, 2)
    expected = 3 * working[..., 0] + 5 * working[..., 1]
    inside = restored[20:60, 10:74]
    np.testing.assert_allclose(inside[1:-1, 1:-1], expected[1:-1, 1:-1], rtol=1e-5)
    assert restored.dtype == np.float32


def test_outside_of_the_box_is_zero_and_channels_are_kept_apart() -> None:
    frame = Frame(original_size=(70, 90), box=(10, 20, 74, 60), size=(20, 32))
    values = np.stack([np.full((20, 32), level, np.float32) for level in (1, 2, 3)])
    restored = frame.restore(values)
    assert restored.shape == (3, 70, 90)
    inside = framed_inside(70, 90, frame.box)
    for level, channel in enumerate(restored, start=1):
        np.testing.assert_allclose(channel[inside], level, rtol=1e-6)
        assert not channel[~inside].any()
    np.testing.assert_array_equal(frame.restore(values[1]), restored[1])


def test_values_keep_their_range() -> None:
    values = (np.random.default_rng(0).random((64, 64)) < 0.5).astype(np.float32)
    restored = framed(300, 300, (7, 7, 290, 290), 64).restore(values)
    assert 0.0 <= restored.min() <= restored.max() <= 1.0 + 1e-6


FRAME = Frame(original_size=(70, 90), box=(10, 20, 74, 60), size=(20, 32))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: FRAME.apply(np.zeros((90, 70, 3), np.uint8)), r"\(90, 70, 3\)"),
        (lambda: FRAME.apply(np.zeros((70, 90), np.uint8)), r"\(70, 90\) and dtype uint8"),
        (lambda: FRAME.apply(np.zeros((70, 90, 3), np.float32)), "dtype float32"),
        (lambda: FRAME.apply_mask(np.zeros((20, 32), bool)), r"made for \(70, 90\)"),
        (lambda: FRAME.restore(np.zeros((70, 90), np.float32)), r"expected \(20, 32\)"),
        (lambda: FRAME.restore(np.zeros((1, 1, 20, 32), np.float32)), r"\(1, 1, 20, 32\)"),
        (lambda: FRAME.to_working(np.zeros(2)), r"expected \(N, 2\)"),
        (lambda: FRAME.to_original(np.zeros((2, 3))), r"expected \(N, 2\)"),
    ],
)
def test_wrong_shapes_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        call()


@pytest.mark.parametrize("diameter", [0, -5])
def test_impossible_diameter_is_refused(diameter: int) -> None:
    with pytest.raises(ConfigError, match=f"working_diameter is {diameter}"):
        framed(70, 90, (10, 20, 74, 60), diameter)


@pytest.mark.parametrize(
    "box", [(10, 20, 10, 60), (10, 60, 74, 20), (-1, 0, 5, 5), (0, 0, 91, 5), (0, 0, 5, 71)]
)
def test_impossible_box_is_refused(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(ConfigError, match="is empty or leaves the image of 90x70 px"):
        Frame(original_size=(70, 90), box=box, size=(10, 10))


def test_empty_working_frame_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1 px"):
        Frame(original_size=(70, 90), box=(0, 0, 9, 9), size=(0, 10))
