"""A photograph as it enters: one reading, its hash, and what speaks against it."""

import hashlib
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tp_drseg.errors import ImageError
from tp_drseg.images import find_field_of_view, read_fundus, read_image


@pytest.fixture
def path(tmp_path: Path, retina: np.ndarray) -> Path:
    Image.fromarray(retina[::4, ::4]).save(tmp_path / "eye.png")
    return tmp_path / "eye.png"


def test_it_is_what_reading_and_finding_give(path: Path) -> None:
    fundus = read_fundus(path)
    image = read_image(path)
    np.testing.assert_array_equal(fundus.pixels, image)
    np.testing.assert_array_equal(fundus.field_of_view.mask, find_field_of_view(image).mask)
    assert fundus.doubt is None
    assert fundus.name == f"The photograph '{path}'"
    assert fundus.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_fundus(image).sha256 is None


def test_doubts_are_said_and_not_warned_of(path: Path) -> None:
    grey = read_image(path).mean(axis=2).astype(np.uint8)
    Image.fromarray(np.dstack([grey, np.zeros_like(grey)]), "LA").save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fundus = read_fundus(path)
    assert fundus.doubt is not None
    assert fundus.doubt.startswith("It is transparent everywhere: its alpha channel is left out. ")
    assert "It does not look like a colour fundus photograph: it is grey," in fundus.doubt


@pytest.mark.parametrize(
    ("colour", "message"), [((0, 0, 0), "is black"), ((255, 255, 255), "is uniform")]
)
def test_error_names_the_file(colour: tuple[int, int, int], message: str, path: Path) -> None:
    Image.new("RGB", (64, 64), colour).save(path)
    with pytest.raises(ImageError, match=rf"The photograph '.*eye\.png' {message}"):
        read_fundus(path)
