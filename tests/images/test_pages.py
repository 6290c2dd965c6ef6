"""Borders of any colour, pages and windows, several eyes: the right field of view, or a doubt."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from tp_drseg.images import find_field_of_view, fundus_doubt

Colour = tuple[int, int, int]
COLOURS: dict[str, Colour] = {
    "white": (255, 255, 255),
    "grey": (128, 128, 128),
    "light": (240, 240, 240),
    "blue": (30, 60, 200),
    "dark blue": (10, 10, 60),
    "beige": (200, 180, 150),
    "red": (200, 60, 40),
}


@pytest.fixture(scope="module")
def eye() -> np.ndarray:
    """A textured disc, cut at the top and the bottom, on black."""
    y, x = np.mgrid[:300, :400] + 0.5
    away = np.hypot(x - 200, y - 150)
    shade = 1.0 - 0.4 * (away / 180) ** 2
    detail = 0.05 * np.sin(x / 7) * np.cos(y / 9)
    # blood absorbs green and blue: detail is weak in red
    level = shade[:, :, None] + detail[:, :, None] * np.array([0.3, 1.5, 1.0])
    pixels = level * np.array([190.0, 95.0, 40.0])
    pixels[away > 180] = 0
    image: np.ndarray = np.rint(pixels).astype(np.uint8)
    return image


def placed(eye: np.ndarray, colour: Colour, height: int, width: int) -> tuple[np.ndarray, ...]:
    """The eye in the middle of a page, and where it is."""
    page = np.full((height, width, 3), colour, np.uint8)
    inside = np.zeros((height, width), bool)
    top, left = (height - 300) // 2, (width - 400) // 2
    page[top : top + 300, left : left + 400] = eye
    inside[top : top + 300, left : left + 400] = eye.any(axis=2)
    return page, inside


def iou(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / (first | second).sum())


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    "size", [(700, 900), (460, 400), (300, 560), (316, 416), (2100, 2800)], ids=str
)
def test_photograph_on_a_page_is_found(colour: str, size: tuple[int, int], eye: np.ndarray) -> None:
    image, inside = placed(eye, COLOURS[colour], *size)
    found = find_field_of_view(image)
    assert iou(found.mask, inside) >= 0.97
    assert found.mask.shape == size


@pytest.mark.parametrize("colour", COLOURS)
def test_border_of_any_colour_is_found(colour: str, eye: np.ndarray) -> None:
    inside: np.ndarray = np.any(eye, axis=2)
    image = np.where(inside[:, :, None], eye, np.array(COLOURS[colour], np.uint8))
    found = find_field_of_view(image)
    assert iou(found.mask, inside) >= 0.97
    assert fundus_doubt(image, found) is None


def test_page_in_a_frame_is_searched_too(eye: np.ndarray) -> None:
    page, inside = placed(eye, (255, 255, 255), 500, 600)
    framed = np.pad(page, ((60, 60), (60, 60), (0, 0)))
    found = find_field_of_view(framed)
    assert iou(found.mask, np.pad(inside, 60)) >= 0.97


def test_crop_without_border_on_a_page_is_a_rectangle(eye: np.ndarray) -> None:
    page = np.full((500, 600, 3), 255, np.uint8)
    page[100:300, 200:420] = eye[50:250, 90:310]
    assert find_field_of_view(page).box == (200, 100, 420, 300)


def window(eye: np.ndarray) -> np.ndarray:
    image, _ = placed(eye, (240, 240, 240), 700, 900)
    image[:50] = (50, 90, 160)
    return image


def gradient(eye: np.ndarray) -> np.ndarray:
    image, _ = placed(eye, (0, 0, 0), 700, 900)
    desktop = np.linspace(100, 250, 700)[:, None, None].repeat(900, axis=1).repeat(3, axis=2)
    box = find_field_of_view(image).box
    desktop[box[1] : box[3], box[0] : box[2]] = image[box[1] : box[3], box[0] : box[2]]
    return desktop.astype(np.uint8)


def two(axis: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda eye: np.concatenate([eye, eye[:, ::-1]], axis=axis)


def touching(eye: np.ndarray) -> np.ndarray:
    disc = eye[:, 20:380]
    return np.concatenate([disc, disc], axis=1)


def small_second(eye: np.ndarray) -> np.ndarray:
    small = np.asarray(Image.fromarray(eye).reduce(2))
    return np.concatenate([eye, np.pad(small, ((75, 75), (0, 0), (0, 0)))], axis=1)


def on_a_page(eye: np.ndarray) -> np.ndarray:
    gap = np.full((300, 60, 3), 255, np.uint8)
    pair = np.concatenate([eye, gap, eye], axis=1)
    return np.pad(pair, ((300, 300), (80, 80), (0, 0)), constant_values=255)


def crops(eye: np.ndarray) -> np.ndarray:
    crop = eye[50:250, 90:310]
    return np.concatenate([crop, crop], axis=1)


DOUBTFUL: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "window": (window, "not red"),
    "gradient": (gradient, "not red"),
    "side by side": (two(1), "another part of it is lit, 100 % as large"),
    "stacked": (two(0), "another part of it is lit"),
    "touching": (touching, "too long for one eye|another part of it is lit"),
    "a small second": (small_second, "another part of it is lit, 2. % as large"),
    "two on a page": (on_a_page, "another part of it is lit, 100 % as large"),
    "two crops": (crops, "440x200 px, is too long for one eye"),
    "nearly black": (lambda eye: (eye * 0.03).astype(np.uint8), "nearly black"),
    "noise in the dark": (
        lambda eye: np.abs(np.random.default_rng(0).normal(0, 4, eye.shape)).astype(np.uint8),
        "nearly black",
    ),
    "uniform": (lambda eye: np.full_like(eye, (180, 90, 40)), "it is uniform"),
}


@pytest.mark.parametrize("case", DOUBTFUL)
def test_what_may_be_wrong_is_doubted(case: str, eye: np.ndarray) -> None:
    build, message = DOUBTFUL[case]
    image = build(eye)
    doubt = fundus_doubt(image, find_field_of_view(image))
    assert doubt is not None
    assert re.search(message, doubt), doubt


def test_a_label_is_no_doubt(eye: np.ndarray) -> None:
    image = eye.copy()
    image[4:30, 4:60] = 255
    assert fundus_doubt(image, find_field_of_view(image)) is None
