"""The field of view: on drawn photographs whose disc is known, and on real ones."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tp_drseg.errors import ImageError
from tp_drseg.images import FieldOfView, find_field_of_view, fundus_doubt, read_image

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "retina.jpg"
SHARED = ROOT / ".." / "shared" / "data"
PHOTOGRAPHS = [
    SHARED / "IDRiD" / "A. Segmentation" / "1. Original Images" / "a. Training Set" / name
    for name in ("IDRiD_04.jpg",)
] + [SHARED / "IDRiD-grade0" / "IDRiD_169.jpg"]

Pair = tuple[np.ndarray, np.ndarray]
RANDOM = np.random.default_rng(0)


def fundus(
    height: int = 480,
    width: int = 640,
    centre: tuple[float, float] = (320.0, 240.0),
    radius: float = 210.0,
    fade: float = 0.4,
) -> Pair:
    """A textured orange disc that fades towards its rim, with a bright and a dark spot."""
    y, x = np.mgrid[:height, :width] + 0.5
    away = np.hypot(x - centre[0], y - centre[1])
    inside = away <= radius
    level = 1.0 - fade * (away / radius) ** 2 + 0.05 * np.sin(x / 7) * np.cos(y / 9)
    image = level[:, :, None] * np.array([190.0, 95.0, 40.0])
    image[np.hypot(x - centre[0] - 0.6 * radius, y - centre[1]) < 0.12 * radius] = (250, 220, 150)
    image[np.hypot(x - centre[0], y - centre[1]) < 0.15 * radius] *= 0.5
    image[~inside] = 0
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), inside


def iou(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / (first | second).sum())


def changed(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[], Pair]:
    def build() -> Pair:
        image, inside = fundus()
        return np.clip(np.rint(change(image.astype(float))), 0, 255).astype(np.uint8), inside

    return build


def jpeg(image: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(image.astype(np.uint8)).save(stream, "JPEG", quality=20)
    return np.asarray(Image.open(stream))


def label(image: np.ndarray) -> np.ndarray:
    image[8:40, 8:110] = 255
    image[450:470, 560:630] = (255, 255, 0)
    return image


def tab(image: np.ndarray) -> np.ndarray:
    image[60:72, 440:480] = (190, 95, 40)
    return image


def label_on_the_disc(image: np.ndarray) -> np.ndarray:
    image[235:255, :125] = 255
    return image


def specks(image: np.ndarray) -> np.ndarray:
    image[RANDOM.random(image.shape[:2]) < 0.002] = 255
    return image


def white_border() -> Pair:
    image, inside = fundus()
    image[~inside] = 255
    return image, inside


def banded() -> Pair:
    """A camera that masks the top and the bottom of the disc in black."""
    image, inside = fundus()
    for part in (slice(None, 90), slice(-90, None)):
        image[part], inside[part] = 0, False
    return image, inside


def haze() -> Pair:
    """A glow around the disc, as reflexes in the camera make it."""
    image, inside = fundus()
    y, x = np.mgrid[:480, :640]
    glow = 14 * np.exp(-np.maximum(np.hypot(x - 320, y - 240) - 210, 0) / 60)
    return np.where(inside[:, :, None], image, glow[:, :, None]).astype(np.uint8), inside


def dim_side() -> Pair:
    """Light falls off to a sixteenth towards one side."""
    image, inside = fundus(fade=0.0)
    light = np.clip(np.linspace(-0.2, 1.4, 640), 0.06, 1.0)
    return (image * light[None, :, None]).astype(np.uint8), inside


def fades_dark() -> Pair:
    image, inside = fundus(fade=0.9)
    return (image * 0.3).astype(np.uint8), inside


def cropped(radius: float, fade: float) -> Pair:
    image, inside = fundus(radius=radius, fade=fade)
    return image[80:400, 120:520], inside[80:400, 120:520]


def corners_at_a_fifth() -> Pair:
    """A crop without border whose corners are nearly as dark as a lit border would be."""
    image, inside = fundus(960, 1280, (640.0, 480.0), 600.0, fade=1.1)
    return image[160:800, 240:1040], inside[160:800, 240:1040]


CASES: dict[str, Callable[[], Pair]] = {
    "plain": lambda: fundus(),
    "off the centre": lambda: fundus(centre=(260.0, 215.0)),
    "cut at top and bottom": lambda: fundus(radius=290.0),
    "cut at left and right": lambda: fundus(640, 480, (240.0, 320.0), 290.0),
    "cut at one side": lambda: fundus(centre=(120.0, 240.0)),
    "touches all sides": lambda: fundus(480, 480, (240.0, 240.0), 240.0),
    "small in a wide border": lambda: fundus(900, 1200, (500.0, 400.0), 150.0),
    "low resolution": lambda: fundus(120, 160, (80.0, 60.0), 52.0),
    "high resolution": lambda: fundus(1200, 2200, (1100.0, 600.0), 560.0),
    "dark": changed(lambda a: a * 0.15),
    "very dark": changed(lambda a: a * 0.06),
    "overexposed": changed(lambda a: a * 4),
    "lit border": changed(lambda a: a + 20),
    "bluish border": changed(lambda a: a + np.array([5, 8, 25])),
    "noise": changed(lambda a: a + RANDOM.normal(0, 12, a.shape)),
    "dark and noisy": changed(lambda a: a * 0.2 + np.abs(RANDOM.normal(0, 3, a.shape))),
    "jpeg": changed(jpeg),
    "labels": changed(label),
    "tab": changed(tab),
    "label that touches the disc": changed(label_on_the_disc),
    "specks": changed(specks),
    "grey": changed(lambda a: a.mean(axis=2, keepdims=True).repeat(3, axis=2)),
    "green only": changed(lambda a: a[:, :, 1:2].repeat(3, axis=2)),
    "haze": haze,
    "white border": white_border,
    "bands": banded,
    "fades to a tenth": lambda: fundus(fade=0.9),
    "fades to a tenth, dark": fades_dark,
    "dim at one side": dim_side,
    "crop without border": lambda: cropped(300.0, fade=0.4),
    "crop without border, fading": lambda: cropped(300.0, fade=0.9),
    "crop without border, corners at a fifth": corners_at_a_fifth,
    "crop with black corners": lambda: cropped(240.0, fade=0.4),
}


@pytest.mark.parametrize("case", CASES)
def test_drawn_disc_is_found(case: str) -> None:
    image, inside = CASES[case]()
    found = find_field_of_view(image)
    assert found.mask.shape == inside.shape
    assert found.mask.dtype == np.bool_
    assert iou(found.mask, inside) >= 0.97
    assert found.area == found.mask.sum()


@pytest.mark.parametrize(
    "case",
    [
        "plain",
        "off the centre",
        "cut at top and bottom",
        "high resolution",
        "label that touches the disc",
        "labels",
    ],
)
def test_box_is_exact_to_three_pixels(case: str) -> None:
    image, inside = CASES[case]()
    expected = FieldOfView.from_mask(inside).box
    assert np.abs(np.subtract(find_field_of_view(image).box, expected)).max() <= 3


def test_box_bounds_the_mask() -> None:
    mask = np.zeros((20, 30), bool)
    mask[3, 5] = mask[10, 22] = True
    found = FieldOfView.from_mask(mask)
    assert found.box == (5, 3, 23, 11)
    assert found.diameter == 18
    assert found.area == 2


def test_finding_is_repeatable() -> None:
    image, _ = fundus()
    np.testing.assert_array_equal(find_field_of_view(image).mask, find_field_of_view(image).mask)


@dataclass
class Photograph:
    image: np.ndarray
    field: FieldOfView


@pytest.fixture(scope="module", params=[EXAMPLE, *PHOTOGRAPHS], ids=lambda path: path.stem)
def photograph(request: pytest.FixtureRequest) -> Photograph:
    if not request.param.exists():
        pytest.skip(f"{request.param.name} is not at hand")
    image = read_image(request.param)
    return Photograph(image, find_field_of_view(image))


def test_real_photograph_dark_or_not_has_one_field_of_view(photograph: Photograph) -> None:
    dark = np.rint(photograph.image * 0.15).astype(np.uint8)
    assert iou(find_field_of_view(dark).mask, photograph.field.mask) >= 0.97


def test_real_photograph_is_a_disc(photograph: Photograph) -> None:
    """Its area is that of the circle over its width, less what the image's edge cuts off."""
    left, top, right, bottom = photograph.field.box
    assert photograph.field.diameter == pytest.approx(right - left, abs=4)
    radius = (right - left) / 2
    y = np.arange(top, bottom) + 0.5 - (top + bottom) / 2
    chords = 2 * np.sqrt(np.maximum(radius**2 - y**2, 0))
    assert photograph.field.area == pytest.approx(chords.sum(), rel=0.02)


