from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from tp_drseg.data.drawn import draw_lesions
from tp_drseg.data.samples import read_mask
from tp_drseg.errors import DataError, ImageError, LesionError
from tp_drseg.evaluation.metrics import dice

SIZE = 500
COUNTS = {"microaneurysm": 6, "haemorrhage": 4, "hard exudate": 8, "soft exudate": 2}
Y, X = np.mgrid[:SIZE, :SIZE]
FIELD: NDArray[np.bool_] = np.hypot(Y - 250, X - 250) < 240
DISC = (250, 100)


@pytest.fixture(scope="module")
def healthy() -> NDArray[np.uint8]:
    image = np.zeros((SIZE, SIZE, 3), dtype=np.uint8)
    image[FIELD] = (200, 90, 60)
    image[np.hypot(Y - DISC[0], X - DISC[1]) < 30] = (250, 220, 160)
    return image


def test_same_seed_same_lesions(healthy: NDArray[np.uint8]) -> None:
    before = healthy.copy()
    first, first_masks = draw_lesions(healthy, FIELD, seed=3, counts=COUNTS)
    second, second_masks = draw_lesions(healthy, FIELD, seed=3, counts=COUNTS)
    other, _ = draw_lesions(healthy, FIELD, seed=4, counts=COUNTS)
    np.testing.assert_array_equal(first, second)
    for name in COUNTS:
        np.testing.assert_array_equal(first_masks[name], second_masks[name])
    assert (first != other).any()
    np.testing.assert_array_equal(healthy, before)


def test_lesions_are_clear_of_each_other_the_disc_and_the_border(
    healthy: NDArray[np.uint8],
) -> None:
    drawn, masks = draw_lesions(healthy, FIELD, seed=0, counts=COUNTS)
    assert set(masks) == set(COUNTS)
    assert np.sum(list(masks.values()), axis=0).max() == 1
    changed = (drawn != healthy).any(axis=-1)
    assert not changed[~FIELD].any()
    assert not changed[np.hypot(Y - DISC[0], X - DISC[1]) < 30].any()
    assert changed[np.any(list(masks.values()), axis=0)].all()


def test_look_of_each_lesion(healthy: NDArray[np.uint8]) -> None:
    drawn, masks = draw_lesions(healthy, FIELD, seed=0, counts=COUNTS)
    change = {
        name: (drawn[mask] - healthy[mask].astype(float)).mean(0) for name, mask in masks.items()
    }
    assert (change["microaneurysm"] < -10).all() and (change["haemorrhage"] < -10).all()
    assert (change["hard exudate"] > 10).all() and (change["soft exudate"] > 10).all()
    # Hard exudates are yellower than soft ones: more green for their blue.
    yellow = {name: change[name][1] - change[name][2] for name in change}
    assert yellow["hard exudate"] > yellow["soft exudate"] + 10
    size = {name: mask.sum() / COUNTS[name] for name, mask in masks.items()}
    assert size["microaneurysm"] < size["hard exudate"] < size["haemorrhage"] < size["soft exudate"]


def test_count_of_round_lesions(healthy: NDArray[np.uint8]) -> None:
    _, masks = draw_lesions(healthy, FIELD, seed=0, counts={"microaneurysm": 12})
    assert ndimage.label(masks["microaneurysm"], np.ones((3, 3)))[1] == 12
    assert not masks["haemorrhage"].any()


def test_the_image_border_is_a_border(healthy: NDArray[np.uint8]) -> None:
    everywhere = np.ones_like(FIELD)
    for seed in range(3):
        draw_lesions(healthy, everywhere, seed=seed, counts={"soft exudate": 5, "haemorrhage": 10})


def test_errors(healthy: NDArray[np.uint8]) -> None:
    with pytest.raises(LesionError, match="'drusen' cannot be drawn"):
        draw_lesions(healthy, FIELD, seed=0, counts={"drusen": 1})
    with pytest.raises(DataError, match="-1"):
        draw_lesions(healthy, FIELD, seed=0, counts={"haemorrhage": -1})
    with pytest.raises(ImageError, match="float64"):
        draw_lesions(healthy / 255.0, FIELD, seed=0)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="field of view is bool of shape"):
        draw_lesions(healthy, FIELD[1:], seed=0)
    with pytest.raises(ImageError, match="empty"):
        draw_lesions(healthy, np.zeros_like(FIELD), seed=0)
    with pytest.raises(ImageError, match="too small"):
        draw_lesions(healthy, (Y == 250) & (X == 250), seed=0)
    with pytest.raises(DataError, match="no room for another soft exudate"):
        draw_lesions(healthy[::5, ::5], FIELD[::5, ::5], seed=0, counts={"soft exudate": 1000})


def test_the_example_is_what_its_script_draws() -> None:
    examples = Path(__file__).parents[2] / "examples"
    with Image.open(examples / "retina.jpg") as file:
        retina = np.asarray(file)
    with Image.open(examples / "retina_with_lesions.jpg") as file:
        example = np.asarray(file)
    drawn, masks = draw_lesions(retina, retina.max(axis=-1) > 30, seed=1)
    assert np.abs(drawn.astype(int) - example).mean() < 2  # JPEG
    for lesion, mask in masks.items():
        path = examples / "masks" / lesion.replace(" ", "_") / "retina_with_lesions.png"
        # Not equal to the pixel, as a newer numpy or scipy may round otherwise.
        assert dice(read_mask(path, mask.shape), mask) > 0.99
