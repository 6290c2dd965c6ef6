"""Reading of data sets, after what users of other tools reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tp_drseg.data import read_dataset
from tp_drseg.data.check import check
from tp_drseg.data.masks import read_mask
from tp_drseg.errors import DataError, TPDRSegError
from tp_drseg.images import read_image
from tp_drseg.lesions import LesionCatalog
from tp_drseg.training.data.annotated import FrameSizes, load_cached

CATALOG = LesionCatalog.default()
SHOWN, STORED = (144, 96), (96, 144)


def _mask(path: Path, shape: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros(shape, np.uint8)
    pixels[:9, :9] = 255
    Image.fromarray(pixels).save(path)


def _passes(root: Path) -> bool:
    try:
        check(read_dataset(root, "folder", None, CATALOG), CATALOG.names)
    except DataError:
        return False
    return True


@pytest.mark.parametrize("shape", [SHOWN, STORED])
@pytest.mark.parametrize(
    "ending",
    [
        "jpg",
        "png",
        "tif",
    ],
)
def test_check_turns_a_photograph_as_reading_does(
    tmp_path: Path, ending: str, shape: tuple[int, int]
) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    (tmp_path / "images").mkdir()
    photograph = tmp_path / "images" / f"a.{ending}"
    Image.new("RGB", STORED[::-1], (190, 95, 40)).save(photograph, exif=turned)
    _mask(tmp_path / "masks" / "EX" / "a.png", shape)
    assert _passes(tmp_path) == (read_image(photograph).shape[:2] == shape)


TRUTH = np.zeros((96, 144), bool)
TRUTH[10:30, 10:40] = True
GREY = Image.fromarray(TRUTH.astype(np.uint8) * 255)
RED = Image.fromarray(np.dstack([TRUTH * 255, TRUTH * 0, TRUTH * 0]).astype(np.uint8))


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(GREY.convert("RGB").quantize(2), id="white on black"),
        pytest.param(RED.quantize(2), id="red on black"),
        pytest.param(
            GREY.convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE, colors=2),
            id="adaptive",
        ),
    ],
)
def test_a_palette_that_begins_with_white_is_not_inverted(
    tmp_path: Path, image: Image.Image
) -> None:
    image.save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", TRUTH.shape), TRUTH)


UNUSABLE = {
    "black.png": Image.new("RGB", (64, 64)),
    "white.png": Image.new("RGB", (64, 64), "white"),
    "float.tif": Image.fromarray(np.full((64, 64), 99.0, np.float32)),
    "int32.tif": Image.fromarray(np.full((64, 64), 70000, np.int32)),
}


@pytest.fixture(params=UNUSABLE)
def unusable(request: Any, tmp_path: Path, draw_eye: Callable[[int], Any]) -> Path:
    """The photograph of three in a data set that cannot be trained on."""
    (tmp_path / "images").mkdir()
    for stem in ("a", "b"):
        Image.fromarray(draw_eye(64)).save(tmp_path / "images" / f"{stem}.png")
    UNUSABLE[request.param].save(tmp_path / "images" / request.param)
    for stem in ("a", "b", Path(request.param).stem):
        _mask(tmp_path / "masks" / "EX" / f"{stem}.png", (64, 64))
    name: str = request.param
    return tmp_path / "images" / name


def test_check_refuses_what_training_stops_on(unusable: Path) -> None:
    samples = read_dataset(unusable.parents[1], "folder", None, CATALOG)
    with pytest.raises(DataError, match=unusable.name):
        check(samples, CATALOG.names)


def test_training_names_the_photograph_it_stops_on(unusable: Path, tmp_path: Path) -> None:
    samples = read_dataset(unusable.parents[1], "folder", None, CATALOG)
    with pytest.raises(TPDRSegError) as caught:
        load_cached(samples, CATALOG.names, FrameSizes(64, 64, 64), tmp_path / "cache")
    assert unusable.name in str(caught.value)


def test_a_photograph_whose_alpha_is_empty_is_used(
    tmp_path: Path, draw_eye: Callable[[int], Any]
) -> None:
    (tmp_path / "images").mkdir()
    eye = np.dstack([draw_eye(64), np.zeros((64, 64), np.uint8)])
    Image.fromarray(eye).save(tmp_path / "images" / "a.png")
    _mask(tmp_path / "masks" / "EX" / "a.png", (64, 64))
    samples = read_dataset(tmp_path, "folder", None, CATALOG)
    assert "alpha channel is left out" in check(samples, CATALOG.names).warnings[-1]
    (loaded,) = load_cached(samples, CATALOG.names, FrameSizes(64, 64, 64), tmp_path / "cache")
    assert loaded.levels[0].any()