def test_real_photograph_raises_no_doubt(photograph: Photograph) -> None:
    assert fundus_doubt(photograph.image, photograph.field) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a[:, :, ::-1], "red is not its strongest colour"),
        (lambda a: a[:, :, [1, 0, 2]], "red is not its strongest colour"),
        (lambda a: a[:, :, :1].repeat(3, axis=2), "it is grey"),
        (lambda a: np.pad(a, ((1200, 1200), (1200, 1200), (0, 0))), "covers only"),
    ],
    ids=["BGR", "green", "grey", "tiny"],
)
def test_what_is_no_colour_fundus_photograph_is_doubted(
    change: Callable[[np.ndarray], np.ndarray], message: str
) -> None:
    image = np.ascontiguousarray(change(fundus()[0]))
    doubt = fundus_doubt(image, find_field_of_view(image), name="The photograph 'a.jpg'")
    assert doubt is not None
    assert doubt.startswith("The photograph 'a.jpg' does not look like a colour fundus photograph")
    assert message in doubt


def test_noise_is_doubted() -> None:
    image = RANDOM.integers(0, 256, (200, 200, 3), dtype=np.uint8)
    image[:, :, 0] //= 2
    assert "does not look like" in (fundus_doubt(image, find_field_of_view(image)) or "")


def lone_pixels() -> np.ndarray:
    image = np.zeros((200, 200, 3), np.uint8)
    image[::10, ::10] = 255
    return image


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((200, 200, 3), np.uint8), "is black"),
        (RANDOM.integers(0, 3, (200, 200, 3), dtype=np.uint8), "is black"),
        (np.full((200, 200, 3), 128, np.uint8), r"is uniform \(level 128 of 255\)"),
        (np.full((200, 200, 3), 255, np.uint8), "is uniform"),
        (np.full((200, 200, 3), (40, 90, 180), np.uint8), "is uniform"),
        (lone_pixels(), "no lit region"),
        (np.zeros((200, 200), np.uint8), r"expected \(H, W, 3\) uint8"),
        (np.zeros((200, 200, 4), np.uint8), r"\(200, 200, 4\)"),
        (np.zeros((200, 200, 3), np.float32), "dtype float32"),
        (np.zeros((0, 0, 3), np.uint8), r"\(0, 0, 3\)"),
    ],
)
def test_image_without_retina_is_refused(image: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        find_field_of_view(image)


@pytest.mark.parametrize("mask", [np.zeros((9, 9), bool), np.ones((9, 9, 1), bool)])
def test_empty_mask_is_no_field_of_view(mask: np.ndarray) -> None:
    with pytest.raises(ImageError, match="is empty or not"):
        FieldOfView.from_mask(mask)
